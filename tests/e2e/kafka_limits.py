#!/usr/bin/python3
"""Every limit of docs/limits.md is met: the refusal is as written there, /metrics counts it, and the others are served meanwhile."""
import concurrent.futures
import contextlib
import os
import resource
import struct
import sys
import time
import urllib.request

import harness
import kafka_client as wire
from kafka_client import Client

KIB, MIB = 1 << 10, 1 << 20
JOIN_GROUP, OFFSET_COMMIT, CREATE_PARTITIONS = 11, 8, 37
INVALID_PARTITIONS, POLICY_VIOLATION, GROUP_MAX_SIZE_REACHED = 37, 44, 81
NOT_ENOUGH_REPLICAS, OUT_OF_ORDER_SEQUENCE = 19, 45


class Node:
    """A server with these limits."""

    def __init__(self, folder, **limits):
        flags = [word for key, value in limits.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        self.server = harness.Server(folder / "data", *flags)
        self.address = self.server.kafka = f"127.0.0.1:{harness.free_port()}"
        self.limits = limits

    def __enter__(self):
        self.server.start()
        for key, value in self.limits.items():
            told = self.metric("afdg_limit", key=key.replace("_", "-"))
            assert told in (value, None if key == "kafka_partitions_default" else value), (key, told)
        return self

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            code = self.server.stop()
            assert code == 0, f"the server ended with {code}: {self.server.output()[-2000:]}"

    def metric(self, name, **labels):
        wanted = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}" if labels else "")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.http_port}/metrics", timeout=5) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(wanted + " "):
                    return float(line.rsplit(" ", 1)[1])
        return None

    def refused(self, key):
        return self.metric("afdg_limit_refused_total", key=key)

    def paused(self, key):
        return self.metric("afdg_limit_paused_total", key=key)

    def becomes(self, what, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.02)

    def serves(self):
        begun = time.monotonic()
        with Client(self.address) as client:
            assert client.api_versions()[0] == wire.NONE
        took = time.monotonic() - begun
        assert took < 2, f"a new client waited {took:.1f} s"

    def says(self, *words):
        """One line of the log has all these words."""
        self.becomes(f"a line with {words}: {self.server.output()[-1500:]}", lambda: any(all(word in line for word in words) for line in self.server.output().splitlines()), 3)


def waiting_fetch(topic, wait=1500):
    return wire.fetch_body(topic, 0, wait=wait, least=1)


def connections(folder):
    """one connection too many is closed at once, those that are there go on, and its place is free again after an end"""
    with Node(folder, kafka_connections_max=5) as node, contextlib.ExitStack() as stack:
        kept = [stack.enter_context(Client(node.address)) for _ in range(5)]
        for client in kept:
            assert client.api_versions()[0] == wire.NONE
        for _ in range(3):
            with Client(node.address) as late:
                assert late.closed(), "a sixth connection was taken"
        assert node.metric("afdg_kafka_connections") == 5 and node.refused("kafka-connections-max") == 3
        node.says("there are 5 connections already", "raise kafka-connections-max")
        assert all(client.api_versions()[0] == wire.NONE for client in kept)
        kept[0].socket.close()
        node.becomes("a place is free", lambda: node.metric("afdg_kafka_connections") == 4)
        node.serves()
        assert node.refused("kafka-connections-max") == 3


def descriptors(folder):
    """without a file descriptor left a new connection waits, is counted, and is served when there is one again"""
    with Node(folder) as node, contextlib.ExitStack() as stack:
        first = stack.enter_context(Client(node.address))
        assert first.api_versions()[0] == wire.NONE
        process = node.server.process.pid
        before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        lates = []
        while not node.refused("open-files"):  # the node closes files of its own meanwhile
            assert len(lates) < 50
            used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
            resource.prlimit(process, resource.RLIMIT_NOFILE, (min(set(range(len(used) + 1)) - used), before[1]))  # the next one would be this
            lates.append(stack.enter_context(Client(node.address)))
            lates[-1].send(wire.API_VERSIONS, 0, b"")
            time.sleep(0.2)
            resource.prlimit(process, resource.RLIMIT_NOFILE, (min(before[0], max(used) + 8), before[1]))  # for the metrics
        node.says("no file descriptor left", "ulimit -n")
        assert first.api_versions()[0] == wire.NONE
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
        assert all(late.receive()[0] == 1 for late in lates)


def requests(folder):
    """requests beyond those under way wait unread, of a connection and of the node, and every one is answered in its turn"""
    with Node(folder, kafka_connection_requests_max=4, kafka_requests_max=10) as node, contextlib.ExitStack() as stack:
        maker = stack.enter_context(Client(node.address))
        assert maker.create("t") == wire.NONE
        many = stack.enter_context(Client(node.address))
        many.raw(b"".join(wire.frame(wire.FETCH, 4, turn, waiting_fetch("t", 400)) for turn in range(6)))
        node.becomes("four are under way", lambda: node.metric("afdg_kafka_requests_in_flight") == 4)
        assert node.paused("kafka-connection-requests-max") >= 1 and node.metric("afdg_kafka_connections_paused") == 1
        assert maker.api_versions()[0] == wire.NONE
        others = [stack.enter_context(Client(node.address)) for _ in range(4)]
        for client in others:
            client.raw(b"".join(wire.frame(wire.FETCH, 4, turn, waiting_fetch("t", 400)) for turn in range(4)))
        node.becomes("the node's limit holds connections", lambda: node.paused("kafka-requests-max") >= 1)
        most = 0
        for _ in range(20):
            most = max(most, node.metric("afdg_kafka_requests_in_flight"))
            node.serves()
        assert most <= 10 + 5, f"{most} requests were under way, of 22"  # who has none under way may have one
        for client, count in [(many, 6), *((client, 4) for client in others)]:
            assert [client.receive()[0] for _ in range(count)] == list(range(count))
        node.becomes("nothing is under way", lambda: node.metric("afdg_kafka_requests_in_flight") == 0)
        node.becomes("nobody waits", lambda: node.metric("afdg_kafka_connections_paused") == 0)
        assert node.metric("afdg_kafka_bytes_held") == 0


def sizes(folder):
    """a request above its limit ends its connection alone; what does not fit into the node's bytes waits and is stored later"""
    with Node(folder, kafka_request_bytes_max=600 * KIB, kafka_bytes_max=MIB) as node, contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(node.address))
        assert client.create("t") == wire.NONE
        with Client(node.address) as large:
            large.raw(struct.pack(">i", 600 * KIB + 1))
            assert large.closed()
        assert node.refused("kafka-request-bytes-max") == 1
        node.says("614401 bytes is above the limit of 614400", "raise kafka-request-bytes-max")
        frames = [wire.frame(wire.PRODUCE, 3, turn, wire.produce_body("t", wire.batch([bytes([turn]) * (550 * KIB)]))) for turn in range(3)]
        halves = [stack.enter_context(Client(node.address)) for _ in frames]
        for half, data in zip(halves, frames):
            half.raw(data[:8 * KIB])  # all three are announced, and one has room
        node.becomes("two wait", lambda: node.paused("kafka-bytes-max") == 2 and node.metric("afdg_kafka_connections_paused") == 2)
        assert 550 * KIB < node.metric("afdg_kafka_bytes_held") <= MIB
        node.serves()
        assert client.produce("t", wire.batch([b"small"]))[0] == wire.NONE, "small requests are served meanwhile"
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda pair: pair[0].raw(pair[1][8 * KIB:]), zip(halves, frames)))
        offsets = {half.produced(half.receive()[1])[0][2:] for half in halves}
        assert offsets == {(wire.NONE, offset) for offset in (1, 2, 3)}, offsets
        node.becomes("nothing is held", lambda: node.metric("afdg_kafka_bytes_held") == 0)
        assert node.refused("kafka-request-bytes-max") == 1


def silent(folder):
    """a thousand connections that send nothing are closed when their time is over, those that ask stay"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        raise harness.Skip(f"only {hard} descriptors a process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    with Node(folder, kafka_idle_ms=1500) as node, contextlib.ExitStack() as stack:
        asks = stack.enter_context(Client(node.address))
        assert asks.create("t") == wire.NONE
        waits = stack.enter_context(Client(node.address))
        waits.send(wire.FETCH, 4, wire.fetch_body("t", 0, wait=3000, least=1))  # it has a request under way: not idle
        silent_ones = [stack.enter_context(Client(node.address)) for _ in range(1000)]
        node.becomes("all are taken", lambda: node.metric("afdg_kafka_connections") == 1002)
        most = 1002
        begun = time.monotonic()
        while most > 2:
            assert time.monotonic() - begun < 8, f"{most} connections are left"
            assert asks.api_versions()[0] == wire.NONE
            time.sleep(0.05)
            most = node.metric("afdg_kafka_connections")
        assert node.refused("kafka-idle-ms") == 1000
        assert all(client.closed(1) for client in silent_ones)
        assert waits.fetched(waits.receive()[1]) == (wire.NONE, 0, b""), "a connection that waits for its answer was closed"
        assert asks.api_versions()[0] == wire.NONE


def half_open(folder):
    """requests that stop in their middle, or drip in byte by byte, end their connection; one that is merely long does not"""
    with Node(folder, kafka_half_request_ms=1000) as node, contextlib.ExitStack() as stack:
        stops = [stack.enter_context(Client(node.address)) for _ in range(20)]
        for turn, client in enumerate(stops):
            client.raw(struct.pack(">i", 100_000 if turn % 2 else 100)[:4 if turn % 3 else 2] + (b"\0\3" if turn % 3 else b""))
        drips = stack.enter_context(Client(node.address))
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            drips.raw(struct.pack(">i", 10_000))
            while time.monotonic() - begun < 6:
                drips.raw(b"\0")
                time.sleep(0.05)
        took = time.monotonic() - begun
        assert 0.9 < took < 3, f"a client that drips was closed after {took:.1f} s"
        assert all(client.closed() for client in stops)
        assert node.refused("kafka-half-request-ms") == 21
        node.says("the rest of its request did not come for 1000 ms", "raise kafka-half-request-ms")
        with Client(node.address) as client:  # 1.5 MB in 2 s: longer than the limit, and it comes on all the time
            assert client.create("t") == wire.NONE
            data = wire.frame(wire.PRODUCE, 3, 1, wire.produce_body("t", wire.batch([bytes(1_000_000)])))
            for at in range(0, len(data), 50_000):
                client.raw(data[at:at + 50_000])
                time.sleep(0.1)
            assert client.produced(client.receive()[1])[0][2] == wire.NONE
        node.serves()
        assert node.refused("kafka-half-request-ms") == 21


def slow_readers(folder):
    """who does not read its answers is not read, and then closed; who reads, however late, gets them all"""
    with Node(folder, kafka_unread_ms=1000, kafka_connection_bytes_max=2 * MIB) as node, contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(node.address))
        assert client.create("t") == wire.NONE
        batch = wire.batch([bytes(900 * KIB)])
        for _ in range(2):
            assert client.produce("t", batch)[0] == wire.NONE
        asked = 40
        body = wire.fetch_body("t", 0, most=1)
        slow, late = (stack.enter_context(Client(node.address)) for _ in range(2))
        for one in (slow, late):
            one.raw(b"".join(wire.frame(wire.FETCH, 4, turn, body) for turn in range(asked)))
        for turn in range(asked):  # late, but it goes on
            got, answer = late.receive()
            assert got == turn and len(late.fetched(answer)[2]) == len(batch)
            time.sleep(0.04)
        begun = time.monotonic()
        node.becomes("the slow reader is closed", lambda: node.refused("kafka-unread-ms") == 1)
        assert time.monotonic() - begun < 4
        node.says("did not read its answers for 1000 ms", "raise kafka-unread-ms")
        got = 0
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                slow.receive()
                got += 1
        assert got < asked, "the slow reader got all that it asked for"
        node.becomes("what it held is free", lambda: node.metric("afdg_kafka_bytes_held") == 0)
        assert client.produce("t", wire.batch([b"on"]))[0] == wire.NONE
        node.serves()


def connection_bytes(folder):
    """a connection whose requests and answers reach its limit is not read before some were sent"""
    with Node(folder, kafka_connection_bytes_max=MIB) as node, Client(node.address) as client, Client(node.address) as other:
        assert client.create("t") == wire.NONE
        batch = wire.batch([bytes(300 * KIB)])
        client.send(wire.FETCH, 4, waiting_fetch("t", 1500))  # nothing is answered before it
        wire_bytes = b"".join(wire.frame(wire.PRODUCE, 3, 100 + turn, wire.produce_body("u", batch)) for turn in range(8))
        assert other.create("u") == wire.NONE
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(client.raw, wire_bytes)
            node.becomes("it is not read", lambda: node.paused("kafka-connection-bytes-max") >= 1)
            assert node.metric("afdg_kafka_bytes_held") < 2 * MIB
            assert other.api_versions()[0] == wire.NONE
            client.receive()
            landed = [client.produced(client.receive()[1])[0][2:] for _ in range(8)]
            sent.result()
        assert landed == [(wire.NONE, offset) for offset in range(8)], landed


def crowded_log(folder):
    """who produces faster than segments are written is not read meanwhile, and nothing is refused"""
    with Node(folder, in_flight_bytes_max=MIB) as node, Client(node.address) as client, Client(node.address) as other:
        assert client.create("t") == wire.NONE
        asked, batch = 200, wire.batch([bytes(200 * KIB)])
        frames = b"".join(wire.frame(wire.PRODUCE, 3, turn, wire.produce_body("t", batch)) for turn in range(asked))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(client.raw, frames)
            landed = []
            for turn in range(asked):
                landed.append(client.produced(client.receive()[1])[0][2:])
                if turn % 50 == 0:
                    assert other.api_versions()[0] == wire.NONE
            sent.result()
        assert landed == [(wire.NONE, offset) for offset in range(asked)], [one for one in landed if one[0] != wire.NONE][:5]
        assert node.paused("in-flight-bytes-max") >= 1
        node.becomes("nobody waits", lambda: node.metric("afdg_kafka_connections_paused") == 0)


def refused_first(folder):
    """the first batch of an idempotent producer is refused for a limit: the next, already under way, is not stored before it"""
    with Node(folder, in_flight_bytes_max=MIB) as node, Client(node.address) as client:
        assert [client.create(name) for name in ("other", "t")] == [wire.NONE] * 2
        first, second, third = (wire.batch([bytes([65 + turn]) * size] * 2, producer=7, epoch=0, sequence=2 * turn) for turn, size in enumerate((300 * KIB, 10, 20)))

        def body(*asked):
            return wire.text(None) + struct.pack(">hi", -1, 10000) + wire.array([wire.text(topic) + wire.array([struct.pack(">i", 0) + wire.blob(data)]) for topic, data in asked])

        sent = (body(("other", wire.batch([bytes(700 * KIB)])), ("t", first)), body(("t", second)), body(("t", third)))
        client.raw(b"".join(wire.frame(wire.PRODUCE, 3, turn, one) for turn, one in enumerate(sent)))
        told = [client.produced(client.receive()[1]) for _ in sent]
        assert told[0][0][2:] == (wire.NONE, 0), told[0]
        assert [answer[-1][2] for answer in told] == [NOT_ENOUGH_REPLICAS, OUT_OF_ORDER_SEQUENCE, OUT_OF_ORDER_SEQUENCE], told
        assert [client.produce("t", batch) for batch in (first, second, third)] == [(wire.NONE, 0), (wire.NONE, 2), (wire.NONE, 4)]


def producers(folder):
    """one idempotent producer too many of a partition, or of the node, is refused; those that are known go on, and who is none of them"""
    with Node(folder, partition_producers_max=2, node_producers_max=3) as node, Client(node.address) as client:
        assert [client.create(name) for name in ("t", "u")] == [wire.NONE] * 2

        def produce(topic, producer, sequence=0):
            return client.produce(topic, wire.batch([b"x"], producer=producer, epoch=0, sequence=sequence))

        assert [produce("t", 1), produce("t", 2), produce("t", 3)] == [(wire.NONE, 0), (wire.NONE, 1), (NOT_ENOUGH_REPLICAS, -1)]
        assert node.refused("partition-producers-max") == 1 and node.refused("node-producers-max") == 0
        assert [produce("u", 1), produce("u", 2)] == [(wire.NONE, 0), (NOT_ENOUGH_REPLICAS, -1)]
        assert node.refused("node-producers-max") == 1 and node.metric("afdg_log_producers") == 3
        assert [produce("t", 1, 1), produce("t", 1, 1)] == [(wire.NONE, 2), (wire.NONE, 2)], "a known one goes on, and its repeat is known"
        assert client.produce("u", wire.batch([b"x"])) == (wire.NONE, 1), "without idempotence nobody is counted"
        node.serves()


def creating(client, topics):
    """[(error, message)] of a CreateTopics of (name, partitions)."""
    body = wire.array([wire.text(name) + struct.pack(">ih", count, 1) + wire.array([]) + wire.array([]) for name, count in topics]) + struct.pack(">ib", 10000, 0)
    answer = client.call(wire.CREATE_TOPICS, 2, body)
    answer.take("i")
    return [told[1:] for told in answer.array(lambda: (answer.text(), answer.take("h"), answer.bytes(answer.take("h")).decode()))]


def growing(client, topic, count):
    """(error, message) of a CreatePartitions."""
    answer = client.call(CREATE_PARTITIONS, 0, wire.array([wire.text(topic) + struct.pack(">ii", count, -1)]) + struct.pack(">ib", 10000, 0))
    answer.take("i")
    return answer.array(lambda: (answer.text(), answer.take("h"), answer.bytes(answer.take("h")).decode()))[0][1:]


def refuses(told, error, *words):
    assert told[0] == error, told
    for word in words:
        assert word in told[1], f"'{word}' is not in: {told[1]!r}"


def partitions(folder):
    """topics and partitions beyond a limit are refused with value, limit and remedy, by every way to make them; what is there serves on"""
    with Node(folder, node_partitions_max=20, topics_max=5, kafka_request_partitions_max=12) as node, Client(node.address) as client:
        refuses(creating(client, [("huge", 4097)])[0], INVALID_PARTITIONS, "4097", "4096")
        for told in creating(client, [("a", 7), ("b", 6)]):
            refuses(told, POLICY_VIOLATION, "13", "12", "kafka-request-partitions-max")
        assert node.refused("kafka-request-partitions-max") == 1 and node.metric("afdg_topics") == 0
        assert creating(client, [("a", 10), ("b", 2)]) == [(wire.NONE, ""), (wire.NONE, "")]
        assert node.metric("afdg_topics") == 2 and node.metric("afdg_partitions_led") == 12
        refuses(growing(client, "b", 25), POLICY_VIOLATION, "23", "12", "kafka-request-partitions-max")
        refuses(growing(client, "b", 11), POLICY_VIOLATION, "9", "20", "node-partitions-max")
        refuses(creating(client, [("c", 9)])[0], POLICY_VIOLATION, "9", "20", "node-partitions-max")
        done = node.server.afdg("grid", "create", "g", "--regions", "3", check=None)
        assert done.returncode != 0 and "node-partitions-max" in done.stderr, "nine partitions of a grid have no room"
        assert node.refused("node-partitions-max") == 3 and node.metric("afdg_partitions_led") == 12
        assert growing(client, "b", 4) == (wire.NONE, "")
        assert [creating(client, [(name, 1)])[0][0] for name in ("c", "d", "e")] == [wire.NONE] * 3
        refuses(creating(client, [("f", 1)])[0], POLICY_VIOLATION, "there are 5 topics", "topics-max")
        done = node.server.afdg("topic", "create", "f", check=None)
        assert done.returncode != 0 and "raise topics-max" in done.stderr, done.stderr
        assert node.refused("topics-max") == 2
        # A topic that would make itself shows as its absence.
        answer = client.call(wire.METADATA, 4, wire.array([wire.text("g")]) + b"\1")
        assert wire.UNKNOWN_TOPIC.to_bytes(2, "big") + wire.text("g") in answer.data
        assert node.refused("topics-max") == 3
        assert client.produce("a", wire.batch([b"v"]), partition=9)[0] == wire.NONE
        answer = client.call(wire.DELETE_TOPICS, 1, wire.array([wire.text("a")]) + struct.pack(">i", 10000))
        assert creating(client, [("f", 9)])[0][0] == wire.NONE, "deleting makes room"


def joining(group, member="", version=2):
    return wire.text(group) + struct.pack(">ii", 10000, 10000) + wire.text(member) + wire.text("consumer") + wire.array([wire.text("range") + wire.blob(b"m")])


def joined(answer):
    """(error, generation, member id)"""
    answer.take("i")
    error, generation = answer.take("hi")
    answer.text()
    answer.text()
    return error, generation, answer.text()


def committed(client, group, offset=1):
    body = wire.text(group) + struct.pack(">i", -1) + wire.text("") + struct.pack(">q", -1) + wire.array([wire.text("t") + wire.array([struct.pack(">iq", 0, offset) + wire.text("")])])
    answer = client.call(OFFSET_COMMIT, 2, body)
    return answer.array(lambda: (answer.text(), answer.array(lambda: answer.take("ih"))))[0][1][0][1]


def ready_for_groups(node, client):
    assert client.create("t") == wire.NONE
    node.becomes("groups are served", lambda: committed(client, "first") == wire.NONE)


def members(folder):
    """one member too many, of a group and of the node, gets GROUP_MAX_SIZE_REACHED; the others get their generation, and a place is free after an end"""
    with Node(folder, kafka_group_members_max=2, kafka_members_max=3) as node, contextlib.ExitStack() as stack:
        client = stack.enter_context(Client(node.address))
        ready_for_groups(node, client)
        pair = [stack.enter_context(Client(node.address)) for _ in range(2)]
        for one in pair:
            one.send(JOIN_GROUP, 2, joining("pair"))
        node.becomes("both have joined", lambda: node.metric("afdg_kafka_group_members") == 2)
        assert node.metric("afdg_kafka_groups", state="preparing_rebalance") == 1
        assert joined(client.call(JOIN_GROUP, 2, joining("pair"))) == (GROUP_MAX_SIZE_REACHED, -1, "")
        assert node.refused("kafka-group-members-max") == 1
        node.says("group 'pair' has 2 members", "kafka-group-members-max")
        third = stack.enter_context(Client(node.address))
        third.send(JOIN_GROUP, 2, joining("third"))
        node.becomes("three have joined", lambda: node.metric("afdg_kafka_group_members") == 3)
        assert joined(client.call(JOIN_GROUP, 2, joining("fourth"))) == (GROUP_MAX_SIZE_REACHED, -1, "")
        assert node.refused("kafka-members-max") == 1 and node.refused("kafka-group-members-max") == 1
        node.says("have 3 members, the limit is 3", "kafka-members-max")
        assert committed(client, "simple") == wire.NONE, "offsets are stored meanwhile"
        names = []
        for one in (*pair, third):
            error, generation, name = joined(one.receive()[1])
            assert error == wire.NONE and generation == 1
            names.append(name)
        assert node.metric("afdg_kafka_group_rebalances_total") == 2
        assert node.metric("afdg_kafka_groups", state="completing_rebalance") == 2 and node.metric("afdg_kafka_groups", state="empty") == 2
        leave = third.call(13, 1, wire.text("third") + wire.text(names[2]))
        assert leave.take("ih")[1] == wire.NONE
        third.send(JOIN_GROUP, 2, joining("fourth"))
        node.becomes("who left gave its place back", lambda: node.metric("afdg_kafka_group_members") == 3)
        assert node.refused("kafka-members-max") == 1
        assert node.metric("afdg_kafka_offset_commits_total") == 2


def groups(folder):
    """one group too many is refused with POLICY_VIOLATION, for a member and for an offset; those that are there commit on"""
    with Node(folder, kafka_groups_max=3) as node, Client(node.address) as client:
        ready_for_groups(node, client)
        assert [committed(client, name) for name in ("second", "third")] == [wire.NONE] * 2
        assert committed(client, "fourth") == POLICY_VIOLATION
        assert joined(client.call(JOIN_GROUP, 2, joining("fourth")))[0] == POLICY_VIOLATION
        assert node.refused("kafka-groups-max") == 2
        node.says("there are 3 consumer groups, the limit is 3", "kafka-groups-max")
        assert committed(client, "second", 7) == wire.NONE
        assert node.metric("afdg_kafka_groups", state="empty") == 3 and node.metric("afdg_kafka_group_offsets") == 3
        node.server.afdg("group", "delete", "second")
        node.becomes("there is room again", lambda: committed(client, "fourth") == wire.NONE)
        node.serves()


def fixed_bounds(folder):
    """what a group's request may hold at most is fixed: POLICY_VIOLATION beyond, counted by a name of its own, and the others are served"""
    with Node(folder) as node, Client(node.address) as client:
        ready_for_groups(node, client)
        protocol = lambda size: wire.text("range") + wire.blob(b"m" * size)
        part = lambda note="": struct.pack(">iq", 0, 1) + wire.text(note)
        join = lambda *protocols: client.call(JOIN_GROUP, 2, wire.text("g") + struct.pack(">ii", 10000, 10000) + wire.text("") + wire.text("consumer") + wire.array(protocols))
        commit = lambda *parts: client.call(OFFSET_COMMIT, 2, wire.text("g") + struct.pack(">i", -1) + wire.text("") + struct.pack(">q", -1) + wire.array([wire.text("t") + wire.array(parts)]))
        first = lambda answer: answer.array(lambda: (answer.text(), answer.array(lambda: answer.take("ih"))))[0][1][0][1]
        for key, what, error in (("group-name-bytes", "1024 bytes of a name", lambda: committed(client, "g" * 1025)),
                                 ("member-protocols", "64 protocols", lambda: joined(join(*[protocol(1)] * 65))[0]),
                                 ("member-metadata-bytes", "1048576 bytes of metadata", lambda: joined(join(protocol(MIB + 1)))[0]),
                                 ("group-bytes", "8388608 bytes of one group", lambda: first(commit(*[part("n" * 4096)] * 2100))),
                                 ("commit-partitions", "50000 partitions", lambda: first(commit(*[part()] * 50001)))):
            assert node.refused(key) == 0, key
            assert error() == POLICY_VIOLATION, key
            assert node.refused(key) == 1, key
            node.says("a consumer group's request is refused", what)
        assert node.refused("group-offsets") == 0 and node.refused("kafka-groups-max") == 0
        assert committed(client, "first", 2) == wire.NONE
        node.serves()


def seldom_told(folder):
    """connections closed for unknown keys are all counted, and told of once a second, whatever the key"""
    with Node(folder) as node:
        begun = time.monotonic()
        for key in range(900, 1000):
            with Client(node.address) as client:
                client.send(key, 0, b"")
                assert client.closed()
        lines = [line for line in node.server.output().splitlines() if "Kafka API key" in line]
        assert 1 <= len(lines) <= 1 + (time.monotonic() - begun), f"{len(lines)} lines"
        assert "900" in lines[0]
        assert node.metric("afdg_kafka_bad_requests_total") == 100
        with Client(node.address) as client:
            client.send(wire.METADATA, 99, b"")
            assert client.closed()
        node.says("Metadata", "99")
        time.sleep(1.1)
        with Client(node.address) as client:
            client.send(1000, 0, b"")
            assert client.closed()
        node.says("Kafka API key 1000", "more since the last such line")
        node.serves()


if __name__ == "__main__":
    sys.exit(harness.run_cases(connections, descriptors, requests, sizes, silent, half_open, slow_readers, connection_bytes, crowded_log, refused_first, producers, partitions, members, groups, fixed_bounds, seldom_told))
