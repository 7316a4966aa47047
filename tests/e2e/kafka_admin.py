#!/usr/bin/python3
"""Topics' settings, partitions, starts and times, asked for and set as Kafka's admin clients do.

AFDG_KAFKA=HOST:PORT runs what does not need our own server against another one, the real Kafka for example.
"""
import struct
import sys
import time

import harness
import kafka_client as wire
from kafka_client import Client, array, text
from kafka_wire import endpoint, topic_name

DELETE_RECORDS, EPOCHS, DESCRIBE_ACLS, DESCRIBE, ALTER, LOG_DIRS, GROW, INCREMENTAL, SASL = 21, 23, 29, 32, 33, 35, 37, 44, 17
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
TOPIC, BROKER = 2, 4
DENIED, INVALID_TIMESTAMP, ILLEGAL_SASL, INVALID_PARTITIONS, INVALID_CONFIG = 29, 32, 34, 37, 40
INVALID_REQUEST, POLICY_VIOLATION, SECURITY_DISABLED = 42, 44, 54
OURS = {"durability"}


def create(client, partitions=1, **config):
    """A new topic with these settings (a_b means a.b); its name, or the error."""
    name = topic_name()
    pairs = array([text(key.replace("_", ".")) + text(value) for key, value in config.items()])
    body = array([text(name) + struct.pack(">ih", partitions, 1) + array([]) + pairs]) + struct.pack(">ib", 10000, 0)
    answer = client.call(wire.CREATE_TOPICS, 2, body)
    answer.take("i")
    error = answer.array(lambda: (answer.text(), answer.take("h"), answer.bytes(answer.take("h"))))[0][1]
    return error or name


def describe(client, name, kind=TOPIC, keys=None):
    """(error, {key: (value, source, {synonym: value})})"""
    wanted = struct.pack(">i", -1) if keys is None else array([text(key) for key in keys])
    answer = client.call(DESCRIBE, 1, array([struct.pack(">b", kind) + text(name) + wanted]) + b"\1")
    answer.take("i")
    assert answer.take("i") == 1
    error, _ = answer.take("h"), answer.bytes(answer.take("h"))
    answer.take("b")
    answer.text()

    def setting():
        key, value = answer.text(), answer.bytes(answer.take("h")).decode()
        answer.take("b")
        source, _ = answer.take("bb")
        synonyms = answer.array(lambda: (answer.text(), answer.bytes(answer.take("h")).decode(), answer.take("b")))
        return key, (value, source, {name: value for name, value, _ in synonyms})

    return error, dict(answer.array(setting))


def outcome(answer):
    answer.take("i")
    assert answer.take("i") == 1
    return answer.take("h")


def change(client, name, *operations, kind=TOPIC, only_check=0):
    settings = array([text(key) + struct.pack(">b", operation) + text(value) for key, operation, value in operations])
    return outcome(client.call(INCREMENTAL, 0, array([struct.pack(">b", kind) + text(name) + settings]) + bytes([only_check])))


def replace(client, name, **config):
    settings = array([text(key.replace("_", ".")) + text(value) for key, value in config.items()])
    return outcome(client.call(ALTER, 0, array([struct.pack(">b", TOPIC) + text(name) + settings]) + b"\0"))


def values(client, name, *keys):
    return [describe(client, name, keys=[key])[1][key][0] for key in keys]


def settles(check, seconds=5):
    """Kafka's brokers learn of a change a moment after it was answered; ours have."""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.05)


def settings(folder):
    """every key is listed with its value and where it is from; changes are all or nothing"""
    with endpoint(folder) as at, Client(at.address) as client:
        name = create(client, retention_ms="60000", cleanup_policy="compact")
        assert isinstance(name, str), name
        settles(lambda: describe(client, name)[0] == 0)
        error, listed = describe(client, name)
        keys = set(listed) - (OURS if at.server else set())
        assert error == 0 and len(keys) == 33 and {"segment.jitter.ms", "min.insync.replicas", "remote.storage.enable"} < keys, keys
        assert listed["retention.ms"][:2] == ("60000", 1) and listed["delete.retention.ms"][:2] == ("86400000", 5), listed
        assert listed["cleanup.policy"][2] == {"cleanup.policy": "compact", "log.cleanup.policy": "delete"}, listed["cleanup.policy"]
        assert list(describe(client, name, keys=["segment.ms", "nope"])[1]) == ["segment.ms"]
        assert describe(client, "no-such-topic")[0] == wire.UNKNOWN_TOPIC
        assert describe(client, name, kind=77)[0] == INVALID_REQUEST
        assert change(client, name, ("cleanup.policy", APPEND, "delete"), ("segment.ms", SET, "77000"), ("retention.ms", DELETE, None)) == 0
        settles(lambda: values(client, name, "cleanup.policy", "segment.ms", "retention.ms") == ["compact,delete", "77000", "604800000"])
        assert change(client, name, ("cleanup.policy", SUBTRACT, "compact")) == 0
        settles(lambda: values(client, name, "cleanup.policy") == ["delete"])
        for operations, wanted in (([("segment.ms", SET, "88000"), ("retention.ms", SET, "soon")], INVALID_CONFIG),
                                   ([("no.such.key", SET, "1")], INVALID_CONFIG), ([("retention.ms", APPEND, "1")], INVALID_CONFIG),
                                   ([("min.cleanable.dirty.ratio", SET, "1.5")], INVALID_CONFIG),
                                   ([("segment.bytes", SET, "13")], INVALID_CONFIG), ([("cleanup.policy", SET, "shred")], INVALID_CONFIG)):
            got = change(client, name, *operations)
            assert got == wanted, (operations, got)
        assert change(client, "no-such-topic", ("segment.ms", SET, "1")) == wire.UNKNOWN_TOPIC
        assert change(client, name, ("segment.ms", SET, "99000"), only_check=1) == 0
        assert values(client, name, "segment.ms") == ["77000"], "a check or a refused change has changed something"
        if at.server:  # what does not act is refused by name; Kafka accepts it
            assert change(client, name, ("flush.messages", SET, "1")) == INVALID_CONFIG
            assert change(client, name, ("flush.messages", SET, "9223372036854775807")) == 0
            assert replace(client, name, retention_bytes="5000000") == 0
            assert values(client, name, "segment.ms", "retention.bytes") == ["604800000", "5000000"]
            assert change(client, "1", ("num.partitions", SET, "2"), kind=BROKER) == INVALID_REQUEST
        error, broker = describe(client, "1", kind=BROKER)
        assert error == 0 and broker["log.retention.ms" if at.server else "num.partitions"], broker


def partitions(folder):
    """a topic grows, and what it holds stays where it is"""
    with endpoint(folder) as at, Client(at.address) as client:
        name = create(client, partitions=2)

        def grow(topic, count, only_check=0):
            body = array([text(topic) + struct.pack(">ii", count, -1)]) + struct.pack(">ib", 10000, only_check)
            answer = client.call(GROW, 0, body)
            answer.take("i")
            assert answer.take("i") == 1
            answer.text()
            return answer.take("h")

        assert grow(name, 2) == INVALID_PARTITIONS and grow(name, 1) == INVALID_PARTITIONS
        assert grow("no-such-topic", 4) == wire.UNKNOWN_TOPIC
        assert grow(name, 4, only_check=1) == 0
        assert client.produce(name, wire.batch([b"x"]), partition=3)[0] == wire.UNKNOWN_TOPIC
        settles(lambda: client.produce(name, wire.batch([b"first"]), partition=1) == (0, 0))
        assert grow(name, 4) == 0
        settles(lambda: client.produce(name, wire.batch([b"x"]), partition=3)[0] == 0)
        assert client.produce(name, wire.batch([b"second"]), partition=1)[:2] == (0, 1)


def starts(folder):
    """records below an offset are dropped; ends of epochs and sizes are told"""
    with endpoint(folder) as at, Client(at.address) as client:
        name = create(client)
        settles(lambda: client.produce(name, wire.batch([b"%d" % i for i in range(10)]))[0] == 0)
        assert client.produce(name, wire.batch([b"more"]))[1] == 10

        def delete(topic, offset, partition=0):
            answer = client.call(DELETE_RECORDS, 0, array([text(topic) + array([struct.pack(">iq", partition, offset)])]) + struct.pack(">i", 10000))
            answer.take("i")
            assert answer.take("i") == 1
            answer.text()
            return answer.array(lambda: answer.take("iqh"))[0][1:]

        assert delete(name, 4) == (4, 0), "not moved"
        assert delete(name, 2) == (4, 0), "a start never goes back"
        assert client.fetch(name, 3)[0] == wire.OFFSET_OUT_OF_RANGE
        assert client.fetch(name, 4)[0] == 0
        assert delete(name, 12)[1] == wire.OFFSET_OUT_OF_RANGE and delete(name, -2)[1] == wire.OFFSET_OUT_OF_RANGE
        assert delete(name, 0, partition=7)[1] == wire.UNKNOWN_TOPIC
        assert delete(name, -1) == (11, 0)
        assert client.produce(name, wire.batch([b"after"]))[:2] == (0, 11)
        compacted = create(client, cleanup_policy="compact")
        settles(lambda: delete(compacted, 0)[1] == POLICY_VIOLATION)

        def epoch_end(epoch):
            answer = client.call(EPOCHS, 2, array([text(name) + array([struct.pack(">iii", 0, -1, epoch)])]))
            answer.take("i")
            assert answer.take("i") == 1
            answer.text()
            error, _, found, end = answer.array(lambda: answer.take("hiiq"))[0]
            return error, found, end

        now = 1 if at.server else 0
        assert epoch_end(now) == (0, now, 12) and epoch_end(now + 5) == (0, -1, -1), epoch_end(now)
        answer = client.call(LOG_DIRS, 1, array([text(name) + array([struct.pack(">i", 0)])]))
        answer.take("i")
        assert answer.take("i") == 1 and answer.take("h") == 0
        assert answer.text().startswith("/") and answer.take("i") == 1 and answer.text() == name
        assert answer.array(lambda: answer.take("iqqb"))[0][0] == 0


def times_and_sizes(folder):
    """batches that a topic's settings do not take, and the ones that it stamps"""
    with endpoint(folder) as at, Client(at.address) as client:
        stamped = create(client, message_timestamp_type="LogAppendTime")
        settles(lambda: client.produce(stamped, wire.batch([b"x"]))[0] == 0)
        before = int(time.time() * 1000)
        answer = client.call(wire.PRODUCE, 3, wire.produce_body(stamped, wire.batch([b"old", b"older"], timestamp=1000)))
        answer.take("i")
        answer.text()
        _, error, offset, appended = answer.array(lambda: answer.take("ihqq"))[0]
        assert error == 0 and before - 1 <= appended <= int(time.time() * 1000) + 1, (error, appended, before)
        error, _, data = client.fetch(stamped, offset)
        attributes, _, _, largest = struct.unpack_from(">hiqq", data, 21)
        assert error == 0 and attributes & 8 and largest == appended, (error, attributes, largest, appended)
        assert all(right for _, _, right in wire.batches(data)), "the CRC does not hold after the stamp"

        plain = create(client)
        settles(lambda: client.produce(plain, wire.batch([b"x"]))[0] == 0)
        now = int(time.time() * 1000)
        assert client.produce(plain, wire.batch([b"x"], timestamp=now + 2 * 3600_000))[0] == INVALID_TIMESTAMP
        assert client.produce(plain, wire.batch([b"x"], timestamp=now + 1800_000))[0] == 0
        assert client.produce(plain, wire.batch([b"x"], timestamp=5))[0] == 0
        strict = create(client, message_timestamp_before_max_ms="60000", max_message_bytes="2000")
        settles(lambda: client.produce(strict, wire.batch([b"x"]))[0] == 0)
        assert client.produce(strict, wire.batch([b"x"], timestamp=now - 120_000))[0] == INVALID_TIMESTAMP
        assert client.produce(strict, wire.batch([b"x" * 2000]))[0] == wire.MESSAGE_TOO_LARGE
        assert client.produce(strict, wire.batch([b"x" * 1800]))[0] == 0
        assert change(client, strict, ("max.message.bytes", SET, "3000")) == 0
        settles(lambda: client.produce(strict, wire.batch([b"x" * 2000]))[0] == 0)
        compacted = create(client, cleanup_policy="compact")
        settles(lambda: client.produce(compacted, wire.batch([b"no key"]))[0] == wire.INVALID_RECORD)


def no_security(folder):
    """who asks for access rules or SASL is told that there are none"""
    with endpoint(folder) as at, Client(at.address) as client:
        answer = client.call(DESCRIBE_ACLS, 1, b"\1" + text(None) + b"\3" + text(None) + text(None) + b"\1\1")
        answer.take("i")
        assert answer.take("h") == SECURITY_DISABLED
        if at.server:  # Kafka closes there
            assert client.call(SASL, 1, text("PLAIN")).take("h") == ILLEGAL_SASL


def kept(folder):
    """settings and partitions outlive kill -9; a grid's topics keep what the grid depends on"""
    with endpoint(folder, ours=True) as at:
        with Client(at.address) as client:
            name = create(client, partitions=2, retention_ms="1234567")
            assert change(client, name, ("segment.bytes", SET, "2000000")) == 0
            client.call(GROW, 0, array([text(name) + struct.pack(">ii", 3, -1)]) + struct.pack(">ib", 10000, 0))
            assert client.produce(name, wire.batch([b"x"]), partition=2)[:2] == (0, 0)
            at.server.afdg("grid", "create", "g", "--regions", 2)
            assert values(client, "g.changes", "cleanup.policy", "retention.ms") == ["compact", "-1"]
            assert change(client, "g.changes", ("retention.ms", SET, "1")) == DENIED
            assert change(client, "g.messages", ("retention.bytes", SET, "50000000")) == 0
        at.server.kill()
        at.server.start()
        with Client(at.address) as client:
            assert values(client, name, "retention.ms", "segment.bytes") == ["1234567", "2000000"]
            assert client.produce(name, wire.batch([b"y"]), partition=2)[:2] == (0, 1)
            assert values(client, "g.messages", "retention.bytes") == ["50000000"]
            assert describe(client, "g.changes", keys=["retention.ms"])[0] == 0


if __name__ == "__main__":
    sys.exit(harness.run_cases(settings, partitions, starts, times_and_sizes, no_security, kept))
