#!/usr/bin/python3
"""A full disk as Kafka's clients see it, on a small tmpfs: produces and offset commits are refused by their codes, reads go on, cleaning
waits for room, and nothing that was acknowledged is lost."""
import contextlib
import json
import shutil
import struct
import subprocess
import sys
import time

import harness
import kafka_client as wire
from kafka_client import Client

MIB = 1 << 20
OFFSET_COMMIT, OFFSET_FETCH = 8, 9
COORDINATOR_NOT_AVAILABLE, KAFKA_STORAGE_ERROR = 15, 56
FLAGS = ("--journal-bytes", str(8 * MIB), "--checkpoint-bytes", str(4 * MIB), "--cleaner-interval-ms", "100")
BLOCK = 4096


class Disk:
    """A file system of 160 MiB that can be filled and freed."""

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.ballast = self.folder / "ballast"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(self.folder)], capture_output=True, text=True)
        if done.returncode != 0:
            raise harness.Skip(f"mounting a tmpfs is not allowed: {done.stderr.strip()}")

    def fill(self):
        with open(self.ballast, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while shutil.disk_usage(self.folder).free and file.write(b"\0" * BLOCK):
                pass

    def free(self):
        self.ballast.unlink()


@contextlib.contextmanager
def full_disk_node(folder):
    """(the disk, a server on it)"""
    disk = Disk(folder)
    server = harness.Server(disk.folder / "data", *FLAGS)
    server.log = folder / "log"
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    try:
        yield disk, server.start()
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        subprocess.run(["umount", "-l", str(disk.folder)], capture_output=True)


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Topic:
    """One partition, and what of it was acknowledged."""

    def __init__(self, server, name, settings=()):
        self.server, self.name, self.told, self.serial = server, name, {}, 0
        server.afdg("topic", "create", name, *(word for setting in settings for word in ("-c", setting)))

    def produce(self, client, size=20_000):
        """The error code of one more record."""
        self.serial += 1
        value = f"{self.name}-{self.serial} ".encode() + b"x" * size
        error, offset = client.produce(self.name, wire.batch([value]))
        if error == wire.NONE:
            assert offset not in self.told, f"offset {offset} was given twice"
            self.told[offset] = value
        return error

    def until_refused(self, size=20_000, seconds=60):
        """Produces until the disk is full. Whoever is under way when it fills up may wait for space: that one is in doubt."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError, EOFError), Client(self.server.kafka, seconds=3) as client:
                while time.monotonic() < end:
                    begun = time.monotonic()
                    error = self.produce(client, size)
                    if error == KAFKA_STORAGE_ERROR:
                        assert time.monotonic() - begun < 2, "a refusal took longer than 2 s"
                        return
                    assert error == wire.NONE, error
        raise AssertionError(f"{self.name} was never refused in {seconds} s")

    def goes_on(self, count=50):
        """It takes records again, without anything being restarted."""
        with Client(self.server.kafka) as client:
            until(f"{self.name} can be written", lambda: self.produce(client) == wire.NONE)
            for _ in range(count):
                assert self.produce(client) == wire.NONE

    def read(self, start=0):
        """{offset: value} of all that is there; every batch is sound."""
        found, offset = {}, start
        with Client(self.server.kafka) as client:
            while True:
                error, watermark, data = client.fetch(self.name, offset, most=4 * MIB)
                assert error == wire.NONE, error
                if offset >= watermark or not data:
                    return found
                for base, count, right in wire.batches(data):
                    size = 12 + struct.unpack_from(">i", data, 8)[0]
                    assert right and count == 1, (base, count, right)
                    found[base] = wire.only_value(data[:size])
                    offset, data = base + count, data[size:]

    def check(self, start=0):
        found = self.read(start)
        lost = [offset for offset, value in self.told.items() if offset >= start and found.get(offset) != value]
        assert not lost, f"{len(lost)} of {len(self.told)} acknowledged records of {self.name} are lost or elsewhere, {lost[:3]} for example"


def commit(client, group, topic, offset):
    body = wire.text(group) + struct.pack(">i", -1) + wire.text("") + struct.pack(">q", -1) + wire.array([wire.text(topic) + wire.array([struct.pack(">iq", 0, offset) + wire.text("")])])
    answer = client.call(OFFSET_COMMIT, 2, body)
    return answer.array(lambda: (answer.text(), answer.array(lambda: answer.take("ih"))))[0][1][0][1]


def committed(client, group, topic):
    """(error, offset)"""
    answer = client.call(OFFSET_FETCH, 1, wire.text(group) + wire.array([wire.text(topic) + wire.array([struct.pack(">i", 0)])]))
    _, parts = answer.array(lambda: (answer.text(), answer.array(lambda: (answer.take("iq"), answer.text(), answer.take("h")))))[0]
    return parts[0][2], parts[0][0][1]


def clients(folder):
    """produces get KAFKA_STORAGE_ERROR, commits COORDINATOR_NOT_AVAILABLE; reads go on; after a kill and a start on the full disk, too; space makes it go on"""
    with full_disk_node(folder) as (disk, server):
        topic = Topic(server, "t")
        topic.goes_on()
        with Client(server.kafka) as client:
            until("groups are served", lambda: commit(client, "readers", "t", 1) == wire.NONE)
        disk.fill()
        topic.until_refused()
        kept = 1
        with Client(server.kafka, seconds=3) as client:
            for offset in range(2, 100_000):  # a commit is small: the journal has room for some
                error = commit(client, "readers", "t", offset)
                if error != wire.NONE:
                    break
                kept = offset
                assert topic.produce(client, size=100) in (wire.NONE, KAFKA_STORAGE_ERROR)
            assert error == COORDINATOR_NOT_AVAILABLE, error
            assert committed(client, "readers", "t") == (wire.NONE, kept)
        print(f"         {len(topic.told)} records and {kept} commits were acknowledged before the refusal", flush=True)
        topic.check()
        with Client(server.kafka) as client:
            assert client.fetch("t", max(topic.told) + 1, wait=300, least=1)[0] == wire.NONE, "a fetch at the end waits as ever"
            for _ in range(20):
                assert topic.produce(client) == KAFKA_STORAGE_ERROR
        for life in range(2):
            server.kill()
            code, text = server.verify()
            assert code == 0, f"life {life}: {text}"
            server.start()
            topic.check()
            with Client(server.kafka) as client:
                until("the group is served", lambda: committed(client, "readers", "t") == (wire.NONE, kept), 10)
            topic.until_refused()
        disk.free()
        topic.goes_on()
        with Client(server.kafka) as client:
            until("commits are taken", lambda: commit(client, "readers", "t", kept + 1) == wire.NONE)
            assert committed(client, "readers", "t") == (wire.NONE, kept + 1)
        topic.check()
        assert server.stop() == 0, server.output()
        code, text = server.verify()
        assert code == 0, text


def first(server, topic):
    """Where the topic's only partition starts."""
    return int(json.loads(server.afdg("-o", "json", "topic", "describe", topic).stdout)["partition_infos"][0].get("start", 0))


FIRST = "00000000000000000000.log"


def segments(server, topic):
    return {path.name for path in server.data.rglob(f"{topic}-0/*.log")}


def deleted(client, topic):
    """The error code of its deletion."""
    answer = client.call(wire.DELETE_TOPICS, 1, wire.array([wire.text(topic)]) + struct.pack(">i", 10000))
    answer.take("i")
    return answer.array(lambda: (answer.text(), answer.take("h")))[0][1]


def consumed(server, topic):
    """{key: [(offset, value)]}"""
    out = {}
    for line in server.afdg("topic", "consume", topic, "-e", "-f", "%o %k %v\\n").stdout.splitlines():
        offset, key, value = line.split(" ")
        out.setdefault(key, []).append((int(offset), value))
    return out


def cleaning(folder):
    """retention moves the start, compaction and the files that retention gave up wait for room; topics neither come nor go; what is left is whole"""
    with full_disk_node(folder) as (disk, server):
        old = Topic(server, "old", (f"segment.bytes={MIB}", "retention.ms=8000"))
        with Client(server.kafka) as client:
            for _ in range(700):
                assert old.produce(client) == wire.NONE
        server.afdg("topic", "create", "state", "-c", "cleanup.policy=compact", "-c", f"segment.bytes={MIB}", "-c", "min.cleanable.dirty.ratio=0.1",
                    "-c", "min.compaction.lag.ms=5000")
        server.afdg("topic", "produce", "state", "-K", ":", input="".join(f"k{serial % 10}:{serial}-{'x' * 20_000}\n" for serial in range(150)))
        disk.fill()
        old.until_refused()
        before = consumed(server, "state")
        assert sum(map(len, before.values())) == 150, "it was compacted before the disk was full"
        until("retention moved the start", lambda: first(server, "old") > 0)  # its files go with the next checkpoint, which needs room
        with Client(server.kafka) as client:
            assert client.fetch("old", 0)[0] == wire.OFFSET_OUT_OF_RANGE
            assert client.create("new") == KAFKA_STORAGE_ERROR
            assert deleted(client, "state") == KAFKA_STORAGE_ERROR
        old.check(first(server, "old"))
        assert consumed(server, "state") == before, "it was compacted on the full disk"
        assert FIRST in segments(server, "old")
        disk.free()
        old.goes_on(400)  # more than half a journal, so that there is a checkpoint
        until("the files that retention gave up are gone", lambda: FIRST not in segments(server, "old"))
        old.check(first(server, "old"))
        until("it is compacted", lambda: sum(map(len, consumed(server, "state").values())) < 75, 60)
        after = consumed(server, "state")
        assert {key: some[-1] for key, some in after.items()} == {key: some[-1] for key, some in before.items()}, "the last record of a key is lost"
        assert server.stop() == 0, server.output()
        code, text = server.verify()
        assert code == 0, text


if __name__ == "__main__":
    sys.exit(harness.run_cases(clients, cleaning))
