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


def records(data, start=0):
    """[(offset, key, value, {header: value})] from `start` on, of what a fetch returned, none of it compressed."""
    out, at = [], 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                return (value >> 1) ^ -(value & 1)

    def sized():
        nonlocal at
        size = number()
        at += max(size, 0)
        return None if size < 0 else data[at - size:at]

    begin = 0
    for base, count, right in wire.batches(data):
        assert right, "a batch came with a wrong CRC"
        at = begin + 61
        for _ in range(count):
            number()
            at += 1
            number()
            offset = base + number()
            key, value = sized(), sized()
            out.append((offset, key, value, {sized().decode(): sized() for _ in range(number())}))
        begin = at
    return [record for record in out if record[0] >= start]


def everything(client, topic):
    """[(key, value, headers)] of all partitions."""
    out = []
    for partition in range(REGIONS):
        offset = 0
        while True:
            error, watermark, data = client.fetch(topic, offset, partition=partition)
            assert error == 0
            if offset >= watermark:
                break
            found = records(data, offset)
            out += [record[1:] for record in found]
            offset = found[-1][0] + 1
    return out


def hits(server, key, grid="g"):
    """What the agent has counted; 0 when there is none."""
    done = server.afdg("-o", "json", "agent", "show", f"entity/{key}", grid=grid, check=None)
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
            for partition in range(REGIONS):  # some of their keys live elsewhere, so a client could not count from an offset
                sent = client.produce("g.messages", batch([(key.encode(), BODY, INCREMENT) for key in keys]), partition=partition)
                assert sent == (0, -1), sent
            settle(lambda: [hits(at.server, key) for key in keys] == [REGIONS] * 20)
            # Where a key lives its records have the offsets that are told, one after the other.
            told = [client.produce("g.messages", batch([(b"agent-0", BODY, INCREMENT)] * 3), partition=p) for p in range(REGIONS)]
            assert [error for error, _ in told] == [0] * REGIONS and sorted(offset >= 0 for _, offset in told) == [False] * 3 + [True], told
            home, base = next((partition, offset) for partition, (_, offset) in enumerate(told) if offset >= 0)
            found = records(client.fetch("g.messages", base, partition=home)[2], base)[:3]
            assert [(offset, key) for offset, key, _, _ in found] == [(base + i, b"agent-0") for i in range(3)], found
            for topic in ("g.changes", "g.dead"):
                assert client.produce(topic, batch([(b"k", b"v", {})])) == (TOPIC_INVALID, -1)
        settle(lambda: hits(at.server, "agent-0") == REGIONS + 3 * REGIONS)
        assert dead(at.server) == []


def defaults(folder):
    """without headers a record is JSON for the only message of the only type; for the built-in store, Put"""
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        with Client(at.address) as client:
            assert client.produce("g.messages", batch([(b"ada", b'{"key":"name","value":"Ada"}', {})]))[0] == 0
        settle(lambda: "Ada" in at.server.afdg("agent", "show", "entity/ada", grid="g", check=None).stdout)


def again(folder):
    """what is consumed from one grid's messages, or from its dead letters, can be produced into another as it is"""
    with endpoint(folder, ours=True) as at:
        for grid in ("g", "h"):
            at.server.afdg("grid", "create", grid, "--regions", REGIONS if grid == "g" else 3)
        with Client(at.address) as client:
            assert client.produce("g.messages", batch([(b"kate", BODY, INCREMENT)] * 2))[0] == 0
            at.server.afdg("agent", "request", "entity/kate", "Increment", BODY.decode(), grid="g")  # as Protocol Buffers or JSON, with an identity
            settle(lambda: hits(at.server, "kate") == 3)
            copied = everything(client, "g.messages")
            assert len(copied) == 3 and all("afdg-id" in headers for _, _, headers in copied), copied
            assert client.produce("h.messages", batch(copied), partition=1)[0] == 0
            settle(lambda: hits(at.server, "kate", "h") == 3)
            # A dead letter that is mended goes on as what it was.
            assert client.produce("g.messages", batch([(b"kate", b"{", INCREMENT)]))[0] == 0
            settle(lambda: len(dead(at.server)) == 1)
            (key, value, headers), = everything(client, "g.dead")
            assert (key, value, headers["afdg-error"]) == (b"kate", b"{", b"kUndecodable"), (key, value, headers)
            assert client.produce("h.messages", batch([(key, BODY, headers)]), partition=2)[0] == 0
            settle(lambda: hits(at.server, "kate", "h") == 4)


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
    sys.exit(harness.run_cases(keyed, defaults, again, nobody_understands, once, with_kcat))
