#!/usr/bin/python3
"""kafka-python judges a broker; run by the Python of the virtual environment that has it."""
import contextlib
import functools
import sys
import time

import judge
import kafka
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.structs import OffsetAndMetadata

START = int(time.time() * 1000) - 3_600_000  # older records would be taken by retention

at = judge.address()
topic = judge.new_topic()
single = judge.new_topic()
members = judge.new_topic()
sent = []
OLD = kafka.__version__.startswith("2.0.")


@contextlib.contextmanager
def administrator():
    client = KafkaAdminClient(bootstrap_servers=at)
    try:
        yield client
    finally:
        client.close()


def producer(**more):
    return KafkaProducer(bootstrap_servers=at, acks="all", linger_ms=20, max_block_ms=15000, **more)


def consumer(**more):
    return KafkaConsumer(bootstrap_servers=at, consumer_timeout_ms=8000, auto_offset_reset="earliest", **{"group_id": None, **more})


def plain(record):
    return record.key.decode(), record.value.decode(), {name: value.decode() for name, value in record.headers}


def send(maker, name, some, **more):
    waiting = [maker.send(name, key=key.encode(), value=value.encode(), headers=[(head, text.encode()) for head, text in headers.items()], **more)
               for key, value, headers in some]
    maker.flush(15)
    return [one.get(15) for one in waiting]


def take(reader, count):
    out = []
    for record in reader:
        out.append(record)
        if len(out) == count:
            break
    return out


def metadata():
    reader = consumer()
    reader.topics()
    reader.close()


def create():
    admin = KafkaAdminClient(bootstrap_servers=at)
    admin.create_topics([NewTopic(topic, 3, 1), NewTopic(single, 1, 1)])
    admin.close()
    reader = consumer()
    assert reader.partitions_for_topic(topic) == {0, 1, 2}, reader.partitions_for_topic(topic)
    reader.close()


def produce(codec):
    maker = producer(compression_type=None if codec == "none" else codec)
    some = judge.records(codec)
    places = send(maker, topic, some)
    maker.close()
    assert len({(place.partition, place.offset) for place in places}) == len(some), "two records have the same offset"
    sent.extend(some)


def consume():
    reader = consumer()
    reader.assign([TopicPartition(topic, partition) for partition in range(3)])
    reader.seek_to_beginning()
    found = take(reader, len(sent))
    reader.close()
    judge.same(map(plain, found), sent)


def from_offset():
    maker = producer()
    some = judge.records("offset", 100)
    for index, (key, value, headers) in enumerate(some):
        send(maker, single, [(key, value, headers)], partition=0, timestamp_ms=START + index * 1000) if index % 25 == 0 else \
            maker.send(single, key=key.encode(), value=value.encode(), headers=[(head, text.encode()) for head, text in headers.items()],
                       partition=0, timestamp_ms=START + index * 1000)
    maker.flush(15)
    maker.close()
    reader = consumer()
    place = TopicPartition(single, 0)
    reader.assign([place])
    assert reader.end_offsets([place])[place] == 100
    reader.seek(place, 37)
    found = take(reader, 63)
    reader.close()
    assert [record.offset for record in found] == list(range(37, 100))
    judge.same(map(plain, found), some[37:])


def from_time():
    reader = consumer()
    place = TopicPartition(single, 0)
    reader.assign([place])
    at_time = reader.offsets_for_times({place: START + 41_500})[place]
    assert (at_time.offset, at_time.timestamp) == (42, START + 42_000), at_time
    assert reader.offsets_for_times({place: START + 1_000_000_000})[place] is None
    reader.seek(place, at_time.offset)
    assert take(reader, 1)[0].offset == 42
    reader.close()


def idempotent():
    if OLD:
        raise judge.Skip("this version has no idempotent producer")
    maker = producer(enable_idempotence=True)
    some = judge.records("idempotent")
    send(maker, topic, some)
    maker.close()
    sent.extend(some)
    consume()


def unknown_topic():
    reader = consumer(allow_auto_create_topics=False) if not OLD else consumer()
    name = judge.new_topic()
    if OLD:
        admin = KafkaAdminClient(bootstrap_servers=at)
        try:
            admin.delete_topics([name])
        except kafka.errors.UnknownTopicOrPartitionError:
            return "on delete"
        finally:
            admin.close()
            reader.close()
        raise AssertionError("a topic that is not there was deleted")
    try:
        found = reader.partitions_for_topic(name)
    finally:
        reader.close()
    assert not found, found
    return "no partitions"


def group():
    name = members
    first = KafkaConsumer(topic, bootstrap_servers=at, group_id=name, auto_offset_reset="earliest", consumer_timeout_ms=15000, enable_auto_commit=False)
    found = take(first, len(sent) // 2)
    first.commit()
    first.close()
    second = KafkaConsumer(topic, bootstrap_servers=at, group_id=name, auto_offset_reset="earliest", consumer_timeout_ms=8000)
    found += take(second, len(sent) - len(found))
    second.close()
    judge.same(map(plain, found), sent)


def group_admin():
    with administrator() as admin:
        if OLD:
            assert (members, "consumer") in admin.list_consumer_groups(), "it is not listed"
            described = admin.describe_consumer_groups([members])[0]
            assert (described.state, described.members) == ("Empty", []), described
            committed, remove = admin.list_consumer_group_offsets(members), admin.delete_consumer_groups
        else:
            listed = {one["group_id"]: one for one in admin.list_groups()}[members]
            assert listed["protocol_type"] == "consumer", listed
            described = admin.describe_groups([members])[members]
            assert not described["members"], described
            committed, remove = admin.list_group_offsets(members)[members], admin.delete_groups
            admin.alter_group_offsets(members, {TopicPartition(topic, 1): OffsetAndMetadata(5, "here", -1)})
            found = admin.list_group_offsets(members)[members][TopicPartition(topic, 1)]
            assert (found.offset, found.metadata) == (5, "here"), found
        assert {place.topic for place in committed} == {topic} and sum(one.offset for one in committed.values()) > 0, committed
        first, second = (remove([members]) for _ in range(2))
        assert ("NoError" in str(first) or "OK" in str(first)) and "GroupIdNotFound" in str(second), (first, second)


def configs():
    def resource(**wanted):
        return ConfigResource(ConfigResourceType.TOPIC, single, configs=wanted or None)

    with administrator() as admin:
        def described():
            if OLD:
                return {entry[0]: entry[1] for entry in admin.describe_configs([resource()])[0].resources[0][4]}
            found = admin.describe_configs([resource()], config_filter="all")
            return {name: entry["value"] for name, entry in next(iter(found.values()))[single].items()}

        before = described()
        assert before["cleanup.policy"] == "delete", before["cleanup.policy"]
        admin.alter_configs([resource(**{"retention.ms": "7200000000"})])
        assert described()["retention.ms"] == "7200000000", described()["retention.ms"]
    return f"{len(before)} settings of a topic listed"


def more_partitions():
    with administrator() as admin:
        admin.create_partitions({single: NewPartitions(3)} if OLD else {single: 3})
        try:
            admin.create_partitions({single: NewPartitions(2)} if OLD else {single: 2})
        except kafka.errors.InvalidPartitionsError:
            pass
        else:
            raise AssertionError("fewer partitions were not refused")
    reader = consumer()
    assert reader.partitions_for_topic(single) == {0, 1, 2}, reader.partitions_for_topic(single)
    reader.close()


def delete_records():
    if OLD:
        raise judge.Skip("this version has no such call")
    with administrator() as admin:
        admin.delete_records({TopicPartition(single, 0): 10})
    reader = consumer()
    place = TopicPartition(single, 0)
    assert (reader.beginning_offsets([place])[place], reader.end_offsets([place])[place]) == (10, 100)
    reader.close()


def delete():
    admin = KafkaAdminClient(bootstrap_servers=at)
    admin.delete_topics([topic, single])
    admin.close()
    reader = consumer()
    left = reader.topics() & {topic, single}
    reader.close()
    assert not left, left


tasks = {"metadata": metadata, "create": create, "consume": consume, "from_offset": from_offset, "from_time": from_time, "idempotent": idempotent,
         "unknown_topic": unknown_topic, "group": group, "group_admin": group_admin, "configs": configs, "more_partitions": more_partitions,
         "delete_records": delete_records, "delete": delete}
for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    tasks[f"produce_{name}"] = functools.partial(produce, name)
sys.exit(judge.main("kafka-python", kafka.__version__, tasks))
