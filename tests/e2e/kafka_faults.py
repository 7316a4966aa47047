#!/usr/bin/python3
"""Kafka clients whose topic is deleted while they read it, and batches that unpack to far more than they are: bounded, told by the proper code, and no
wrong byte. Partitions that could not be made."""
import concurrent.futures
import contextlib
import os
import socket
import struct
import subprocess
import sys
import time
import zlib

import harness
import kafka_client as wire
from kafka_client import Client
from kafka_wire import MIB, endpoint, new_topic

LARGE = 900 << 10
COUNT = 40
JOIN_GROUP = 11
COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, MEMBER_ID_REQUIRED = 14, 15, 79


def delete(client, topic):
    answer = client.call(wire.DELETE_TOPICS, 1, wire.array([wire.text(topic)]) + struct.pack(">i", 10000))
    answer.take("i")
    assert answer.array(lambda: (answer.text(), answer.take("h"))) == [(topic, wire.NONE)]


def until(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def open_files(at, topic):
    """The segments of a topic that the server holds open, deleted ones too."""
    folder, out = f"/proc/{at.server.process.pid}/fd", []
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(f"{folder}/{name}")
            if f"/{topic}-0/" in path:
                out.append(path)
    return out


def deleted_while_waiting(folder):
    """fetches that wait for records of a topic end soon after its deletion, with UNKNOWN_TOPIC_OR_PARTITION, and their connections go on"""
    with endpoint(folder, ours=True) as at, contextlib.ExitStack() as stack:
        maker = stack.enter_context(Client(at.address))
        topic, other = new_topic(maker), new_topic(maker)
        assert maker.produce(topic, wire.batch([b"x"])) == (wire.NONE, 0)
        readers = [stack.enter_context(Client(at.address)) for _ in range(50)]
        for reader in readers:
            reader.send(wire.FETCH, 4, wire.fetch_body(topic, 1, wait=60_000, least=1))
        bystander = stack.enter_context(Client(at.address))
        bystander.send(wire.FETCH, 4, wire.fetch_body(other, 0, wait=60_000, least=1))
        time.sleep(0.3)
        begun = time.monotonic()
        delete(maker, topic)
        for reader in readers:
            error, _, data = reader.fetched(reader.receive()[1])
            assert (error, data) == (wire.UNKNOWN_TOPIC, b""), (error, data)
        took = time.monotonic() - begun
        assert took < 3, f"the last fetch of a deleted topic ended after {took:.1f} s"
        assert all(reader.api_versions()[0] == wire.NONE for reader in readers[:5])
        assert maker.produce(other, wire.batch([b"y"])) == (wire.NONE, 0)
        assert bystander.fetched(bystander.receive()[1])[0] == wire.NONE
        until("no file of the topic is open", lambda: not open_files(at, topic))


def fill(client, topic, large):
    for turn in range(COUNT):
        assert client.produce(topic, large[turn % len(large)]) == (wire.NONE, turn)


def slow_reader(stack, at, topic):
    """A connection that asked for all of it, and took the first bytes of the answer."""
    reader = stack.enter_context(Client(at.address, seconds=20))
    reader.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    reader.send(wire.FETCH, 4, wire.fetch_body(topic, 0, most=50 * MIB))
    return reader, struct.unpack(">i", reader.exactly(4))[0], reader.exactly(100_000)


def deleted_while_sent(folder):
    """a large answer that is under way from a topic's files while the topic is deleted, and made anew, has its bytes or ends; its files are closed then"""
    with endpoint(folder, ours=True) as at, contextlib.ExitStack() as stack:
        maker = stack.enter_context(Client(at.address))
        topic = new_topic(maker)
        large = [wire.batch([bytes([65 + turn]) * LARGE]) for turn in range(4)]
        fill(maker, topic, large)
        time.sleep(0.5)  # what was produced is in segments
        readers = [slow_reader(stack, at, topic) for _ in range(3)]
        gone, _, _ = slow_reader(stack, at, topic)
        assert all(size > 20 * MIB for _, size, _ in readers), [size for _, size, _ in readers]
        assert open_files(at, topic), "the answers do not come from files, so nothing would be proved"
        begun = time.monotonic()
        delete(maker, topic)
        assert time.monotonic() - begun < 3, "the deletion waited for those who read"
        assert maker.fetch(topic, 0)[0] == wire.UNKNOWN_TOPIC
        until("the topic can be made anew", lambda: maker.create(topic) == wire.NONE)
        until("it can be written", lambda: maker.produce(topic, wire.batch([b"new" * 10_000]))[0] == wire.NONE)
        gone.socket.close()
        whole = 0
        for reader, size, begun in readers:
            answer, ended = bytearray(begun), False
            while len(answer) < size and not ended:
                try:
                    got = reader.socket.recv(1 << 18)
                except ConnectionResetError:
                    got = b""
                ended = not got
                answer += got
            whole += not ended
            at_first = bytes(answer).index(large[0][8:12])  # the length of the first batch, behind its base offset
            records, turn = bytes(answer)[at_first - 8:], 0
            while records and turn < COUNT:
                wanted = large[turn % 4]
                have = records[:len(wanted)]
                # The node writes the base offset and the leader's epoch, the rest is the producer's.
                assert len(have) < 16 or struct.unpack_from(">q", have)[0] == turn, f"batch {turn} has offset {have[:8].hex()}"
                assert have[8:12] == wanted[8:12][:max(len(have) - 8, 0)] and have[16:] == wanted[16:len(have)], f"batch {turn} has wrong bytes"
                records, turn = records[len(wanted):], turn + 1
            assert ended or turn > 20, turn
        print(f"         {whole} of {len(readers)} answers came whole", flush=True)
        until("the deleted files are closed", lambda: not [path for path in open_files(at, topic) if path.endswith("(deleted)")])
        error, _, data = maker.fetch(topic, 0)
        assert error == wire.NONE and wire.batches(data) == [(0, 1, True)], "the new topic has only its own"
        at.lives()


def xxh32(data):
    """Of fewer than 16 bytes; LZ4 frames have it of their header."""
    value = (374761393 + len(data)) & 0xFFFFFFFF
    for byte in data:
        value = value + byte * 374761393 & 0xFFFFFFFF
        value = (value << 11 | value >> 21) * 2654435761 & 0xFFFFFFFF
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        value = (value ^ value >> shift) * factor & 0xFFFFFFFF
    return value ^ value >> 16


def gzip_bomb(size):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def snappy_bomb(size, told=None):
    """One byte, and copies of 64 bytes of it."""
    length, head = told or 1 + (size - 1) // 64 * 64, b""
    while length > 127:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return head + bytes([length]) + b"\0\0" + b"\xfe\1\0" * ((size - 1) // 64)


def lz4_bomb(size):
    """Blocks of a byte and a match of almost 4 MiB."""
    match = 16_000
    block = b"\x1f\0\1\0" + b"\xff" * match + b"\0" + b"\x50" + b"ended"
    frame = b"\x60\x70"
    return b"\x04\x22\x4d\x18" + frame + bytes([xxh32(frame) >> 8 & 255]) + (struct.pack("<I", len(block)) + block) * (size // (255 * match) + 1) + bytes(4)


def zstd_bomb(size, told=None):
    """Blocks that repeat a byte 128 KiB times."""
    head = b"\x00\x38" if told is None else b"\xc0\x38" + struct.pack("<Q", told)
    blocks = size >> 17
    return b"\x28\xb5\x2f\xfd" + head + b"".join(struct.pack("<I", (turn + 1 == blocks) | 1 << 1 | 1 << 20)[:3] + b"\0" for turn in range(blocks))


def packed(codec, payload):
    """A batch that says it has one record in these bytes."""
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", codec, 0, now, now, -1, -1, -1, 1) + payload
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, wire.crc32c(checked)) + checked


def produce_7(client, topic, records):
    answer = client.call(wire.PRODUCE, 7, wire.produce_body(topic, records))
    assert answer.take("i") == 1 and answer.text() == topic and answer.take("i") == 1
    return answer.take("ihqqq")[1:3]


def peak(at):
    with open(f"/proc/{at.server.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))


def bombs(folder):
    """a batch that unpacks to more than 64 MiB, or says so, is MESSAGE_TOO_LARGE whatever its codec; memory stays bounded, and the others are served"""
    many = {"gzip": packed(1, gzip_bomb(100 * MIB)), "snappy": packed(2, snappy_bomb(80 * MIB)), "lz4": packed(3, lz4_bomb(100 * MIB)),
            "zstd": packed(4, zstd_bomb(3 << 30))}
    lies = {"snappy that says 4 GiB": packed(2, snappy_bomb(MIB, told=(1 << 32) - 1)), "zstd that says 2^62": packed(4, zstd_bomb(MIB, told=1 << 62))}
    with endpoint(folder, ours=True) as at, contextlib.ExitStack() as stack:
        at.server.afdg("topic", "create", "bombs", "-c", f"max.message.bytes={16 * MIB}")
        clients = [stack.enter_context(Client(at.address, seconds=60)) for _ in range(6)]
        for name, some in (("gzip", gzip_bomb(MIB)), ("snappy", snappy_bomb(MIB)), ("lz4", lz4_bomb(MIB)), ("zstd", zstd_bomb(MIB))):
            codec = ("gzip", "snappy", "lz4", "zstd").index(name) + 1
            error, _ = produce_7(clients[0], "bombs", packed(codec, some))
            assert error == wire.INVALID_RECORD, f"{name} of 1 MiB of one byte is no record: {error}"  # so it was unpacked: the bombs below are of their codec
        before = peak(at)
        for name, batch in {**many, **lies}.items():
            with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
                answers = [pool.submit(produce_7, client, "bombs", batch) for client in clients]
                at.lives()
                told = {answer.result() for answer in answers}
            wanted = {(wire.MESSAGE_TOO_LARGE, -1)} if name in many else {(wire.MESSAGE_TOO_LARGE, -1), (wire.INVALID_RECORD, -1)}
            assert told <= wanted and len(told) == 1, f"{name}: {told}"
        grown = peak(at) - before
        assert grown < 192 * MIB, f"bombs of {sum(map(len, many.values())) >> 10} KiB made the server {grown / MIB:.0f} MiB larger"
        print(f"         {grown >> 20} MiB more at the peak", flush=True)
        assert clients[0].produce("bombs", wire.batch([b"fine"])) == (wire.NONE, 0)


@contextlib.contextmanager
def in_the_way(path):
    """A directory that cannot be removed."""
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.Skip(f"mounting a tmpfs is not allowed: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], capture_output=True)


def joined(client, group):
    """The error of a first JoinGroup: MEMBER_ID_REQUIRED once the group's coordinator is there."""
    protocols = wire.array([wire.text("range") + struct.pack(">i", 0)])
    answer = client.call(JOIN_GROUP, 4, wire.text(group) + struct.pack(">ii", 10_000, 10_000) + wire.text("") + wire.text("consumer") + protocols)
    answer.take("i")
    return answer.take("h")


def unmade(folder):
    """partitions that the log cannot make at first, those of the groups' offsets too, are there soon after what hindered it is gone, without a restart"""
    with endpoint(folder, ours=True) as at, Client(at.address) as client, contextlib.ExitStack() as stack:
        partitions = at.server.data / "log/topics"
        assert partitions.is_dir(), f"{partitions} moved: this test must know where partitions are"
        hindrances = [partitions / "plain-0", partitions / "__consumer_offsets-7"]
        for one in hindrances:
            stack.enter_context(in_the_way(one))
        at.server.afdg("topic", "create", "plain")
        groups = [f"g{i}" for i in range(200)]
        until("the coordinator is there", lambda: joined(client, groups[0]) != COORDINATOR_NOT_AVAILABLE)
        assert client.produce("plain", wire.batch([b"x"]))[0] != wire.NONE
        assert any(joined(client, group) == COORDINATOR_LOAD_IN_PROGRESS for group in groups), "no group needs the partition that is in the way"
        stack.close()
        until("the topic takes records", lambda: client.produce("plain", wire.batch([b"x"]))[0] == wire.NONE)
        until("all groups are served", lambda: all(joined(client, group) == MEMBER_ID_REQUIRED for group in groups))


def unmade_regions(folder):
    """regions whose partitions could not be made at first answer soon after what hindered it is gone"""
    server = harness.Server(folder / "data").start()
    with contextlib.ExitStack() as stack:
        partitions = server.data / "log/topics"
        assert partitions.is_dir(), f"{partitions} moved: this test must know where partitions are"
        stack.enter_context(in_the_way(partitions / "g.changes-0"))
        server.afdg("grid", "create", "g", "--regions", "2", check=None)
        answers = lambda: server.afdg("--timeout", "1s", "agent", "request", "entity/a", "Get", '{"key":"n"}', grid="g", check=None).returncode == 0
        until("the server has tried", lambda: "partitions not created" in server.output())
        assert not answers()
        stack.close()
        until("the region answers", answers)
    assert server.stop() == 0


def unmade_elsewhere(folder):
    """a node whose catalog is another process makes the partitions, too, that it could not make at first"""
    catalog = harness.Server(folder / "catalog", "--roles", "catalog").start()
    node = harness.Server(folder / "node", "--roles", "region", "--catalog", catalog.address)
    node.kafka = f"127.0.0.1:{harness.free_port()}"
    node.start()
    with contextlib.ExitStack() as stack:
        partitions = node.data / "log/topics"
        assert partitions.is_dir(), f"{partitions} moved: this test must know where partitions are"
        stack.enter_context(in_the_way(partitions / "plain-0"))
        catalog.afdg("topic", "create", "plain")
        with Client(node.kafka) as client:
            until("the node has tried", lambda: "partitions not created" in node.output())
            time.sleep(3)  # it tries again each 2 s
            assert node.process.poll() is None, f"the node ended, exit {node.process.returncode}: {node.output()[-2000:]}"
            assert client.produce("plain", wire.batch([b"x"]))[0] != wire.NONE
            stack.close()
            until("the topic takes records", lambda: client.produce("plain", wire.batch([b"x"]))[0] == wire.NONE)
    assert [server.stop() for server in (node, catalog)] == [0, 0]


if __name__ == "__main__":
    sys.exit(harness.run_cases(deleted_while_waiting, deleted_while_sent, bombs, unmade, unmade_regions, unmade_elsewhere))
