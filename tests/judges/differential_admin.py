"""The differential test's requests about topics, settings, producers, versions, and those that are broken as a whole."""
import struct

import kafka_client as wire
from differential_world import (ACLS, ALTER, CLUSTER, CREATE, DELETE, DELETE_RECORDS, DESCRIBE, FETCH, GROW, INCREMENTAL, INIT, LIST, LOG_DIRS, METADATA, PRODUCE,
                                SASL, SASL_TOKEN, VERSIONS)

TOPIC, BROKER, LOGGER, GROUP = 2, 4, 8, 32
SET, UNSET, APPEND, SUBTRACT = 0, 1, 2, 3
HUGE = struct.pack(">i", 0x7FFFFFFF)
TEXT_NULL = wire.text(None)


def topics(case):
    def creates(what, *asked, only_check=1):
        """Topics of new names unless one is given."""
        def run(w):
            named = [(f"differ-{w.mark}-new-{turn}" if name is None else getattr(w, name, name), *rest) for turn, (name, *rest) in enumerate(asked)]
            return w.create(*named, only_check=only_check)
        case(f"CreateTopics: {what}", run)

    creates("only checked", (None, 1, 1, [], []))
    creates("exists", ("plain", 1, 1, [], []))
    creates("exists, not only checked", ("plain", 1, 1, [], []), only_check=0)
    creates("a bad name", ("no/name", 1, 1, [], []))
    creates("an empty name", ("", 1, 1, [], []))
    creates("the name '.'", (".", 1, 1, [], []))
    creates("a name of 250 letters", ("n" * 250, 1, 1, [], []))
    creates("the name __consumer_offsets", ("__consumer_offsets", 1, 1, [], []))
    creates("0 partitions", (None, 0, 1, [], []))
    creates("-2 partitions", (None, -2, 1, [], []))
    creates("2147483647 partitions", (None, 0x7FFFFFFF, 1, [], []))
    creates("default partitions and replicas (-1)", (None, -1, -1, [], []))
    creates("replication factor 0", (None, 1, 0, [], []))
    creates("replication factor 3 on one broker", (None, 1, 3, [], []))
    creates("an unknown setting", (None, 1, 1, [], [("no.such.key", "1")]))
    creates("a bad value of a setting", (None, 1, 1, [], [("retention.ms", "soon")]))
    creates("a null value of a setting", (None, 1, 1, [], [("retention.ms", None)]))
    creates("a setting twice", (None, 1, 1, [], [("retention.ms", "1"), ("retention.ms", "2")]))
    creates("segment.bytes below the least", (None, 1, 1, [], [("segment.bytes", "13")]))
    creates("cleanup.policy of nonsense", (None, 1, 1, [], [("cleanup.policy", "shred")]))
    creates("settings that contradict each other", (None, 1, 1, [], [("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "5")]))
    creates("flush.messages=1", (None, 1, 1, [], [("flush.messages", "1")]))
    creates("remote.storage.enable", (None, 1, 1, [], [("remote.storage.enable", "true")]))
    creates("a name twice", ("differ-twice", 1, 1, [], []), ("differ-twice", 1, 1, [], []))
    creates("a good and a bad one", (None, 1, 1, [], []), ("no/name", 1, 1, [], []))
    creates("no topics")

    def assigns(what, assigned, partitions=-1, replicas=-1):
        case(f"CreateTopics: {what}", lambda w: w.create(
            (f"differ-{w.mark}-placed", partitions, replicas, [(index, [w.broker if broker is None else broker for broker in brokers]) for index, brokers in assigned], []),
            only_check=1))

    assigns("an assignment", [(0, [None]), (1, [None])])
    assigns("an assignment and a number of partitions", [(0, [None])], partitions=1)
    assigns("an assignment and a replication factor", [(0, [None])], replicas=1)
    assigns("an assignment to an unknown broker", [(0, [77])])
    assigns("an assignment that begins at 1", [(1, [None])])
    assigns("an assignment without brokers", [(0, [])])
    assigns("an assignment to one broker twice", [(0, [None, None])])

    def told(w):
        """What the answer says of some settings."""
        found, fields = w.whole(CREATE, 7, "<S i h <i <i> _> <S S _> _> i b _", ([(f"differ-{w.mark}-told", 1, 1, [], [("retention.ms", "77")])], 10000, 1),
                                "i <S u =h S i h <S S b b b _> _> _")
        return found + [f"{name} {value} {source}" for name, value, _, source, _ in fields[1][0][6] if name in ("cleanup.policy", "retention.ms")]
    case("CreateTopics: the settings in the answer, version 7", told)
    case("CreateTopics: flexible, version 7", lambda w: w.ask(CREATE, 7, "<S i h <i <i> _> <S S _> _> i b _", ([(f"differ-{w.mark}-v7", 1, 1, [], [])], 10000, 1),
                                                              "i <S u =h S =i h <S S b b b _> _> _"))

    def deletes(what, names):
        case(f"DeleteTopics: {what}", lambda w: w.ask(DELETE, 1, "[s] i", (names(w), 10000), "i [s =h]"))

    deletes("unknown", lambda w: [w.unknown])
    deletes("a bad name", lambda w: ["no/name"])
    deletes("an unknown one twice", lambda w: [w.unknown, w.unknown])
    deletes("none", lambda w: [])
    for what, item in (("unknown topic id", lambda w: (None, bytes(range(16)))), ("neither name nor id", lambda w: (None, bytes(16))),
                       ("name and id", lambda w: (w.unknown, w.plain_id))):
        case(f"DeleteTopics: {what}, version 6", lambda w, item=item: w.ask(DELETE, 6, "<S u _> i _", ([item(w)], 10000), "i <S u =h S _> _"))
    longest = "n" * 249
    case("CreateTopics: a name of 249 letters", lambda w: w.create((longest, 1, 1, [], [])) + w.settles(
        "the topic is deleted", lambda: w.ask(DELETE, 1, "[s] i", ([longest], 10000), "i [s =h]")))
    case("DeleteTopics: one that there is", lambda w: w.create((f"differ-{w.mark}-gone", 1, 1, [], [])) + w.settles(
        "the topic is deleted", lambda: w.ask(DELETE, 1, "[s] i", ([f"differ-{w.mark}-gone"], 10000), "i [s =h]")))

    case("CreatePartitions: fewer", lambda w: w.grow(w.plain, 1))
    case("CreatePartitions: as many", lambda w: w.grow(w.plain, 2))
    case("CreatePartitions: 0", lambda w: w.grow(w.plain, 0))
    case("CreatePartitions: -1", lambda w: w.grow(w.plain, -1))
    case("CreatePartitions: 2147483647", lambda w: w.grow(w.plain, 0x7FFFFFFF, only_check=1))
    case("CreatePartitions: unknown topic", lambda w: w.grow(w.unknown, 4))
    case("CreatePartitions: only checked", lambda w: w.grow(w.plain, 3, only_check=1))
    case("CreatePartitions: an assignment", lambda w: w.grow(w.plain, 3, [[w.broker]], only_check=1))
    case("CreatePartitions: an assignment of another size", lambda w: w.grow(w.plain, 4, [[w.broker]], only_check=1))
    case("CreatePartitions: an assignment to an unknown broker", lambda w: w.grow(w.plain, 3, [[77]], only_check=1))
    case("CreatePartitions: a topic twice", lambda w: w.ask(GROW, 0, "[s i [[i]]] i b", ([(w.plain, 4, None), (w.plain, 5, None)], 10000, 1), "i [s =h s]"))

    def cuts(what, topic, offset, partition=0):
        case(f"DeleteRecords: {what}", lambda w: w.ask(DELETE_RECORDS, 0, "[s [i q]] i", ([(getattr(w, topic), [(partition, offset)])], 5000), "i [s [i =q =h]]"))

    cuts("below the start", "trimmed", 1)
    cuts("at the start", "trimmed", 2)
    cuts("past the end", "trimmed", 5)
    cuts("offset -2", "trimmed", -2)
    cuts("unknown topic", "unknown", 0)
    cuts("partition 99", "trimmed", 0, partition=99)
    cuts("a compacted topic", "compacted", 0)


def settings(case):
    def describes(what, kind, name, keys=None):
        case(f"DescribeConfigs: {what}", lambda w: w.describe(kind, name(w), keys))

    describes("a topic", TOPIC, lambda w: w.plain)
    describes("unknown topic", TOPIC, lambda w: w.unknown)
    describes("a bad topic name", TOPIC, lambda w: "no/name")
    describes("an unknown key", TOPIC, lambda w: w.plain, ["no.such.key"])
    def unnamed(w):
        found, fields = w.whole(DESCRIBE, 1, "[b s [s]] b", ([(TOPIC, w.plain, [])], 0), "i [=h s b s [ss b b b [s s b]]]")
        return found + [f"{name} {value}" for name, value, *_ in fields[1][0][4] if name == "retention.ms"]
    case("DescribeConfigs: an empty list of keys", unnamed)
    describes("the broker", BROKER, lambda w: str(w.broker))
    describes("another broker", BROKER, lambda w: "77")
    describes("a broker that is no number", BROKER, lambda w: "one")
    describes("the default of all brokers", BROKER, lambda w: "")
    describes("resource type 77", 77, lambda w: w.plain)
    describes("resource type 0", 0, lambda w: w.plain)
    describes("a broker's loggers", LOGGER, lambda w: str(w.broker))
    describes("a group", GROUP, lambda w: w.group)

    for api, change in (("AlterConfigs", lambda w, pairs, **more: w.replace(*pairs, **more)),
                        ("IncrementalAlterConfigs", lambda w, pairs, **more: w.configure(*[(key, SET, value) for key, value in pairs], only_check=1, **more))):
        for what, pairs, more in (("a value", [("retention.ms", "60000")], {}), ("an unknown key", [("no.such.key", "1")], {}),
                                  ("a bad value", [("retention.ms", "soon")], {}), ("a null value", [("retention.ms", None)], {}),
                                  ("an empty key", [("", "1")], {}), ("unknown topic", [("retention.ms", "1")], {"name": "differ-unknown"}),
                                  ("a bad topic name", [("retention.ms", "1")], {"name": "no/name"}), ("resource type 77", [("retention.ms", "1")], {"kind": 77}),
                                  ("resource type 0", [("retention.ms", "1")], {"kind": 0}), ("no settings", [], {}),
                                  ("a key twice", [("retention.ms", "1"), ("retention.ms", "2")], {}),
                                  ("another broker", [("log.retention.ms", "1")], {"kind": BROKER, "name": "77"}),
                                  ("a broker that is no number", [("log.retention.ms", "1")], {"kind": BROKER, "name": "one"}),
                                  ("a setting of the broker", [("log.retention.ms", "60000")], {"kind": BROKER, "name": "1"}),
                                  ("a setting of all brokers", [("log.retention.ms", "60000")], {"kind": BROKER, "name": ""}),
                                  ("the settings of __consumer_offsets", [("retention.ms", "60000")], {"name": "__consumer_offsets"})):
            case(f"{api}: {what}", lambda w, change=change, pairs=pairs, more=more: change(w, pairs, **more))
        key, item = (ALTER, "ss") if api == "AlterConfigs" else (INCREMENTAL, "sbs")
        one = ("retention.ms", "1") if api == "AlterConfigs" else ("retention.ms", SET, "1")
        case(f"{api}: a resource twice", lambda w, key=key, item=item, one=one: w.ask(
            key, 0, f"[b s [{item}]] b", ([(TOPIC, w.plain, [one]), (TOPIC, w.plain, [one])], 1), "i [=h s b s]"))

    for what, operations in (("operation 9", [("retention.ms", 9, "1")]), ("operation -1", [("retention.ms", -1, "1")]), ("append to a number", [("retention.ms", APPEND, "1")]),
                             ("append to a list", [("cleanup.policy", APPEND, "compact")]), ("subtract from a list", [("cleanup.policy", SUBTRACT, "delete")]),
                             ("append nonsense to a list", [("cleanup.policy", APPEND, "shred")]), ("append null", [("cleanup.policy", APPEND, None)]),
                             ("delete a key that is not set", [("segment.ms", UNSET, None)]), ("delete an unknown key", [("no.such.key", UNSET, None)]),
                             ("set and delete of a key", [("segment.ms", SET, "9"), ("segment.ms", UNSET, None)])):
        case(f"IncrementalAlterConfigs: {what}", lambda w, operations=operations: w.configure(*operations, only_check=1))

    def directories(what, asked):
        case(f"DescribeLogDirs: {what}", lambda w: sorted(w.ask(LOG_DIRS, 1, "[s [i]]", (asked(w),), "i [=h s [s [=i q q b]]]"), key=str))

    directories("a topic", lambda w: [(w.plain, [0, 1])])
    directories("unknown topic", lambda w: [(w.unknown, [0])])
    directories("partition 99", lambda w: [(w.plain, [99])])
    directories("no topics", lambda w: [])


def others(case):
    def producers(what, transaction, timeout, version=0, producer=-1, epoch=-1):
        form, values, answer = ("s i", (transaction, timeout), "i =h q h") if version < 3 else ("S i q h _", (transaction, timeout, producer, epoch), "i =h q h _")
        case(f"InitProducerId: {what}", lambda w: w.ask(INIT, version, form, values, answer))

    producers("without a transaction", None, 60000)
    producers("a transaction's timeout of 0, but no transaction", None, 0)
    producers("a transaction's timeout of -1, but no transaction", None, -1)
    producers("an empty transactional id", "", 60000)
    producers("a transactional id, timeout 0", "differ", 0)
    producers("a transactional id, timeout of 2147483647", "differ", 0x7FFFFFFF)
    producers("without a transaction, version 4", None, 60000, version=4)
    producers("a producer id, but no transaction, version 4", None, 60000, version=4, producer=7, epoch=1)
    producers("a producer id without an epoch, version 4", None, 60000, version=4, producer=7)

    case("SaslHandshake: PLAIN on a plaintext listener", lambda w: w.ask(SASL, 1, "s", ("PLAIN",), "=h [s]"))
    case("SaslAuthenticate: on a plaintext listener", lambda w: w.ask(SASL_TOKEN, 0, "y", (b"\0u\0p",), "=h s y"))
    case("DescribeAcls: all", lambda w: w.ask(ACLS, 1, "b s b s s b b", (1, None, 1, None, None, 1, 1), "i =h s [b s b [s s b b]]"))
    case("DescribeCluster: of the brokers", lambda w: w.ask(CLUSTER, 0, "b _", (0,), "i =h S S i <i S i S _> i _"))
    case("DescribeCluster: endpoints of the controllers", lambda w: w.ask(CLUSTER, 1, "b b _", (0, 2), "i =h S b S i <i S i S _> i _"))
    case("DescribeCluster: endpoints of type 9", lambda w: w.ask(CLUSTER, 1, "b b _", (0, 9), "i =h S b S i <i S i S _> i _"))

    old, new = "=h [hhh]", "=h <hhh_> i _"
    case("ApiVersions: version 0", lambda w: w.ask(VERSIONS, 0, "", (), old))
    case("ApiVersions: version 3", lambda w: w.ask(VERSIONS, 3, "S S _", ("differ", "1.0"), new + "")[:1])
    case("ApiVersions: version 99", lambda w: w.ask(VERSIONS, 99, "", (), old, body=b"\0" * 20))
    case("ApiVersions: version -1", lambda w: w.ask(VERSIONS, -1, "", (), old))
    case("ApiVersions: a client's name with spaces", lambda w: w.ask(VERSIONS, 3, "S S _", ("a b", "1.0"), new)[:1])
    case("ApiVersions: an empty client's name", lambda w: w.ask(VERSIONS, 3, "S S _", ("", ""), new)[:1])
    case("ApiVersions: version 3 cut short", lambda w: w.ask(VERSIONS, 3, "", (), new, body=b"\x07ab")[:1])
    for what, key, version in (("unknown key 999", 999, 0), ("unknown key -1", -1, 0), ("Metadata version 77", METADATA, 77), ("Metadata version -1", METADATA, -1),
                               ("Fetch version 99", FETCH, 99), ("Produce version 99", PRODUCE, 99), ("Produce version 2", PRODUCE, 2), ("Fetch version 3", FETCH, 3),
                               ("a controller's API (Vote, 52)", 52, 0), ("a broker's API (BrokerHeartbeat, 63)", 63, 0)):
        case(f"Frame: {what}", lambda w, key=key, version=version: w.ask(key, version, "", (), "", body=b"\0" * 30))

    whole = {"Metadata": (METADATA, 4, "", wire.array([wire.text("differ-unknown")]) + b"\0"),
             "Produce": (PRODUCE, 3, "", wire.produce_body("differ-unknown", wire.batch([b"v"]))),
             "Fetch": (FETCH, 4, "", wire.fetch_body("differ-unknown", 0)), "CreateTopics": (CREATE, 2, "", wire.create_body("no/name", 1))}
    answers = {"Metadata": "i [isis] s i [=h s b [=h ii [i] [i]]]", "Produce": "[s [i =h q q]] i", "Fetch": "i [s [i =h q q [qq] y]]", "CreateTopics": "i [s =h s]"}
    for name, (key, version, _, body) in whole.items():
        for what, sent in (("cut in half", body[:len(body) // 2]), ("cut by one byte", body[:-1]), ("no body", b""), ("bytes after its end", body + b"\0\1\2")):
            case(f"{name}: {what}", lambda w, key=key, version=version, sent=sent, name=name: w.ask(key, version, "", (), answers[name], body=sent))
    start = TEXT_NULL + struct.pack(">hi", -1, 1000)
    few = struct.pack(">i", -5)
    for name, key, version, body in (("Metadata", METADATA, 4, HUGE + b"\1"), ("Produce", PRODUCE, 3, start + HUGE),
                                     ("Fetch", FETCH, 4, struct.pack(">iiiib", -1, 0, 0, 1, 0) + HUGE), ("ListOffsets", LIST, 1, struct.pack(">i", -1) + HUGE),
                                     ("CreateTopics", CREATE, 2, HUGE), ("DescribeConfigs", DESCRIBE, 1, HUGE)):
        case(f"{name}: an array of 2147483647", lambda w, key=key, version=version, body=body: w.ask(key, version, "", (), "", body=body))
    for name, key, version, body in (("Produce", PRODUCE, 3, start + few), ("ListOffsets", LIST, 1, struct.pack(">i", -1) + few),
                                     ("CreateTopics", CREATE, 2, few + struct.pack(">ib", 1000, 0))):
        case(f"{name}: an array of -5", lambda w, key=key, version=version, body=body: w.ask(key, version, "", (), "", body=body))
    case("Metadata: an array of -5", lambda w: sorted(set(w.ask(METADATA, 4, "", (), answers["Metadata"], body=few + b"\1")), key=str))
    case("Produce: a null array of topics", lambda w: w.ask(PRODUCE, 3, "", (), "", body=start + struct.pack(">i", -1)))
    case("InitProducerId: a text of 32767 that is not there", lambda w: w.ask(INIT, 0, "", (), "", body=struct.pack(">h", 0x7FFF) + TEXT_NULL))
    case("InitProducerId: a text of -2", lambda w: w.ask(INIT, 0, "", (), "i =h q =h", body=struct.pack(">hi", -2, 1000)))
    case("Metadata: text that is not UTF-8", lambda w: w.ask(METADATA, 4, "", (), answers["Metadata"], body=wire.array([struct.pack(">h", 2) + b"\xff\xfe"]) + b"\0"))


def add(case):
    topics(case)
    settings(case)
    others(case)
