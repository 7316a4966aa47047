#!/usr/bin/python3
"""What Kafka clients produce to GRID.messages reaches the agents that the keys name, once, and what nobody understands is kept."""
import contextlib
import gzip
import json
import struct
import subprocess
import sys
import threading
import time

import harness
import kafka_client as wire
from kafka_client import Client, varint
from kafka_wire import endpoint

sys.path.append(str(harness.ROOT / "tests/judges"))
import clients  # noqa: E402

REGIONS = 4
INCREMENT = {"afdg-type": b"entity", "afdg-message": b"Increment", "afdg-content": b"json"}
BODY = b'{"key":"visits","by":1}'
APPEND = {"afdg-message": b"Append"}
NOT_LEADER, TOPIC_INVALID, NOT_ENOUGH_REPLICAS, OUT_OF_ORDER, FENCED = 6, 17, 19, 45, 47
RETRIED = (NOT_LEADER, NOT_ENOUGH_REPLICAS, 7, 56)  # and REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR


def batch(records, producer=-1, epoch=-1, sequence=-1, packed=False):
    """[(key or None, value, {header: value})] as one record batch."""
    now, body = int(time.time() * 1000), b""
    sized = lambda data: varint(-1) if data is None else varint(len(data)) + data
    for delta, (key, value, headers) in enumerate(records):
        record = b"\0" + varint(0) + varint(delta) + sized(key) + sized(value) + varint(len(headers))
        record += b"".join(sized(name.encode()) + sized(data) for name, data in headers.items())
        body += varint(len(record)) + record
    body = gzip.compress(body) if packed else body
    checked = struct.pack(">hiqqqhii", packed, len(records) - 1, now, now, producer, epoch, sequence, len(records)) + body
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


def home(key):
    """The partition that Java's partitioner chooses (murmur2)."""
    data, mask = key.encode(), 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at:at + 4], "little") * 0x5BD1E995 & mask
        value = value * 0x5BD1E995 & mask ^ (part ^ part >> 24) * 0x5BD1E995 & mask
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * 0x5BD1E995 & mask
    value = (value ^ value >> 13) * 0x5BD1E995 & mask
    return ((value ^ value >> 15) & 0x7FFFFFFF) % REGIONS


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
        key = next(f"other-{i}" for i in range(100) if home(f"other-{i}") != 1)
        only = batch([(key.encode(), BODY, INCREMENT)] * 2, producer=77, epoch=0, sequence=0)
        with Client(at.address) as client:
            for again in range(3):
                assert client.produce("g.messages", first, partition=1)[0] == 0, again
            told = [client.produce("g.messages", only, partition=home(key)) for _ in range(2)]  # another partition: another row of sequences
            assert told[0] == told[1] and told[0][0] == 0 and told[0][1] >= 0, told
        at.server.kill()
        at.server.start()
        with Client(at.address) as client:
            assert client.produce("g.messages", first, partition=1)[0] == 0
            assert client.produce("g.messages", only, partition=home(key)) == told[0], "a repeat has another offset after a restart"
            gap = batch(records, producer=77, epoch=0, sequence=30)
            assert client.produce("g.messages", gap, partition=1) == (OUT_OF_ORDER, -1)
            assert client.produce("g.messages", second, partition=1)[0] == 0
            # A header cannot say who one is; another producer's same sequence is another message.
            forged = {**INCREMENT, "afdg-id": b"\x01\x02" + struct.pack(">B", 16) + b"kafka/4d/0/1/000"}
            assert client.produce("g.messages", batch([(b"k0", BODY, forged)], producer=78, epoch=0, sequence=0), partition=1)[0] == 0
            assert client.produce("g.messages", batch(records[:1], producer=77, epoch=1, sequence=0), partition=1)[0] == 0
            assert client.produce("g.messages", batch(records, producer=77, epoch=0, sequence=20), partition=1) == (FENCED, -1)
        settle(lambda: [hits(at.server, f"k{i}") for i in range(10)] == [4] + [2] * 9)
        assert hits(at.server, key) == 2


class Row:
    """An idempotent producer to one partition: three batches under way, connections that are lost, and what was not
    answered is sent again in its order."""

    def __init__(self, producer, partition, batches):
        self.partition, self.batches, self.answered, self.tries = partition, [], 0, 0
        self.sent = {}
        sequence = 0
        for number in range(batches):
            records = []
            # Now and then a batch that takes more than one append: thousands of records, compressed.
            for n in range(6000 if number % 10 == 9 else 1 + number % 7):
                key = f"list-{(n + number) % 8}"
                self.sent[key] = self.sent.get(key, 0) + 1
                records.append((key.encode(), b'{"key":"%d","values":[%d]}' % (producer, self.sent[key]), APPEND))
            self.batches.append(batch(records, producer=producer, epoch=0, sequence=sequence, packed=number % 2 == 1))
            sequence += len(records)

    def run(self, address, until):
        while self.answered < len(self.batches) and time.monotonic() < until:
            with contextlib.suppress(EOFError, OSError), Client(address) as client:
                self.tries += 1
                under_way = 0
                while self.answered < len(self.batches):
                    while under_way < 3 and self.answered + under_way < len(self.batches):
                        client.send(wire.PRODUCE, 3, wire.produce_body("g.messages", self.batches[self.answered + under_way], partition=self.partition))
                        under_way += 1
                    if self.tries < 8 and self.answered % 5 == self.tries % 5:
                        time.sleep(0.02)
                        break  # the answers are lost, most of the batches are not
                    error, _ = client.produced(client.receive()[1])[0][2:]
                    if error in RETRIED:
                        break  # those behind it are out of order: all of them again
                    assert error == 0, f"batch {self.answered} got error {error}"
                    self.answered += 1
                    under_way -= 1
            time.sleep(0.02)


def through_kills(server, kills):
    """Five producers and so many SIGKILLs. What is wrong with the lists that the agents then hold: nothing, but for a planted bug."""
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()
    server.afdg("grid", "create", "g", "--regions", REGIONS)
    rows = [Row(producer, producer % REGIONS, 10 * kills) for producer in range(1, 6)]
    until = time.monotonic() + 60
    failures = []

    def run(row):
        try:
            row.run(server.kafka, until)
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for kill in range(kills):
        while sum(row.answered for row in rows) < 50 * kill + 20 and time.monotonic() < until and not failures:
            time.sleep(0.005)
        server.kill()
        server.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert [row.answered for row in rows] == [10 * kills] * 5 and max(row.tries for row in rows) > 1, [(row.answered, row.tries) for row in rows]

    def found(key, producer):
        values = []
        while True:
            asked = json.dumps({"key": str(producer), "from": len(values)})
            done = server.afdg("-o", "json", "agent", "request", f"entity/{key}", "Range", asked, grid="g", check=None)
            if done.returncode != 0:
                assert "kOverloaded" in done.stderr, done.stderr  # its records are still on their way
                return []
            answer = json.loads(done.stdout)
            values += answer.get("values", [])
            if len(values) >= int(answer.get("length", 0)):
                return values

    wrong = []
    for producer, row in enumerate(rows, 1):
        for key, count in row.sent.items():
            settle(lambda: len(found(key, producer)) >= count)
            values = found(key, producer)
            if values != list(range(1, count + 1)):
                wrong.append(f"{key} has {len(values)} records of producer {producer}; sent were {count}, in their order")
    assert dead(server) == []
    assert server.stop() == 0
    code, said = server.verify()
    assert code == 0, said
    print(f"         {sum(sum(row.sent.values()) for row in rows)} records in {sum(row.tries for row in rows)} connections", flush=True)
    return wrong


def killed(folder):
    """idempotent producers that go on through SIGKILLs: each agent has every record once, and a producer's records in their order"""
    wrong = through_kills(harness.Server(folder / "data"), 3)
    assert not wrong, wrong[:3]


def planted(folder):
    """the same finds a server that does not know repeats"""
    wrapper = folder / "server"  # it wants its own flag first
    wrapper.write_text(f'#!/bin/sh\nexec {harness.BIN / "probe_server"} --inject no-dedup "$@"\n')
    wrapper.chmod(0o755)
    assert through_kills(harness.Server(folder / "data", program=wrapper), 2), "the planted bug was not found"


def two_nodes(folder):
    """with regions on two nodes each takes what is produced to its partitions, and a record for a node that is away waits for it"""
    servers = []

    def start(name, *flags):
        servers.append(harness.Server(folder / name, *flags))
        servers[-1].kafka = f"127.0.0.1:{harness.free_port()}"
        return servers[-1].start()

    try:
        first = start("one")
        second = start("two", "--roles", "region", "--catalog", first.address)
        first.afdg("grid", "create", "g", "--regions", REGIONS)
        keys = [f"agent-{i}" for i in range(12)]
        record = batch([(key.encode(), BODY, INCREMENT) for key in keys])
        led = {}
        with Client(first.kafka) as one, Client(second.kafka) as two:
            for partition in range(REGIONS):
                told = [client.produce("g.messages", record, partition=partition) for client in (one, two)]
                assert sorted(error for error, _ in told) == [0, NOT_LEADER], told
                led[partition] = 0 if told[0][0] == 0 else 1
            assert set(led.values()) == {0, 1}, led
            settle(lambda: [hits(first, key) for key in keys] == [REGIONS] * len(keys))
            second.kill()
            mine = next(partition for partition, node in led.items() if node == 0)
            told = [one.produce("g.messages", record, partition=mine) for _ in range(3)]
            assert told == [(0, -1)] * 3, f"while the other node is away: {told}"
            # Until the outbox is full: then nothing of a batch is taken, and clients try again.
            away = next(f"away-{i}" for i in range(100) if led[home(f"away-{i}")] == 1)
            here = next(f"here-{i}" for i in range(100) if home(f"here-{i}") == mine)
            taken, many = 0, [(away.encode(), BODY, INCREMENT)] * 4999 + [(here.encode(), BODY, INCREMENT)]
            while taken < 30:
                error, _ = one.produce("g.messages", batch(many, packed=True), partition=mine)
                if error:
                    break
                taken += 1
            assert (error, taken) == (NOT_ENOUGH_REPLICAS, 21), (error, taken)
            assert one.produce("g.messages", batch([(here.encode(), BODY, INCREMENT)]), partition=mine)[0] == 0
        first.kill()  # what waits for the other node is as durable as the rest
        first.start()
        second.start()
        settle(lambda: [hits(first, key) for key in keys] == [REGIONS + 3] * len(keys), 30)
        settle(lambda: (hits(first, here), hits(first, away)) == (taken + 1, 4999 * taken), 30)
    finally:
        for server in reversed(servers):
            if server.process.poll() is None:
                server.stop()


PYTHON = '''
import json, sys
from kafka import KafkaProducer
more = {"enable_idempotence": True} if "idempotent" in sys.argv else {}
producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all", linger_ms=10, compression_type="gzip", **more)
waiting = [producer.send("g.messages", key=b"python-%d" % (n % 5), value=b'{"key":"visits","by":1}', headers=[("afdg-message", b"Increment")]) for n in range(100)]
producer.flush(20)
print(json.dumps([(one.get(20).partition, one.get(20).offset) for one in waiting]))
'''
CONFLUENT = '''
import json, sys
from confluent_kafka import Producer
told = []
producer = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "linger.ms": 10, "partitioner": sys.argv[2]})
for n in range(100):
    producer.produce("g.messages", key=b"confluent-%d" % (n % 5), value=b'{"key":"visits","by":1}', headers=[("afdg-message", b"Increment")],
                     on_delivery=lambda error, message: told.append((str(error), message.partition(), message.offset())))
producer.flush(20)
assert [error for error, _, _ in told] == ["None"] * 100, told
print(json.dumps([(partition, offset) for _, partition, offset in told]))
'''


def real_clients(folder):
    """kafka-python and confluent-kafka, idempotent, produce to agents; with Java's partitioner the offsets they are told are true"""
    try:
        programs = [("python", [clients.kafka_python("2.0.2")[0], "-c", PYTHON]), ("python", [clients.kafka_python("3.0.12")[0], "-c", PYTHON, "idempotent"]),
                    ("confluent", [clients.confluent()[0], "-c", CONFLUENT, "murmur2_random"]), ("confluent", [clients.confluent()[0], "-c", CONFLUENT, "consistent_random"])]
    except clients.Missing as reason:
        raise harness.Skip(str(reason)) from reason
    with endpoint(folder, ours=True) as at:
        at.server.afdg("grid", "create", "g", "--regions", REGIONS)
        counted = {}
        for name, (python, flag, script, *more) in programs:
            done = subprocess.run([python, flag, script, at.address, *more], capture_output=True, text=True, timeout=60, cwd=folder)
            assert done.returncode == 0, f"{name} {more}: {done.stdout}{done.stderr}"
            counted[name] = counted.get(name, 0) + 20
            settle(lambda name=name: [hits(at.server, f"{name}-{n}") for n in range(5)] == [counted[name]] * 5)
            if "consistent_random" in more:
                continue
            told = json.loads(done.stdout)
            assert all(offset >= 0 for _, offset in told), told
            with Client(at.address) as client:
                for partition in {partition for partition, _ in told}:
                    there = [key for offset, key, _, _ in records(client.fetch("g.messages", 0, partition=partition)[2])]
                    for at_partition, offset in told:
                        assert at_partition != partition or there[offset].startswith(name.encode()), (name, partition, offset, there[offset])


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
    sys.exit(harness.run_cases(keyed, defaults, again, nobody_understands, once, killed, planted, two_nodes, with_kcat, real_clients))
