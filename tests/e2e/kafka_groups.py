#!/usr/bin/python3
"""Consumer groups as kcat (librdkafka) uses them: read and commit, share, go on after a kill -9 of the server."""
import random
import shutil
import struct
import subprocess
import sys
import time
import urllib.request

import harness
import kafka_client as wire
from kafka_client import Client


def kcat(server, *args, text=None, seconds=60):
    done = subprocess.run(["kcat", "-b", server.kafka, *map(str, args)], input=text, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"kcat {args}: exit {done.returncode}\n{done.stderr}"
    return done.stdout.split()


def start(folder):
    if shutil.which("kcat") is None:
        raise harness.Skip("kcat is not installed (tools/dev deps test installs it)")
    server = harness.Server(folder / "data")
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()
    return server


def produce(server, topic, first, last):
    kcat(server, "-P", "-t", topic, text="".join(f"{n}\n" for n in range(first, last)))


def member(server, group, topic, out):
    """A consumer that goes on until it is ended."""
    return subprocess.Popen(["kcat", "-b", server.kafka, "-G", group, "-u", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
                             "-X", "heartbeat.interval.ms=500", "-f", "%p %s\n", topic], stdout=open(out, "w"), stderr=open(f"{out}.err", "w"))


def wait_for(what, condition, seconds=40):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def goes_on(folder):
    """what a group has read is remembered through a clean end, and through kill -9 of the server"""
    server = start(folder)
    try:
        kcat(server, "-L", "-t", "__consumer_offsets")  # who asks for it too early must not make it with one partition
        produce(server, "t", 0, 100)
        arguments = ("-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "t")
        assert kcat(server, *arguments) == [str(n) for n in range(100)]
        produce(server, "t", 100, 130)
        server.kill()
        server.start()
        assert kcat(server, *arguments) == [str(n) for n in range(100, 130)]
        assert kcat(server, "-G", "others", "-q", "-e", "-X", "auto.offset.reset=earliest", "t") == [str(n) for n in range(130)]
        listed = subprocess.run(["kcat", "-b", server.kafka, "-L"], capture_output=True, text=True, timeout=60).stdout
        assert 'topic "__consumer_offsets" with 50 partitions' in listed, listed[:2000]
        stored = kcat(server, "-C", "-q", "-e", "-t", "__consumer_offsets", "-f", "%p\n")
        assert stored, "the offsets' topic cannot be read as any other"
    finally:
        server.stop()


def shared(folder):
    """two members share four partitions; when one is killed the other gets all of them, and no record is lost"""
    server = start(folder)
    members = []
    try:
        kafka_topic(server, "wide", 4)
        outs = [folder / "one", folder / "two"]
        members = [member(server, "pair", "wide", out) for out in outs]

        def seen(out):
            return {line.split()[0] for line in out.read_text().splitlines() if line}

        sent = 0

        def feed():
            nonlocal sent
            for partition in range(4):
                kcat(server, "-P", "-t", "wide", "-p", partition, text=f"v{sent}\n")
                sent += 1

        def both():
            feed()
            time.sleep(0.5)
            return seen(outs[0]) and seen(outs[1])

        wait_for("both members read", both)
        members[0].kill()
        before = len(outs[1].read_text().splitlines())

        def all_four():
            feed()
            time.sleep(0.5)
            lines = outs[1].read_text().splitlines()[before:]
            return {line.split()[0] for line in lines if line} == {"0", "1", "2", "3"}

        wait_for("the member that is left reads all partitions", all_four)

        def whole():
            have = {line.split()[1] for out in outs for line in out.read_text().splitlines() if len(line.split()) == 2}
            return have == {f"v{n}" for n in range(sent)}

        wait_for("every record is read", whole)
        members[1].terminate()
        members[1].wait(20)
    finally:
        for one in members:
            one.kill()
            one.wait()
        server.stop()


def kafka_topic(server, name, partitions):
    with Client(server.kafka) as client:
        client.create(name, partitions)


OFFSET_COMMIT, OFFSET_FETCH, JOIN_GROUP, SYNC_GROUP, HEARTBEAT = 8, 9, 11, 14, 12
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADS = 79, 27, 15, 14


def commit_body(group, topic, offset):
    """OffsetCommit v2 without a member, of partition 0."""
    part = struct.pack(">iq", 0, offset) + wire.text("")
    return wire.text(group) + struct.pack(">i", -1) + wire.text("") + struct.pack(">q", -1) + wire.array([wire.text(topic) + wire.array([part])])


def committed_error(answer):
    assert answer.take("i") == 1
    answer.text()
    assert answer.take("i") == 1
    return answer.take("ih")[1]


def commit(server, group, topic, offset):
    def done():
        with Client(server.kafka) as client:
            error = committed_error(client.call(OFFSET_COMMIT, 2, commit_body(group, topic, offset)))
        assert error in (wire.NONE, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADS), error
        return error == wire.NONE

    wait_for("a commit is taken", done)


def fetch_committed(server, group, topic):
    """The offset of partition 0; -1: none."""
    out = []

    def done():
        with Client(server.kafka) as client:
            answer = client.call(OFFSET_FETCH, 1, wire.text(group) + wire.array([wire.text(topic) + wire.array([struct.pack(">i", 0)])]))
        assert answer.take("i") == 1
        answer.text()
        assert answer.take("i") == 1
        _, offset = answer.take("iq")
        answer.text()
        error = answer.take("h")
        assert error in (wire.NONE, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADS), error
        out.append(offset)
        return error == wire.NONE

    wait_for("an offset is fetched", done)
    return out[-1]


def plain_server(folder, *flags):
    server = harness.Server(folder / "data", *flags)
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    return server.start()


def recreated(folder):
    """a topic that was deleted and made anew begins without the old one's offsets, whatever restarts lie between"""
    server = plain_server(folder)
    again = lambda: (server.afdg("topic", "delete", "t"), server.afdg("topic", "create", "t"))
    try:
        server.afdg("topic", "create", "t")
        server.afdg("topic", "create", "kept")
        commit(server, "g", "kept", 3)
        commit(server, "g", "t", 7)
        server.kill()
        server.start()
        again()  # before anybody asks for a group
        assert fetch_committed(server, "g", "t") == -1
        commit(server, "g", "t", 8)
        again()  # and then no request until the next process
        time.sleep(0.5)
        server.kill()
        server.start()
        assert fetch_committed(server, "g", "t") == -1
        commit(server, "g", "t", 9)
        server.afdg("topic", "delete", "t")
        server.kill()  # before, or after, the offsets are dropped
        server.start()
        server.afdg("topic", "create", "t")
        assert fetch_committed(server, "g", "t") == -1
        assert fetch_committed(server, "g", "kept") == 3
    finally:
        server.stop()


def torn_commits(folder):
    """kill -9 while commits are pipelined: what is fetched then was sent, and is not older than what was acknowledged"""
    server = plain_server(folder)
    server.afdg("topic", "create", "t")
    commit(server, "g", "t", 0)
    sent = acknowledged = 0
    try:
        for _ in range(10):
            end = time.monotonic() + random.uniform(0.05, 0.25)
            with Client(server.kafka) as client:
                ahead = 0
                while time.monotonic() < end:
                    while ahead < 20:
                        sent += 1
                        client.send(OFFSET_COMMIT, 2, commit_body("g", "t", sent))
                        ahead += 1
                    assert committed_error(client.receive()[1]) == wire.NONE
                    acknowledged = sent - ahead + 1
                    ahead -= 1
                server.kill()
            server.start()
            found = fetch_committed(server, "g", "t")
            assert acknowledged <= found <= sent, f"{found} is stored; {acknowledged} was acknowledged, {sent} sent"
            acknowledged = sent = found
        assert sent > 100, f"{sent} commits in all prove little"
    finally:
        server.stop()


class Member:
    """A member of group `g` on a connection of its own, step by step."""

    def __init__(self, server):
        self.client, self.id = Client(server.kafka, seconds=40), ""

    def send_join(self):
        protocol = wire.text("range") + wire.blob(b"")
        self.client.send(JOIN_GROUP, 4, wire.text("g") + struct.pack(">ii", 6000, 8000) + wire.text(self.id) + wire.text("consumer") + wire.array([protocol]))

    def joined(self):
        answer = self.client.receive()[1]
        answer.take("i")
        error, self.generation = answer.take("hi")
        answer.text()
        self.leader, self.id = answer.text(), answer.text()
        self.members = answer.array(lambda: (answer.text(), answer.bytes(answer.take("i"))))
        return error

    def begin(self):
        """Is given an id, and waits for the generation."""
        def known():
            self.send_join()
            error = self.joined()
            assert error in (MEMBER_ID_REQUIRED, COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOADS), error
            return error == MEMBER_ID_REQUIRED

        wait_for("an id", known)
        self.send_join()

    def sync(self):
        plan = [wire.text(name) + wire.blob(b"all") for name, _ in self.members]
        answer = self.client.call(SYNC_GROUP, 1, wire.text("g") + struct.pack(">i", self.generation) + wire.text(self.id) + wire.array(plan))
        answer.take("i")
        return answer.take("h")

    def heartbeat(self):
        answer = self.client.call(HEARTBEAT, 1, wire.text("g") + struct.pack(">i", self.generation) + wire.text(self.id))
        answer.take("i")
        return answer.take("h")

    def dies(self):
        self.client.socket.close()


def dies_in_a_rebalance(folder):
    """a member that dies between join and sync, or while the others join, holds them up no longer than its time"""
    server = plain_server(folder)
    members = []
    try:
        members = [Member(server) for _ in range(3)]
        for one in members:
            one.begin()
        assert [one.joined() for one in members] == [wire.NONE] * 3
        leader = next(one for one in members if one.leader == one.id)
        others = [one for one in members if one is not leader]
        leader.dies()  # between its join and its sync: nobody assigns anything
        begun = time.monotonic()
        wait_for("the others hear of a rebalance", lambda: [one.heartbeat() for one in others] == [REBALANCE_IN_PROGRESS] * 2, 20)
        for one in others:
            one.send_join()
        assert [one.joined() for one in others] == [wire.NONE] * 2
        assert time.monotonic() - begun < 20, "a session of 6 s and a rebalance of 8 s"
        leader = next(one for one in others if one.leader == one.id)
        assert len(leader.members) == 2, leader.members
        assert leader.sync() == wire.NONE
        # While the group prepares a rebalance: a new one joins, and one of the old ones never does.
        other = next(one for one in others if one is not leader)
        late = Member(server)
        members.append(late)
        late.begin()
        wait_for("the leader hears of it", lambda: leader.heartbeat() == REBALANCE_IN_PROGRESS, 10)
        other.dies()
        before, begun = leader.generation, time.monotonic()
        leader.send_join()
        assert leader.joined() == late.joined() == wire.NONE
        assert time.monotonic() - begun < 20
        assert leader.generation == late.generation > before
        assert {name for one in (leader, late) for name, _ in one.members} == {leader.id, late.id}
    finally:
        for one in members:
            one.dies()
        server.stop()


def limits(folder):
    """a group that is full takes nobody, one more group is refused, and the metrics tell; those who are in go on"""
    if shutil.which("kcat") is None:
        raise harness.Skip("kcat is not installed (tools/dev deps test installs it)")
    server = harness.Server(folder / "data", "--kafka-group-members-max", "1", "--kafka-groups-max", "1")
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()

    def metric(wanted):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines()]
        return float([line[1] for line in lines if line[0] == wanted][0])

    produce(server, "t", 0, 10)
    out = folder / "first"
    first = member(server, "full", "t", out)
    others = []
    try:
        wait_for("the first member", lambda: out.exists() and len(out.read_text().splitlines()) == 10)
        others = [member(server, "full", "t", folder / "second"), member(server, "another", "t", folder / "third")]
        for key in ("kafka-group-members-max", "kafka-groups-max"):
            wait_for(f"a refusal by {key}", lambda: metric(f'afdg_limit_refused_total{{key="{key}"}}') >= 1)
        assert metric('afdg_kafka_groups{state="stable"}') == metric("afdg_kafka_group_members") == 1
        assert metric("afdg_kafka_group_rebalances_total") >= 1
        produce(server, "t", 10, 20)
        wait_for("the member that is in", lambda: len(out.read_text().splitlines()) == 20)
        assert (folder / "second").read_text() == (folder / "third").read_text() == ""
        wait_for("the reason", lambda: "maximum" in (folder / "second.err").read_text())
    finally:
        for process in (first, *others):
            process.terminate()
            process.wait(20)
    assert server.stop() == 0, server.output()


if __name__ == "__main__":
    sys.exit(harness.run_cases(goes_on, shared, limits, recreated, torn_commits, dies_in_a_rebalance))
