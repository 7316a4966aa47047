#!/usr/bin/python3
"""Asks an agent and then many at once, over gRPC, without any AFDG library.

Needs Debian's python3-grpcio, python3-grpc-tools and python3-protobuf, and a grid that hosts the built-in type "entity"
(afdg grid create g --regions 4).

    examples/python/fanout.py --server 127.0.0.1:7400 --grid g
"""
import argparse
import json
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc


def load_stubs(proto_dir: pathlib.Path):
    """Compiles afdg/v1/data.proto into a temporary folder and imports what comes out."""
    out = tempfile.mkdtemp(prefix="afdg-stubs-")
    source = proto_dir / "afdg" / "v1" / "data.proto"
    if protoc.main(["protoc", f"-I{proto_dir}", f"--python_out={out}", f"--grpc_python_out={out}", str(source)]) != 0:
        sys.exit(f"fanout.py: could not compile {source}: is --proto the folder that holds afdg/v1?")
    sys.path.insert(0, out)
    from afdg.v1 import data_pb2, data_pb2_grpc
    return data_pb2, data_pb2_grpc


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default="127.0.0.1:7400", help="HOST:PORT of a node (default %(default)s)")
    parser.add_argument("--grid", required=True)
    parser.add_argument("--agents", type=int, default=20, help="how many agents to ask at once (default %(default)s)")
    parser.add_argument("--proto", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2] / "proto")
    args = parser.parse_args()
    pb, services = load_stubs(args.proto)

    with grpc.insecure_channel(args.server) as channel:
        data = services.DataStub(channel)

        # One request, sent twice under the same id: it takes effect once and both get the same answer.
        call = pb.RequestCall(grid=args.grid, type="entity", key=b"alice", message="Increment",
                              json=json.dumps({"key": "visits", "by": 1}), request_id=str(uuid.uuid4()))
        first = data.Request(call, timeout=10)
        again = data.Request(call, timeout=10)
        print(f"alice visits {json.loads(first.json)['value']} (region {first.region}, offset {first.offset})")
        if again.json != first.json or not again.repeated:
            print("fanout.py: the repeated request gave another answer", file=sys.stderr)
            return 1

        # A durable one-way message, then a parallel request to many agents, one outcome each as they arrive.
        keys = [f"user-{n}".encode() for n in range(args.agents)]
        for key in keys:
            receipt = data.Send(pb.RequestCall(grid=args.grid, type="entity", key=key, message="Put",
                                               json=json.dumps({"key": "name", "value": key.decode()})), timeout=10)
        print(f"last send is durable at {receipt.topic}[{receipt.partition}]@{receipt.offset}")
        failed = 0
        fanout = pb.FanoutCall(grid=args.grid, type="entity", keys=keys, message="Get", json=json.dumps({"key": "name"}))
        outcomes = list(data.Fanout(fanout, timeout=10))
        for outcome in outcomes:
            if outcome.code != 0 or json.loads(outcome.json).get("value") != outcome.key.decode():
                failed += 1
                print(f"{outcome.key.decode()}: code {outcome.code} {outcome.text} {outcome.json}", file=sys.stderr)
        print(f"{len(outcomes) - failed} ok, {failed} failed")
        return 1 if failed or len(outcomes) != len(keys) else 0


if __name__ == "__main__":
    sys.exit(main())
