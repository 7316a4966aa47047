#!/usr/bin/python3
"""What Kafka clients produce to GRID.messages reaches the agents that the keys name, once, and what nobody understands is kept."""
import json
import struct
import subprocess
import sys
import time

import harness
import kafka_client as wire
from kafka_client import Client, varint
from kafka_wire import endpoint

REGIONS = 4
INCREMENT = {"afdg-type": b"entity", "afdg-message": b"Increment", "afdg-content": b"json"}
BODY = b'{"key":"visits","by":1}'
TOPIC_INVALID = 17


def batch(records, producer=-1, epoch=-1, sequence=-1):
    """[(key or None, value, {header: value})] as one record batch."""
    now, body = int(time.time() * 1000), b""
    sized = lambda data: varint(-1) if data is None else varint(len(data)) + data
    for delta, (key, value, headers) in enumerate(records):
        record = b"\0" + varint(0) + varint(delta) + sized(key) + sized(value) + varint(len(headers))
        record += b"".join(sized(name.encode()) + sized(data) for name, data in headers.items())
        body += varint(len(record)) + record
    checked = struct.pack(">hiqqqhii", 0, len(records) - 1, now, now, producer, epoch, sequence, len(records)) + body
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, wire.crc32c(checked)) + checked


def hits(server, key):
    """What the agent has counted; 0 when there is none."""
    done = server.afdg("-o", "json", "agent", "show", f"entity/{key}", grid="g", check=None)
    if done.returncode == 3:
        return 0
    return int(json.loads(done.stdout)["items"][0]["value"]["integer"])


def settle(check, seconds=10):
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, check()
        time.sleep(0.05)


def dead(server):
    return [json.loads(line) for line in server.afdg("-o", "json", "topic", "consume", "g.dead", "-e").stdout.splitlines()]


def keyed(folder):
    """records reach their agents whatever partition they were produced to"""
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        keys = [f"agent-{i}" for i in range(20)]
        with Client(at.address) as client:
            for partition in range(REGIONS):
                error, offset = client.produce("g.messages", batch([(key.encode(), BODY, INCREMENT) for key in keys]), partition=partition)
                assert error == 0 and offset >= 0, (error, offset)
            # One whose key lives elsewhere has no offset in the partition it was produced to.
            offsets = [client.produce("g.messages", batch([(b"agent-0", BODY, INCREMENT)]), partition=p) for p in range(REGIONS)]
            assert [error for error, _ in offsets] == [0] * REGIONS and sorted(offset >= 0 for _, offset in offsets) == [False] * 3 + [True], offsets
            assert client.produce("g.changes", batch([(b"k", b"v", {})]))[0] == TOPIC_INVALID
            assert client.produce("g.dead", batch([(b"k", b"v", {})]))[0] == TOPIC_INVALID
        for key in keys[1:]:
            settle(lambda key=key: hits(at.server, key) == REGIONS)
        settle(lambda: hits(at.server, "agent-0") == 2 * REGIONS)
        assert dead(at.server) == []
        # What was consumed from one grid's messages can be produced into another's.
        at.server.afdg("grid", "create", "h", "--regions", 2)
        read = [json.loads(line) for line in at.server.afdg("-o", "json", "topic", "consume", "g.messages", "-e").stdout.splitlines()]
        assert len(read) == 20 * REGIONS + REGIONS
        headers = {header["key"] for header in read[0]["headers"]}
        assert {"afdg-type", "afdg-message", "afdg-content"} <= headers, headers


def nobody_understands(folder):
    """records without a key, of unknown types and messages, or with a body that does not parse go to the grid's dead letters"""
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        wrong = [(None, BODY, INCREMENT), (b"a", BODY, {**INCREMENT, "afdg-type": b"nothing"}), (b"b", BODY, {**INCREMENT, "afdg-message": b"Shred"}),
                 (b"c", b"{", INCREMENT), (b"d", b"v", {}), (b"e" * 2000, BODY, INCREMENT)]
        with Client(at.address) as client:
            assert client.produce("g.messages", batch([*wrong, (b"good", BODY, INCREMENT)]), partition=2)[0] == 0
            assert client.produce("g.messages", batch([(b"good", b"x" * (1 << 20) + b"x", INCREMENT)]))[0] == wire.MESSAGE_TOO_LARGE
        settle(lambda: hits(at.server, "good") == 1)
        settle(lambda: len(dead(at.server)) == len(wrong))
        reasons = {header["value"] for record in dead(at.server) for header in record["headers"] if header["key"] == "afdg-error"}
        at.server.kill()
        at.server.start()
        assert len(dead(at.server)) == len(wrong) and hits(at.server, "good") == 1, reasons


def once(folder):
    """a batch of an idempotent producer that comes again takes effect once, across kill -9; nobody can take another's identity"""
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        records = [(f"k{i}".encode(), BODY, INCREMENT) for i in range(10)]
        first, second = (batch(records, producer=77, epoch=0, sequence=at_sequence) for at_sequence in (0, 10))
        with Client(at.address) as client:
            for again in range(3):
                assert client.produce("g.messages", first, partition=1)[0] == 0, again
        at.server.kill()
        at.server.start()
        with Client(at.address) as client:
            assert client.produce("g.messages", first, partition=1)[0] == 0
            assert client.produce("g.messages", second, partition=1)[0] == 0
            # A header cannot say who one is; another producer's same sequence is another message.
            forged = {**INCREMENT, "afdg-id": b"\x01\x02" + struct.pack(">B", 16) + b"kafka/4d/0/1/000"}
            assert client.produce("g.messages", batch([(b"k0", BODY, forged)], producer=78, epoch=0, sequence=0), partition=1)[0] == 0
        settle(lambda: [hits(at.server, f"k{i}") for i in range(10)] == [3] + [2] * 9)


def with_kcat(folder):
    """a Kafka user follows the documentation with kcat"""
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        if subprocess.run(["which", "kcat"], capture_output=True, check=False).returncode:
            raise harness.Skip("kcat is not installed")
        flags = [word for name, value in INCREMENT.items() for word in ("-H", f"{name}={value.decode()}")]
        subprocess.run(["kcat", "-b", at.address, "-P", "-t", "g.messages", "-K", "\t", *flags], input=b"".join(b"user-%d\t%s\n" % (i % 5, BODY) for i in range(100)),
                       check=True, timeout=30)
        settle(lambda: [hits(at.server, f"user-{i}") for i in range(5)] == [20] * 5)


if __name__ == "__main__":
    sys.exit(harness.run_cases(keyed, nobody_understands, once, with_kcat))
