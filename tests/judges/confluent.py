#!/usr/bin/python3
"""confluent-kafka (librdkafka) judges a broker; run by the Python of the virtual environment that has it."""
import functools
import sys
import time

import confluent_kafka
import judge
from confluent_kafka import OFFSET_BEGINNING, Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic

at = judge.address()
topic = judge.new_topic()
single = judge.new_topic()
members = judge.new_topic()
sent = []
START = int(time.time() * 1000) - 3_600_000  # older records would be taken by retention


the_admin = AdminClient({"bootstrap.servers": at})


def admin():
    return the_admin


def consumer(**more):
    return Consumer({"bootstrap.servers": at, "group.id": judge.new_topic(), "auto.offset.reset": "earliest", "enable.auto.commit": False, **more})


def plain(message):
    return message.key().decode(), message.value().decode(), {name: value.decode() for name, value in message.headers()}


def send(name, some, more, **where):
    maker = Producer({"bootstrap.servers": at, "linger.ms": 20, "message.timeout.ms": 20000, **more})
    errors, places = [], set()

    def told(error, message):
        if error:
            errors.append(str(error))
        else:
            places.add((message.partition(), message.offset()))

    for index, (key, value, headers) in enumerate(some):
        times = {"timestamp": START + index * 1000} if where else {}
        maker.produce(name, key=key, value=value, headers=headers, on_delivery=told, **where, **times)
    left = maker.flush(20)
    assert not left and not errors, f"{left} not sent, {errors[:2]}"
    assert len(places) == len(some), f"{len(places)} places of {len(some)} records"


def take(reader, count, seconds=10):
    out = []
    while len(out) < count:
        message = reader.poll(seconds)
        assert message is not None, f"only {len(out)} of {count} records came"
        if message.error():
            raise KafkaException(message.error())
        out.append(message)
    return out


def metadata():
    found = admin().list_topics(timeout=10)
    assert found.brokers and found.cluster_id, found
    assert found.controller_id in found.brokers


def create():
    for future in admin().create_topics([NewTopic(topic, 3, 1), NewTopic(single, 1, 1)]).values():
        future.result(15)
    assert len(admin().list_topics(topic, timeout=10).topics[topic].partitions) == 3
    try:
        admin().create_topics([NewTopic(topic, 3, 1)])[topic].result(15)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS, error
    else:
        raise AssertionError("a topic was made twice")


def produce(codec):
    some = judge.records(codec)
    send(topic, some, {"compression.type": codec, "acks": "all"})
    sent.extend(some)


def consume():
    reader = consumer()
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(3)])
    found = take(reader, len(sent))
    reader.close()
    judge.same(map(plain, found), sent)


def from_offset():
    some = judge.records("offset", 100)
    send(single, some, {}, partition=0)
    reader = consumer()
    assert reader.get_watermark_offsets(TopicPartition(single, 0), 10) == (0, 100)
    reader.assign([TopicPartition(single, 0, 37)])
    found = take(reader, 63)
    reader.close()
    assert [message.offset() for message in found] == list(range(37, 100))
    judge.same(map(plain, found), some[37:])


def from_time():
    reader = consumer()
    found = reader.offsets_for_times([TopicPartition(single, 0, START + 41_500)], timeout=10)[0]
    assert found.offset == 42, found
    late = reader.offsets_for_times([TopicPartition(single, 0, START + 1_000_000_000)], timeout=10)[0]
    assert late.offset == -1, late
    reader.assign([found])
    message = take(reader, 1)[0]
    reader.close()
    assert (message.offset(), message.timestamp()[1]) == (42, START + 42_000), (message.offset(), message.timestamp())


def idempotent():
    some = judge.records("idempotent")
    send(topic, some, {"enable.idempotence": True})
    sent.extend(some)
    consume()


def unknown_topic():
    name = judge.new_topic()
    try:
        admin().delete_topics([name])[name].result(15)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART, error
        return "on delete"
    raise AssertionError("a topic that is not there was deleted")


def refused(call, code):
    try:
        call()
    except KafkaException as error:
        assert error.args[0].code() == code, error
    else:
        raise AssertionError(f"it was not refused with error {code}")


def group():
    name = members
    first = consumer(**{"group.id": name})
    first.subscribe([topic])
    found = take(first, len(sent) // 2, 20)
    first.commit(asynchronous=False)
    first.close()
    second = consumer(**{"group.id": name})
    second.subscribe([topic])
    found += take(second, len(sent) - len(found), 20)
    second.close()
    judge.same(map(plain, found), sent)


def group_admin():
    listed = {one.group_id: one for one in admin().list_consumer_groups().result(15).valid}
    assert listed[members].state == ConsumerGroupState.EMPTY, listed[members].state
    described = admin().describe_consumer_groups([members])[members].result(15)
    assert (described.state, described.members) == (ConsumerGroupState.EMPTY, []), (described.state, described.members)

    def committed():
        found = admin().list_consumer_group_offsets([ConsumerGroupTopicPartitions(members)])[members].result(15)
        return {one.partition: one.offset for one in found.topic_partitions}

    assert sum(committed().values()) > 0, committed()
    admin().alter_consumer_group_offsets([ConsumerGroupTopicPartitions(members, [TopicPartition(topic, 1, 5)])])[members].result(15)
    assert committed()[1] == 5, committed()
    admin().delete_consumer_groups([members])[members].result(15)
    refused(lambda: admin().delete_consumer_groups([members])[members].result(15), KafkaError.GROUP_ID_NOT_FOUND)


def configs():
    resource = ConfigResource(ConfigResource.Type.TOPIC, single)

    def described():
        return {name: (entry.value, entry.source) for name, entry in admin().describe_configs([resource])[resource].result(15).items()}

    def alter(value):
        change = ConfigResource(ConfigResource.Type.TOPIC, single, incremental_configs=[ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)])
        admin().incremental_alter_configs([change])[change].result(15)

    before = described()
    assert before["cleanup.policy"] == ("delete", ConfigSource.DEFAULT_CONFIG.value), before["cleanup.policy"]
    alter("7200000000")
    assert described()["retention.ms"] == ("7200000000", ConfigSource.DYNAMIC_TOPIC_CONFIG.value), described()["retention.ms"]
    refused(lambda: alter("soon"), KafkaError.INVALID_CONFIG)
    return f"{len(before)} settings of a topic listed"


def more_partitions():
    admin().create_partitions([NewPartitions(single, 3)])[single].result(15)
    assert len(admin().list_topics(single, timeout=10).topics[single].partitions) == 3
    refused(lambda: admin().create_partitions([NewPartitions(single, 2)])[single].result(15), KafkaError.INVALID_PARTITIONS)


def delete_records():
    place = TopicPartition(single, 0, 10)
    assert admin().delete_records([place])[place].result(15).low_watermark == 10
    reader = consumer()
    assert reader.get_watermark_offsets(TopicPartition(single, 0), 10) == (10, 100)
    reader.close()


def delete():
    for future in admin().delete_topics([topic, single]).values():
        future.result(15)
    left = set(admin().list_topics(timeout=10).topics) & {topic, single}
    assert not left, left


tasks = {"metadata": metadata, "create": create, "consume": consume, "from_offset": from_offset, "from_time": from_time, "idempotent": idempotent,
         "unknown_topic": unknown_topic, "group": group, "group_admin": group_admin, "configs": configs, "more_partitions": more_partitions,
         "delete_records": delete_records, "delete": delete}
for codec_name in ("none", "gzip", "snappy", "lz4", "zstd"):
    tasks[f"produce_{codec_name}"] = functools.partial(produce, codec_name)
sys.exit(judge.main("confluent-kafka", confluent_kafka.__version__, tasks))
