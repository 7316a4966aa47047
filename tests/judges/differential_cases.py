"""The requests of the differential test, valid and invalid: CASES maps a name, 'API: what is special', to a function of a World.

A case gives the compared fields of its answers, error codes above all. It leaves nothing behind that another case would meet.
"""
import gzip
import struct
import zlib

import differential_admin
import differential_groups
import differential_wire as forms
import kafka_client as wire
from differential_world import ANSWERING, EPOCHS, FETCH, LIST, METADATA, PAGES, VERSIONS

CASES = {}
HOUR = 3600_000
GOOD = wire.batch([b"one", b"two"])
ZSTD = b"\x28\xb5\x2f\xfd\x20"  # the start of a frame that says its size in one byte


def case(name, run):
    assert name not in CASES, name
    CASES[name] = run


def old_message(magic):
    body = struct.pack(">bb", magic, 0) + (struct.pack(">q", 1000) if magic else b"") + wire.blob(b"k") + wire.blob(b"v")
    return struct.pack(">qiI", 0, 4 + len(body), zlib.crc32(body)) + body


def zstd(data):
    return ZSTD + bytes([len(data)]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def produces(what, topic, records, **more):
    case(f"Produce: {what}", lambda w: w.produce(getattr(w, topic), records(w) if callable(records) else records, **more))


produces("a sound batch", "crowded", GOOD)
produces("a sound batch, version 11", "crowded", GOOD, version=11)
produces("acks 1", "crowded", GOOD, acks=1)
produces("acks 2", "crowded", GOOD, acks=2)
produces("acks -2", "crowded", GOOD, acks=-2)
produces("unknown topic", "unknown", GOOD)
produces("unknown topic, version 11", "unknown", GOOD, version=11)
produces("partition 99", "crowded", GOOD, partition=99)
produces("partition -1", "crowded", GOOD, partition=-1)
case("Produce: a name that no topic can have", lambda w: w.produce("no/name", GOOD))
case("Produce: an empty name", lambda w: w.produce("", GOOD))
case("Produce: to __consumer_offsets", lambda w: w.produce("__consumer_offsets", GOOD))
produces("wrong CRC", "crowded", wire.batch([b"x"], crc=1))
produces("a flipped byte", "crowded", GOOD[:-3] + b"Q" + GOOD[-2:])
produces("magic 0", "crowded", old_message(0))
produces("magic 1", "crowded", old_message(1))
produces("magic 3", "crowded", wire.batch([b"x"], magic=3))
produces("no bytes", "crowded", b"")
produces("null records", "crowded", None)
produces("two batches", "crowded", GOOD + GOOD)
produces("a batch cut short", "crowded", GOOD[:-1])
produces("fewer bytes than a header", "crowded", GOOD[:30])
produces("a batch and half of one more", "crowded", GOOD + GOOD[:40])
produces("bytes after the batch", "crowded", GOOD + b"\0" * 5)
produces("a batch without records", "crowded", wire.batch([]))
produces("fewer records than counted", "crowded", wire.batch([b"a", b"b"], count=3))
produces("more records than counted", "crowded", wire.batch([b"a", b"b"], count=1))
produces("negative count", "crowded", wire.batch([b"a"], count=-1))
produces("huge count", "crowded", wire.batch([b"a"], count=0x7FFFFFFF))
produces("last offset delta too large", "crowded", forms.resealed(GOOD, delta=9))
produces("a base offset that is not 0", "crowded", forms.resealed(GOOD, base=77))
produces("length -1", "crowded", forms.resealed(GOOD, size=-1))
produces("length of 2 GiB", "crowded", forms.resealed(GOOD, size=0x7FFFFFFF))
produces("a control batch", "crowded", wire.batch([b"a"], attributes=1 << 5))
produces("codec 7", "crowded", wire.batch([b"a"], attributes=7))
produces("gzip", "crowded", forms.resealed(GOOD, attributes=1, payload=gzip.compress(GOOD[61:])))
produces("gzip of nonsense", "crowded", forms.resealed(GOOD, attributes=1, payload=b"nonsense" * 4))
produces("snappy of nonsense", "crowded", forms.resealed(GOOD, attributes=2, payload=b"\xff" * 32))
produces("lz4 of nonsense", "crowded", forms.resealed(GOOD, attributes=3, payload=b"nonsense" * 4))
produces("zstd of nonsense, version 7", "crowded", forms.resealed(GOOD, attributes=4, payload=b"nonsense" * 4), version=7)
produces("records of nonsense", "crowded", forms.resealed(GOOD, payload=b"\x99" * 20))
produces("above max.message.bytes", "small", wire.batch([b"x" * 2000]))
produces("below max.message.bytes", "small", wire.batch([b"x" * 1800]))
produces("gzip of more than max.message.bytes", "small", forms.resealed(wire.batch([b"x"]), attributes=1, payload=gzip.compress(wire.batch([bytes(9000)])[61:])))
produces("no key to a compacted topic", "compacted", GOOD)
produces("two hours in the future", "crowded", lambda w: wire.batch([b"x"], timestamp=w.now + 2 * HOUR))
produces("half an hour in the future", "crowded", lambda w: wire.batch([b"x"], timestamp=w.now + HOUR // 2))
produces("no timestamp (-1)", "crowded", wire.batch([b"x"], timestamp=-1))
produces("timestamp -5", "crowded", wire.batch([b"x"], timestamp=-5))
produces("a newest timestamp that no record has", "crowded", lambda w: forms.resealed(wire.batch([b"x"], timestamp=w.now), newest=w.now + 9))
produces("two hours in the future, log append time", "appended", lambda w: wire.batch([b"x"], timestamp=w.now + 2 * HOUR))
produces("a transactional id", "crowded", GOOD, transaction="tx")
produces("a transactional batch without an id", "crowded", lambda w: wire.batch([b"x"], attributes=1 << 4, producer=w.producer()[0], epoch=0, sequence=0))
produces("zstd, version 3", "crowded", forms.resealed(wire.batch([b"x"]), attributes=4, payload=zstd(wire.batch([b"x"])[61:])))
produces("zstd, version 7", "crowded", forms.resealed(wire.batch([b"x"]), attributes=4, payload=zstd(wire.batch([b"x"])[61:])), version=7)


def producing(*batches):
    """The answers to batches (epoch's distance, sequence, records) of one new producer, on one connection."""
    def run(w):
        producer, epoch = w.producer()
        with wire.Client(w.address, seconds=ANSWERING) as client:
            return [code for ahead, sequence, values in batches
                    for code in w.produce(w.crowded, wire.batch(values, producer=producer, epoch=epoch + ahead, sequence=sequence), partition=1, client=client)]
    return run


case("Produce: an idempotent producer in order", producing((0, 0, [b"a", b"b"]), (0, 2, [b"c"])))
case("Produce: a batch again", producing((0, 0, [b"a"]), (0, 0, [b"a"])))
case("Produce: a batch of long ago again", producing(*[(0, n, [b"a"]) for n in range(7)], (0, 0, [b"a"])))
case("Produce: a batch of long ago again, and the next one", producing(*[(0, n, [b"a"]) for n in range(7)], (0, 0, [b"a"]), (0, 7, [b"b"])))
case("Produce: a gap in the sequence, and its end", producing((0, 0, [b"a"]), (0, 5, [b"b"]), (0, 6, [b"c"]), (0, 1, [b"d"])))
case("Produce: a gap in the sequence", producing((0, 0, [b"a"]), (0, 5, [b"b"])))
case("Produce: an overlap of sequences", producing((0, 0, [b"a", b"b", b"c"]), (0, 1, [b"b", b"c", b"d"])))
case("Produce: an unknown producer that starts at 7", producing((0, 7, [b"a"])))
case("Produce: a newer epoch that starts at 0", producing((0, 0, [b"a"]), (1, 0, [b"b"])))
case("Produce: a newer epoch that starts at 3", producing((0, 0, [b"a"]), (1, 3, [b"b"])))
case("Produce: a fenced epoch", producing((1, 0, [b"a"]), (0, 1, [b"b"])))
produces("an id without an epoch", "crowded", wire.batch([b"a"], producer=5, epoch=-1, sequence=0))
produces("an id without a sequence", "crowded", wire.batch([b"a"], producer=5, epoch=0, sequence=-1))


def silent(topic, records):
    """A produce with acks 0, then ApiVersions on the same connection: both are compared as one answer."""
    def run(w):
        with wire.Client(w.address, seconds=3) as client:
            client.send(wire.PRODUCE, 3, wire.produce_body(getattr(w, topic), records, acks=0))
            return w.ask(VERSIONS, 0, "", (), "=h [hhh]", client=client)
    return run


case("Produce: acks 0", silent("crowded", GOOD))
case("Produce: acks 0 to an unknown topic", silent("unknown", GOOD))
case("Produce: acks 0 with a wrong CRC", silent("crowded", wire.batch([b"x"], crc=1)))


def fetches(what, topic, offset, **more):
    case(f"Fetch: {what}", lambda w: w.fetch(getattr(w, topic), offset, **{key: value(w) if callable(value) else value for key, value in more.items()}))


def fetches_by_id(what, topic_id, version=13, **more):
    """Fetch 12 and later: flexible, and from 13 on with topic ids."""
    def run(w):
        part = (0, more.get("epoch", -1), more.get("offset", 0), -1, -1, 1 << 20)
        return w.ask(FETCH, version, "iiii b ii <u <iiqiqi_> _> <u<i>_> S _", (-1, 0, 0, 1 << 20, 0, 0, -1, [(topic_id(w), [part])], [], ""),
                     "i =h i <u <i =h qqq <qq_> i Y _> _> _")
    case(f"Fetch: {what}", run)


fetches("from the start", "plain", 0)
fetches("at the end", "plain", 6)
fetches("past the end", "plain", 7)
fetches("far past the end", "plain", 1 << 60)
fetches("offset -1", "plain", -1)
fetches("offset -2", "plain", -2)
fetches("below the start", "trimmed", 1)
fetches("unknown topic", "unknown", 0)
fetches("partition 99", "plain", 0, partition=99)
fetches("partition -1", "plain", 0, partition=-1)
fetches("max bytes 0", "plain", 0, most=0)
fetches("max bytes -1", "plain", 0, most=-1)
fetches("partition max bytes 0", "plain", 0, part_most=0)
fetches("partition max bytes -1", "plain", 0, part_most=-1)
fetches("negative max wait", "plain", 6, wait=-1, least=1)
fetches("negative min bytes", "plain", 6, wait=100, least=-1)
fetches("isolation level 1", "plain", 0, isolation=1)
fetches("isolation level 7", "plain", 0, isolation=7)
fetches("leader epoch of the future", "plain", 0, epoch=lambda w: w.epoch + 10)
fetches("the leader epoch", "plain", 0, epoch=lambda w: w.epoch)
fetches("a new session", "plain", 0, session_epoch=0)
fetches("an unknown session", "plain", 0, session=12345, session_epoch=1)
fetches("a session that ends and is unknown", "plain", 0, session=12345, session_epoch=-1)
fetches("session 0 in epoch 5", "plain", 0, session_epoch=5)
fetches("as broker 77", "plain", 0, replica=77)
fetches("as a debugger (-2)", "plain", 0, replica=-2)
fetches_by_id("by topic id", lambda w: w.plain_id)
fetches_by_id("unknown topic id", lambda w: bytes(range(16)))
fetches_by_id("topic id 0", lambda w: bytes(16))
fetches_by_id("by topic id, past the end", lambda w: w.plain_id, offset=99)


def lists(what, topic, timestamp, **more):
    case(f"ListOffsets: {what}", lambda w: w.offsets(getattr(w, topic), timestamp, **{key: value(w) if callable(value) else value for key, value in more.items()}))


lists("latest (-1)", "plain", -1)
lists("latest, version 1", "plain", -1, version=1)
lists("earliest (-2)", "plain", -2)
lists("earliest of a topic cut by DeleteRecords", "trimmed", -2)
lists("a time before all of a topic cut by DeleteRecords", "trimmed", 0)
lists("greatest timestamp (-3), version 4", "plain", -3)
lists("timestamp -9", "plain", -9)
lists("timestamp 0", "plain", 0)
lists("a time between", "plain", 1500)
lists("a time after all", "plain", 1 << 60)
lists("latest of an empty partition", "plain", -1, partition=1)
lists("a time in an empty partition", "plain", 1000, partition=1)
lists("unknown topic", "unknown", -1)
lists("partition 99", "plain", -1, partition=99)
lists("leader epoch of the future", "plain", -1, epoch=lambda w: w.epoch + 10)
lists("isolation level 1", "plain", -1, isolation=1)
lists("isolation level 7", "plain", -1, isolation=7)
for what, version, timestamp in (("greatest timestamp (-3)", 7, -3), ("first local (-4)", 8, -4), ("last tiered (-5)", 8, -5)):
    case(f"ListOffsets: {what}, version {version}", lambda w, version=version, timestamp=timestamp: w.ask(
        LIST, version, "i b <S <iiq_> _> _", (-1, 0, [(w.plain, [(0, -1, timestamp)])]), "i <S <i =h q =q i _> _> _"))
case("ListOffsets: greatest timestamp (-3) of a topic cut by DeleteRecords", lambda w: w.ask(
    LIST, 7, "i b <S <iiq_> _> _", (-1, 0, [(w.trimmed, [(0, -1, -3)])]), "i <S <i =h q =q i _> _> _"))
case("ListOffsets: a partition twice", lambda w: w.ask(LIST, 4, "i b [s [iiq]]", (-1, 0, [(w.plain, [(0, -1, -1), (0, -1, -1)])]), "i [s [i =h q =q i]]"))


def metadata(what, topics, auto=0):
    case(f"Metadata: {what}", lambda w: w.ask(METADATA, 4, "[s] b", (topics(w), auto), "i [isis] s i [=h s b [=h ii [i] [i]]]"))


def metadata_by_id(what, topic, version=12):
    case(f"Metadata: {what}", lambda w: w.ask(METADATA, version, "<u S _> b b _", ([topic(w)], 0, 0), "i <i S i S _> S i <=h S u b <=h i i i <i> <i> <i> _> i _> _"))


metadata("a topic", lambda w: [w.plain])
metadata("unknown topic, not to be made", lambda w: [w.unknown])
metadata("unknown topic, to be made where topics are not", lambda w: [w.unknown], auto=1)
metadata("a bad name", lambda w: ["no/name"])
metadata("the name '..'", lambda w: [".."])
metadata("a name of 250 letters", lambda w: ["n" * 250])
metadata("an empty name", lambda w: [""])
metadata("no topics", lambda w: [])
metadata("a topic twice", lambda w: [w.plain, w.plain])
metadata("a known and an unknown one", lambda w: [w.plain, w.unknown])
metadata_by_id("by topic id", lambda w: (w.plain_id, None))
metadata_by_id("unknown topic id", lambda w: (bytes(range(16)), None))
metadata_by_id("neither name nor id", lambda w: (bytes(16), None))
metadata_by_id("name and id", lambda w: (w.plain_id, w.plain))
metadata_by_id("by id, version 11", lambda w: (w.plain_id, None), version=11)
metadata_by_id("by name where ids could be", lambda w: (bytes(16), w.plain))
case("Metadata: all topics", lambda w: sorted(set(w.ask(METADATA, 4, "[s] b", (None, 0), "i [isis] s i [=h s b [=h ii [i] [i]]]")), key=str))


def pages(what, topics, limit=10, cursor=None):
    case(f"DescribeTopicPartitions: {what}", lambda w: w.ask(PAGES, 0, "<S_> i (S i _) _", (topics(w), limit, cursor and cursor(w)),
                                                           "i <=h S u b <=h iii <i><i><i><i><i> _> i _> (S i _) _"))


pages("a topic", lambda w: [w.plain])
pages("unknown topic", lambda w: [w.unknown])
pages("a bad name", lambda w: ["no/name"])
pages("limit 0", lambda w: [w.plain], limit=0)
pages("limit -1", lambda w: [w.plain], limit=-1)
pages("from partition 1 on", lambda w: [w.plain], cursor=lambda w: (w.plain, 1))
pages("from partition -1 on", lambda w: [w.plain], cursor=lambda w: (w.plain, -1))
pages("from a topic on that is not asked for", lambda w: [w.plain], cursor=lambda w: ("zzz", 0))


def epochs(what, topic, current=-1, epoch=0, partition=0):
    case(f"OffsetForLeaderEpoch: {what}", lambda w: w.ask(
        EPOCHS, 3, "i [s [iii]]", (-1, [(getattr(w, topic), [(partition, current if current < 0 else w.epoch + current, epoch if epoch < 0 else w.epoch + epoch)])]), "i [s [=h i i =q]]"))


epochs("the present epoch", "plain")
epochs("an epoch of the future", "plain", epoch=9)
epochs("as if the leader had a future epoch", "plain", current=10)
epochs("epoch -1", "plain", epoch=-1)
epochs("unknown topic", "unknown")
epochs("partition 99", "plain", partition=99)

differential_admin.add(case)
differential_groups.add(case)
