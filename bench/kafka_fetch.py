#!/usr/bin/python3
"""A raw fetch client: reads a topic from its start as fast as the broker sends, and looks at nothing but the batches' headers.

usage: kafka_fetch.py HOST:PORT TOPIC PARTITIONS [--answer-bytes N] [--passes N]
Prints a JSON line for each pass: bytes, seconds, megabytes_per_second, which of two it was ("read" or "dropped"). One connection, one
partition after the other.
  read     each answer is copied out of the socket and its batches are walked, before the next fetch is sent: on two processors that
           copy is the limit, not the broker
  dropped  the same fetches again, the next one sent while the present answer comes, and the kernel drops the answers uncopied (tcp(7),
           MSG_TRUNC; each answer's size is compared with the first pass): what the broker can send
"""
import argparse
import json
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))
import kafka_client as wire


def last_offset(batch):
    base, _, _, _, _, _, delta = struct.unpack_from(">qiibIhi", batch)
    return base + delta


def read_answer(client, buffer):
    """(bytes, bytes of records, next offset or None) of one fetch answer; the records go into the buffer and are overwritten."""
    size = struct.unpack(">i", client.exactly(4))[0]
    view, got = memoryview(buffer)[:size], 0
    while got < size:
        count = client.socket.recv_into(view[got:])
        if count == 0:
            raise EOFError("the server closed the connection")
        got += count
    # correlation, throttle, one topic: name, one partition: index, error, three offsets, no aborted ones, records
    at = 4 + 4 + 4
    at += 2 + struct.unpack_from(">h", buffer, at)[0] + 4
    _, error, _, _ = struct.unpack_from(">ihqq", buffer, at)
    if error:
        raise SystemExit(f"fetch: error {error}")
    at += 22
    aborted = struct.unpack_from(">i", buffer, at)[0]
    at += 4 + 16 * max(aborted, 0)
    length = struct.unpack_from(">i", buffer, at)[0]
    at += 4
    begin, end, following = at, at + max(length, 0), None
    while end - at >= 61:
        whole = 12 + struct.unpack_from(">i", buffer, at + 8)[0]
        if end - at < whole:
            break
        following = last_offset(buffer[at:at + 27]) + 1
        at += whole
    return size, end - begin, following


def ask(client, topic, partition, offset, answer_bytes):
    client.send(wire.FETCH, 4, wire.fetch_body(topic, offset, wait=0, least=1, most=answer_bytes, partition=partition))


def report(kind, total, begun):
    seconds = time.monotonic() - begun
    return {"kind": kind, "bytes": total, "seconds": round(seconds, 3), "megabytes_per_second": round(total / seconds / 1e6, 1)}


def read_pass(address, topic, partitions, answer_bytes):
    """What it measured, and each fetch as (partition, offset, bytes of the answer)."""
    total, begun, fetches = 0, time.monotonic(), []
    buffer = bytearray(answer_bytes + (17 << 20))
    with wire.Client(address, seconds=60) as client:
        for partition in range(partitions):
            offset = 0
            while True:
                ask(client, topic, partition, offset, answer_bytes)
                answer, size, following = read_answer(client, buffer)
                if following is None:
                    break
                fetches.append((partition, offset, answer))
                total += size
                offset = following
    return report("read", total, begun), fetches


def dropped_pass(address, topic, answer_bytes, fetches):
    total, begun = 0, time.monotonic()
    untouched = bytearray(max(answer for _, _, answer in fetches))
    with wire.Client(address) as client:
        client.socket.settimeout(None)  # MSG_WAITALL needs a blocking socket
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        ask(client, topic, *fetches[0][:2], answer_bytes)
        for i, (_, offset, expected) in enumerate(fetches):
            if i + 1 < len(fetches):
                ask(client, topic, *fetches[i + 1][:2], answer_bytes)
            size = struct.unpack(">i", client.exactly(4))[0]
            if size != expected:
                raise SystemExit(f"fetch at {offset}: an answer of {size} bytes, not {expected} as before: was something appended?")
            if client.socket.recv_into(untouched, size, socket.MSG_TRUNC | socket.MSG_WAITALL) != size:
                raise EOFError("the server closed the connection")
            total += size
    return report("dropped", total, begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("topic")
    parser.add_argument("partitions", type=int)
    parser.add_argument("--answer-bytes", type=int, default=8 << 20)
    parser.add_argument("--passes", type=int, default=3, help="of each kind")
    args = parser.parse_args()
    for _ in range(args.passes):
        told, fetches = read_pass(args.address, args.topic, args.partitions, args.answer_bytes)
        print(json.dumps(told), flush=True)
    for _ in range(args.passes):
        print(json.dumps(dropped_pass(args.address, args.topic, args.answer_bytes, fetches)), flush=True)


if __name__ == "__main__":
    main()
