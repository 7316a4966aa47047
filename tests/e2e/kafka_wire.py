#!/usr/bin/python3
"""Bytes that no client library sends: the Kafka endpoint must answer right or close, keep its memory, and go on for the others.

AFDG_KAFKA=HOST:PORT lets the cases that need only an endpoint run against another server, the real Kafka for example.
"""
import concurrent.futures
import contextlib
import itertools
import os
import random
import resource
import struct
import sys
import threading
import time
import uuid

import harness
import kafka_client as wire
from kafka_client import Client

MIB = 1 << 20
BATCH_MAX = MIB + 12


class Endpoint:
    """The server under test; `server` is None if it is not ours."""

    def __init__(self, server, address):
        self.server, self.address = server, address

    def resident(self):
        if not self.server:
            return 0
        with open(f"/proc/{self.server.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def cpu(self):
        with open(f"/proc/{self.server.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lives(self):
        """A new client is answered soon."""
        begun = time.monotonic()
        with Client(self.address) as client:
            error, keys = client.api_versions()
            assert error == wire.NONE and wire.PRODUCE in keys, (error, keys)
        took = time.monotonic() - begun
        assert took < 2, f"a new client waited {took:.1f} s for its answer"
        if self.server:
            assert self.server.process.poll() is None, self.server.output()[-2000:]


@contextlib.contextmanager
def endpoint(folder, ours=False):
    if "AFDG_KAFKA" in os.environ and not ours:
        yield Endpoint(None, os.environ["AFDG_KAFKA"])
        return
    if "AFDG_KAFKA" in os.environ:
        raise harness.Skip("needs a server of its own")
    server = harness.Server(folder / "data")
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()
    try:
        yield Endpoint(server, server.kafka)
    finally:
        if server.process.poll() is None:
            code = server.stop()
            assert code == 0, f"the server ended with {code}: {server.output()[-2000:]}"


def topic_name():
    return "wire-" + uuid.uuid4().hex[:8]


def new_topic(client, partitions=1):
    name = topic_name()
    assert client.create(name, partitions) == wire.NONE
    end = time.monotonic() + 10  # the real Kafka creates in the background
    while client.fetch(name, 0)[0] != wire.NONE:
        assert time.monotonic() < end, f"{name} cannot be read"
        time.sleep(0.02)
    return name


def versions(folder):
    """a version that nobody knows is answered or closes, as Kafka does it"""
    with endpoint(folder) as at:
        with Client(at.address) as client:
            error, keys = client.api_versions()
            assert error == wire.NONE and keys[wire.PRODUCE][0] == 0 and keys[wire.API_VERSIONS][0] == 0, keys
            error, all_keys = client.api_versions(99, b"\0" + os.urandom(40))  # its body is not read
            assert error == wire.UNSUPPORTED_VERSION and all_keys[wire.API_VERSIONS] == keys[wire.API_VERSIONS], (error, all_keys)
            assert client.api_versions() == (wire.NONE, keys), "the connection goes on after that"
        for key, version in ((999, 0), (-1, 0), (wire.METADATA, 77), (wire.PRODUCE, -1), (wire.FETCH, 99)):
            with Client(at.address) as client:
                client.send(key, version, b"\0" * 30)
                assert client.closed(), f"key {key} version {version} got an answer"
        at.lives()


def garbage(folder):
    """random bytes, frames cut short, and impossible sizes and counts close the one connection that sent them"""
    with endpoint(folder) as at:
        before = at.resident()
        chance = random.Random(4)
        for size in (-1, -(1 << 31), 0, 1, 0x7FFFFFFF, 33 * MIB if at.server else 101 * MIB):
            with Client(at.address) as client:
                client.raw(struct.pack(">i", size) + b"\0" * 3)
                assert size == 1 and not at.server or client.closed(), f"a frame of {size} bytes was not refused"
        many = struct.pack(">i", 0x7FFFFFFF)
        few = struct.pack(">i", -5)
        head = text_null = wire.text(None)
        for key, version, body in ((wire.METADATA, 4, many + b"\1"), (wire.PRODUCE, 3, head + struct.pack(">hi", -1, 1000) + many),
                                   (wire.PRODUCE, 3, head + struct.pack(">hi", -1, 1000) + wire.array([wire.text("t") + many])),
                                   (wire.PRODUCE, 3, head + struct.pack(">hi", -1, 1000) + few),
                                   (wire.FETCH, 4, struct.pack(">iiiib", -1, 0, 0, 1, 0) + many), (wire.LIST_OFFSETS, 1, struct.pack(">i", -1) + many),
                                   (wire.CREATE_TOPICS, 2, many), (wire.INIT_PRODUCER_ID, 0, struct.pack(">h", 0x7FFF) + text_null)):
            with Client(at.address) as client:
                client.send(key, version, body)
                assert client.closed(), f"key {key} with a count that cannot be got an answer"
        whole = ((wire.METADATA, 4, wire.array([wire.text("t")]) + b"\0"), (wire.PRODUCE, 3, wire.produce_body("t", wire.batch([b"v"]))),
                 (wire.FETCH, 4, wire.fetch_body("t", 0)), (wire.CREATE_TOPICS, 2, wire.create_body("t", 1)))
        for key, version, body in whole:
            for cut in sorted({0, 1, len(body) // 3, len(body) // 2, len(body) - 1}):
                with Client(at.address) as client:
                    client.send(key, version, body[:cut])
                    assert client.closed(), f"key {key} cut to {cut} of {len(body)} bytes got an answer"
        with Client(at.address) as client:
            keys = sorted(client.api_versions()[1].items())
        for turn in range(400):
            key, (low, high) = chance.choice(keys)
            noise = chance.randbytes(chance.randrange(1, 300))
            with Client(at.address) as client, contextlib.suppress(ConnectionError):
                client.raw(noise if turn % 4 == 0 else wire.frame(key, chance.randint(low, high), turn, noise))
        at.lives()
        grown = at.resident() - before
        assert grown < 64 * MIB, f"memory grew by {grown / MIB:.0f} MiB"


def refused_batches(folder):
    """a batch that is not right is refused by its own code and leaves no trace; one that is right lands where it is said to"""
    with endpoint(folder) as at, Client(at.address) as client:
        topic = new_topic(client)
        good = wire.batch([b"one", b"two"])
        wrong = {
            "wrong CRC": (wire.batch([b"x"], crc=1), {wire.CORRUPT_MESSAGE}),
            "one byte flipped": (good[:-3] + b"Q" + good[-2:], {wire.CORRUPT_MESSAGE}),
            "two batches": (good + good, {wire.INVALID_RECORD}),
            "more records than said": (wire.batch([b"a", b"b"], count=1), {wire.INVALID_RECORD}),
            "fewer records than said": (wire.batch([b"a", b"b"], count=3), {wire.INVALID_RECORD}),
            "a control batch": (wire.batch([b"a"], attributes=1 << 5), {wire.INVALID_RECORD}),
            "codec 7": (wire.batch([b"a"], attributes=7), {wire.INVALID_RECORD, wire.CORRUPT_MESSAGE, 76}),
            "too large": (wire.batch([bytes(BATCH_MAX)]), {wire.MESSAGE_TOO_LARGE}),
            "cut short": (good[:-1], {wire.CORRUPT_MESSAGE, wire.INVALID_RECORD}),
            "no batch": (b"", {wire.INVALID_RECORD}),
        }
        for name, (records, codes) in wrong.items():
            if not at.server and name in ("codec 7", "cut short"):
                continue  # the real Kafka answers -1 or closes, which makes clients write again: not a model
            error, offset = client.produce(topic, records)
            assert error in codes and offset == -1, f"{name}: error {error} at {offset}, not one of {codes}"
        assert client.fetch(topic, 0)[:2] == (wire.NONE, 0), "a refused batch was written"
        assert client.produce(topic, good, acks=7)[0] == wire.INVALID_REQUIRED_ACKS
        assert client.produce(topic, good, acks=-1) == (wire.NONE, 0)
        assert client.produce(topic, good, acks=1) == (wire.NONE, 2)
        silent = client.send(wire.PRODUCE, 3, wire.produce_body(topic, good, acks=0))
        sent = client.send(wire.API_VERSIONS, 0, b"")
        assert client.receive()[0] == sent, f"request {silent} with acks 0 was answered"
        end = time.monotonic() + 5
        while client.fetch(topic, 0)[1] != 6:
            assert time.monotonic() < end, "the batch with acks 0 did not arrive"
        found = []
        while len(found) < 3:
            found += wire.batches(client.fetch(topic, 2 * len(found))[2])
        assert found == [(0, 2, True), (2, 2, True), (4, 2, True)], found
        for bad, partition in ((topic_name(), 0), (topic, 7), (topic, -1)):
            assert client.produce(bad, good, partition=partition) == (wire.UNKNOWN_TOPIC, -1), (bad, partition)
    with endpoint(folder) as at, Client(at.address) as client:
        client.send(wire.PRODUCE, 3, wire.produce_body(topic_name(), good, acks=0))
        assert client.closed(), "a failed produce with acks 0 tells the client by closing"


def fetch_edges(folder):
    """a fetch starts at the batch that holds its offset, and says so where there is none"""
    with endpoint(folder) as at, Client(at.address) as client:
        topic = new_topic(client)
        for _ in range(3):
            assert client.produce(topic, wire.batch([b"a", b"b"]))[0] == wire.NONE
        for offset in (-1, -2, 7, 1 << 60):
            assert client.fetch(topic, offset, wait=5000, least=1)[0] == wire.OFFSET_OUT_OF_RANGE, offset
        assert client.fetch(topic_name(), 0)[0] == wire.UNKNOWN_TOPIC
        assert client.fetch(topic, 0, partition=3)[0] == wire.UNKNOWN_TOPIC
        assert client.fetch(topic, 6) == (wire.NONE, 6, b"")
        bases, offset = [], 3
        while offset < 6:  # an answer may stop at any batch
            found = wire.batches(client.fetch(topic, offset)[2])
            bases += [base for base, _, _ in found]
            offset = found[-1][0] + found[-1][1]
        assert bases == [2, 4], bases
        first = client.fetch(topic, 0, most=1)[2]
        assert wire.batches(first)[0] == (0, 2, True), "a batch above the limit did not come whole"
        assert len(wire.batches(first)) == 1


def long_polls(folder):
    """a waiting fetch ends with a produce at once, with its time, and not before its bytes"""
    with endpoint(folder) as at, Client(at.address) as reader, Client(at.address) as writer:
        topic = new_topic(writer)
        late = []
        for offset in range(20):
            reader.send(wire.FETCH, 4, wire.fetch_body(topic, offset, wait=8000, least=1))
            time.sleep(0.01)
            assert writer.produce(topic, wire.batch([b"wake"])) == (wire.NONE, offset)
            done = time.monotonic()
            error, _, data = reader.fetched(reader.receive()[1])
            assert error == wire.NONE and wire.batches(data)[0][0] == offset, (error, data)
            late.append(time.monotonic() - done)
        assert sorted(late)[10] < 0.05 and max(late) < 1, f"waiting fetches ended {late} s after the produce"
        begun = time.monotonic()
        assert reader.fetch(topic, 20, wait=300, least=1) == (wire.NONE, 20, b"")
        took = time.monotonic() - begun
        assert 0.28 < took < 2, f"a fetch that waits 300 ms took {took * 1000:.0f} ms"
        begun = time.monotonic()
        assert reader.fetch(topic, 20, wait=5000, least=0) == (wire.NONE, 20, b""), "min_bytes 0 does not wait"
        assert time.monotonic() - begun < 2
        # 10 batches of 1 KiB reach 8 KiB, the first seven do not.
        reader.send(wire.FETCH, 4, wire.fetch_body(topic, 20, wait=8000, least=8192))
        reader.socket.settimeout(0.3)
        for turn in range(7):
            assert writer.produce(topic, wire.batch([bytes(1024)]))[0] == wire.NONE
        with contextlib.suppress(TimeoutError):
            reader.socket.recv(1)
            raise AssertionError("a fetch of 8 KiB was answered with less")
        reader.socket.settimeout(10)
        for turn in range(3):
            assert writer.produce(topic, wire.batch([bytes(1024)]))[0] == wire.NONE
        error, _, data = reader.fetched(reader.receive()[1])
        assert error == wire.NONE and len(data) >= 8192, (error, len(data))
        if at.server:
            before, begun = at.cpu(), time.monotonic()
            with contextlib.ExitStack() as stack:
                for _ in range(200):
                    waiting = stack.enter_context(Client(at.address))
                    waiting.send(wire.FETCH, 4, wire.fetch_body(topic, 30, wait=1500, least=1))
                time.sleep(0.4)
                before, begun = at.cpu(), time.monotonic()
                time.sleep(0.6)
                share = (at.cpu() - before) / (time.monotonic() - begun)
            assert share < 0.25, f"200 waiting fetches cost {share * 100:.0f} % of a core"


def pipelined(folder):
    """hundreds of requests in one go are answered in their order, a waiting one before those behind it"""
    with endpoint(folder) as at, Client(at.address) as client:
        topic = new_topic(client)
        requests, offset = [], 0
        for turn in range(600):
            if turn == 300:
                requests.append((wire.FETCH, 4, wire.fetch_body(topic, 1 << 20 if not at.server else offset, wait=200, least=1 << 30)))
            elif turn % 3 == 0:
                requests.append((wire.PRODUCE, 3, wire.produce_body(topic, wire.batch([b"%d" % turn]))))
                offset += 1
            elif turn % 3 == 1:
                requests.append((wire.API_VERSIONS, 0, b""))
            else:
                requests.append((wire.METADATA, 4, wire.array([wire.text(topic)]) + b"\0"))
        client.raw(b"".join(wire.frame(key, version, 1000 + turn, body) for turn, (key, version, body) in enumerate(requests)))
        landed = []
        for turn, (key, _, _) in enumerate(requests):
            got, answer = client.receive()
            assert got == 1000 + turn, f"answer {got - 1000} came when {turn} was due"
            if key == wire.PRODUCE:
                landed.append(client.produced(answer)[0][2:])
        assert landed == [(wire.NONE, place) for place in range(offset)], landed[:5]


def in_pieces(folder):
    """requests of any size arrive, wherever the network cuts them"""
    with endpoint(folder) as at, Client(at.address) as client:
        topic, asked = new_topic(client), []
        for size in (0, 1, 5000, 16 << 10, (16 << 10) + 1, 200_000, 256 << 10, 300_000, 700_000):
            asked.append(wire.frame(wire.PRODUCE, 3, len(asked), wire.produce_body(topic, wire.batch([bytes([65 + len(asked)]) * size]))))
        sent, cuts = b"".join(asked) * 2, set()
        for turn, end in enumerate(itertools.accumulate(map(len, asked * 2))):
            cuts |= {end + away for away in ((-10, 2), (-20_000, 3), (0,), (-280_000, -1))[turn % 4]}
        begun = 0
        for cut in (*sorted(at for at in cuts if 0 < at < len(sent)), len(sent)):
            client.raw(sent[begun:cut])
            begun = cut
            time.sleep(0.03)
        landed = [client.produced(client.receive()[1])[0][2:] for _ in range(2 * len(asked))]
        assert landed == [(wire.NONE, offset) for offset in range(2 * len(asked))], landed
        at.lives()


def topics_come_and_go(folder):
    """making, filling and deleting topics in turns never leaves one of them waiting for the log"""
    with endpoint(folder) as at, Client(at.address) as client:
        for _ in range(15):
            topics = [new_topic(client, partitions) for partitions in (3, 1)]
            for topic in topics * 10:
                assert client.produce(topic, wire.batch([bytes(1000)] * 5))[0] == wire.NONE
            answer = client.call(wire.DELETE_TOPICS, 1, wire.array([wire.text(topic) for topic in topics]) + struct.pack(">i", 10000))
            answer.take("i")
            errors = dict(answer.array(lambda: (answer.text(), answer.take("h"))))
            assert errors == dict.fromkeys(topics, wire.NONE), errors


def idle_and_half(folder):
    """a thousand connections that send nothing, or half a frame, cost little and hold nobody up"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        raise harness.Skip(f"only {hard} descriptors a process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    with endpoint(folder, ours=True) as at, contextlib.ExitStack() as stack:
        before = at.resident()
        idle = [stack.enter_context(Client(at.address)) for _ in range(1000)]
        at.lives()
        grown = at.resident() - before
        assert grown < 32 * MIB, f"1,000 idle connections cost {grown / MIB:.0f} MiB"
        busy, begun = at.cpu(), time.monotonic()
        time.sleep(0.5)
        share = (at.cpu() - busy) / (time.monotonic() - begun)
        assert share < 0.25, f"1,000 idle connections cost {share * 100:.0f} % of a core"
        for turn, client in enumerate(idle):
            client.raw(struct.pack(">i", 31 * MIB)[:4 if turn % 2 else 3] + b"\0\3" * (turn % 2))
        at.lives()
        grown = at.resident() - before
        assert grown < 64 * MIB, f"1,000 connections that announced 31 MiB each cost {grown / MIB:.0f} MiB"
        with Client(at.address) as client:
            new_topic(client)


def never_reads(folder):
    """a client that asks for much and reads nothing costs bounded memory, and the others are served meanwhile"""
    with endpoint(folder, ours=True) as at, Client(at.address) as client:
        topic = new_topic(client)
        large = wire.batch([bytes(900 * 1024)])
        for _ in range(20):
            assert client.produce(topic, large)[0] == wire.NONE
        before = at.resident()
        with Client(at.address) as greedy, Client(at.address) as patient:
            body = wire.fetch_body(topic, 0, most=50 * MIB)
            greedy.raw(b"".join(wire.frame(wire.FETCH, 4, turn, body) for turn in range(120)))
            slow = wire.fetch_body(topic, 0, wait=300, least=0x7FFFFFFF, most=50 * MIB)  # all answered at the same moment
            patient.raw(b"".join(wire.frame(wire.FETCH, 4, turn, slow) for turn in range(120)))
            most, end = 0, time.monotonic() + 1.2
            while time.monotonic() < end:
                at.lives()
                most = max(most, at.resident() - before)
                time.sleep(0.05)
            assert client.produce(topic, wire.batch([b"still here"]))[0] == wire.NONE
            assert most < 400 * MIB, f"two clients that read nothing cost {most / MIB:.0f} MiB"
            for turn in range(3):  # and what they get when they read is right
                got, answer = greedy.receive()
                error, _, data = greedy.fetched(answer)
                assert got == turn and error == wire.NONE and wire.batches(data[:len(large)]) == [(0, 1, True)]


def half_sent(folder):
    """clients that send most of a large request and stop cost bounded memory, and the others are served meanwhile"""
    with endpoint(folder, ours=True) as at, contextlib.ExitStack() as stack:
        before = at.resident()
        part = struct.pack(">i", 31 * MIB) + bytes(30 * MIB)

        def push():
            client = stack.enter_context(Client(at.address, seconds=1))
            with contextlib.suppress(OSError):
                client.raw(part)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            done = [pool.submit(push) for _ in range(40)]
            most = 0
            while not all(one.done() for one in done):
                at.lives()
                most = max(most, at.resident() - before)
                time.sleep(0.05)
            for one in done:
                one.result()
        assert most < 800 * MIB, f"40 requests of 31 MiB that never end cost {most / MIB:.0f} MiB"
        at.lives()
        with Client(at.address) as client:
            assert client.produce(new_topic(client), wire.batch([bytes(900 * 1024)]))[0] == wire.NONE


def killed(folder):
    """what was acknowledged before a SIGKILL is there after it, under the offset that was told"""
    with endpoint(folder, ours=True) as at:
        with Client(at.address) as client:
            topic = new_topic(client, partitions=2)
        told, refused = {}, []

        def write(name, partition):
            with contextlib.suppress(EOFError, OSError), Client(at.address) as client:
                for turn in range(1_000_000):
                    value = f"{name}-{turn}".encode()
                    error, offset = client.produce(topic, wire.batch([value]), acks=1 if turn % 2 else -1, partition=partition)
                    if error != wire.NONE:
                        refused.append(error)
                        return
                    told[partition, offset] = value

        for cycle in range(3):
            count = len(told)
            writers = [threading.Thread(target=write, args=(f"{cycle}-{place}", place % 2)) for place in range(4)]
            for writer in writers:
                writer.start()
            end = time.monotonic() + 10
            while len(told) < count + 200 * (cycle + 1) and time.monotonic() < end:
                time.sleep(0.01)
            at.server.kill()
            for writer in writers:
                writer.join()
            assert len(told) > count + 10, f"only {len(told) - count} produces in cycle {cycle}"
            at.server.start()
        assert not refused, refused
        with Client(at.address) as client:
            found = {}
            for partition in (0, 1):
                offset = 0
                while True:
                    error, watermark, data = client.fetch(topic, offset, most=8 * MIB, partition=partition)
                    assert error == wire.NONE
                    if offset == watermark:
                        break
                    for base, count, right in wire.batches(data):
                        size = 12 + struct.unpack_from(">i", data, 8)[0]
                        assert right and base == offset and count == 1, (base, offset, count, right)
                        found[partition, base] = wire.only_value(data[:size])
                        offset, data = base + count, data[size:]
        lost = [place for place, value in told.items() if found.get(place) != value]
        assert not lost, f"{len(lost)} of {len(told)} acknowledged records are lost or elsewhere, {lost[:3]} for example"
        print(f"         {len(told)} acknowledged, {len(found)} found", flush=True)


if __name__ == "__main__":
    sys.exit(harness.run_cases(versions, garbage, refused_batches, fetch_edges, long_polls, pipelined, in_pieces, topics_come_and_go, idle_and_half, never_reads, half_sent, killed))
