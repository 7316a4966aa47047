"""What the differential test's requests meet on each broker: topics of a new name, records at known offsets, groups; and how one request is asked."""
import contextlib
import itertools
import struct
import time
import uuid

import differential_wire as forms
import kafka_client as wire

ACLS, ALTER, COMMIT, COORDINATOR, CLUSTER, CREATE, DELETE, DELETE_GROUPS, DELETE_RECORDS = 29, 33, 8, 10, 60, 19, 20, 42, 21
DESCRIBE, DESCRIBE_GROUPS, EPOCHS, FETCH, FETCHED, GROW, HEARTBEAT, INCREMENTAL, INIT = 32, 15, 23, 1, 9, 37, 12, 44, 22
JOIN, LEAVE, LIST, LIST_GROUPS, LOG_DIRS, METADATA, OFFSET_DELETE, PAGES, PRODUCE, SASL, SASL_TOKEN, SYNC, VERSIONS = 11, 13, 2, 16, 35, 3, 47, 75, 0, 17, 36, 14, 18
# The first flexible version (KIP-482): from it on the headers have tagged fields, too.
FLEXIBLE = {PRODUCE: 9, FETCH: 12, LIST: 6, METADATA: 9, COMMIT: 8, FETCHED: 6, COORDINATOR: 3, JOIN: 6, HEARTBEAT: 4, LEAVE: 4, SYNC: 4, DESCRIBE_GROUPS: 5,
            LIST_GROUPS: 3, VERSIONS: 3, CREATE: 5, DELETE: 4, DELETE_RECORDS: 2, INIT: 2, EPOCHS: 4, DESCRIBE: 4, ALTER: 2, LOG_DIRS: 2, SASL_TOKEN: 2,
            GROW: 2, DELETE_GROUPS: 2, INCREMENTAL: 1, CLUSTER: 0, PAGES: 0, ACLS: 2}
NOT_YET = 15  # COORDINATOR_NOT_AVAILABLE
ANSWERING = 6  # seconds until an answer is no longer awaited
JOINED = "i=hisss[sy]"  # an answer to JoinGroup 2-4


class World:
    """One broker, made ready."""

    def __init__(self, address):
        self.address = address
        mark = uuid.uuid4().hex[:8]
        self.plain, self.compacted, self.small, self.trimmed, self.appended, self.crowded = (
            f"differ-{mark}-{name}" for name in ("plain", "compacted", "small", "trimmed", "appended", "crowded"))
        self.unknown, self.group, self.mark = f"differ-{mark}-unknown", f"differ-{mark}-group", mark
        self.now = int(time.time() * 1000)
        self.groups = itertools.count()
        self.prepare()

    def ask(self, key, version, form, values, answer, *, body=None, client=None):
        """What is compared of the answer, or ["closed"], or ["timeout"]."""
        return self.whole(key, version, form, values, answer, body=body, client=client)[0]

    def whole(self, key, version, form, values, answer, *, body=None, client=None):
        """(what is compared, all fields) of the answer to one request, on a new connection if none is given."""
        flexible = version >= FLEXIBLE.get(key, 1 << 15)
        body = forms.pack(form, values) if body is None else body
        with contextlib.ExitStack() as stack:
            try:
                client = client or stack.enter_context(wire.Client(self.address, seconds=ANSWERING))
                got = client.call(key, version, b"\0" * flexible + body)
            except TimeoutError:
                return ["timeout"], None
            except (EOFError, ConnectionError):
                return ["closed"], None
        if flexible and key != VERSIONS:
            assert got.take("b") == 0
        found, every = forms.unpack(answer, got)
        if got.at != len(got.data):
            found.append("more bytes than the answer has fields")
        return found, every

    # Requests that many cases send.

    def produce(self, topic, records, *, partition=0, acks=-1, version=3, transaction=None, client=None):
        form, answer = ("S h i <S <i Y _> _> _", "<S <i =h q q q <i S _> S _> _> i _") if version >= 9 else (
            "s h i [s [i y]]", "[s [i =h q q q]] i" if version >= 5 else "[s [i =h q q]] i")
        return self.ask(PRODUCE, version, form, (transaction, acks, 5000, [(topic, [(partition, records)])]), answer, client=client)

    def fetch(self, topic, offset, *, partition=0, wait=0, least=0, most=1 << 20, part_most=1 << 20, isolation=0, session=0, session_epoch=-1, epoch=-1, replica=-1):
        return self.ask(FETCH, 11, "iiii b ii [s [iiqqi]] [s [i]] s",
                        (replica, wait, least, most, isolation, session, session_epoch, [(topic, [(partition, epoch, offset, -1, part_most)])], [], ""),
                        "i =h i [s [i =h q q q [qq] i y]]")

    def offsets(self, topic, timestamp, *, partition=0, version=4, epoch=-1, isolation=0):
        if version < 4:
            return self.ask(LIST, version, "i [s [iq]]", (-1, [(topic, [(partition, timestamp)])]), "[s [i =h q =q]]")
        return self.ask(LIST, version, "i b [s [iiq]]", (-1, isolation, [(topic, [(partition, epoch, timestamp)])]), "i [s [i =h q =q i]]")

    def create(self, *topics, only_check=0, version=2):
        """Topics as (name, partitions, replicas, [(partition, [broker])], [(key, value)]); the codes."""
        return self.ask(CREATE, version, "[s i h [i [i]] [ss]] i b", (topics, 10000, only_check), "i [s =h s]")

    def configure(self, *operations, name=None, kind=2, only_check=0):
        """IncrementalAlterConfigs with (key, operation, value)."""
        return self.ask(INCREMENTAL, 0, "[b s [s b s]] b", ([(kind, name or self.plain, operations)], only_check), "i [=h s b s]")

    def replace(self, *pairs, name=None, kind=2, only_check=1):
        return self.ask(ALTER, 0, "[b s [ss]] b", ([(kind, name or self.plain, pairs)], only_check), "i [=h s b s]")

    def describe(self, kind, name, keys=None):
        return self.ask(DESCRIBE, 1, "[b s [s]] b", ([(kind, name, keys)], 0), "i [=h s b s [ss b b b [s s b]]]")

    def grow(self, topic, count, assigned=None, only_check=0):
        return self.ask(GROW, 0, "[s i [[i]]] i b", ([(topic, count, assigned)], 10000, only_check), "i [s =h s]")

    def join(self, group, *, session=30000, rebalance=30000, member="", kind="consumer", protocols=(("range", b"m"),), version=3, client=None):
        """(what is compared, all fields)"""
        assert 2 <= version <= 4
        return self.whole(JOIN, version, "s i i s s [s y]", (group, session, rebalance, member, kind, protocols), JOINED, client=client)

    def sync(self, group, generation, member, assigned=()):
        return self.ask(SYNC, 1, "s i s [s y]", (group, generation, member, assigned), "i =h y")

    def heartbeat(self, group, generation, member):
        return self.ask(HEARTBEAT, 1, "s i s", (group, generation, member), "i =h")

    def leave(self, group, member):
        return self.ask(LEAVE, 1, "s s", (group, member), "i =h")

    def commit(self, group, generation, member, topic, *, partition=0, offset=1, metadata=""):
        return self.ask(COMMIT, 2, "s i s q [s [i q s]]", (group, generation, member, -1, [(topic, [(partition, offset, metadata)])]), "[s [i =h]]")

    def member(self, group):
        """A group with one member that has its assignment: (member, generation)."""
        found, fields = self.join(group)
        assert found == [0], f"{group} cannot be entered: {found}"
        _, _, generation, _, _, member, _ = fields
        assert self.sync(group, generation, member, [(member, b"a")]) == [0]
        return member, generation

    def producer(self):
        """A new producer's (id, epoch)."""
        _, (_, error, producer, epoch) = self.whole(INIT, 0, "s i", (None, 60000), "i =h q h")
        assert error == 0, error
        return producer, epoch

    def settles(self, what, check, seconds=20):
        """Kafka's brokers learn of a change a moment after it was answered."""
        end = time.monotonic() + seconds
        found = check()
        while not found:
            assert time.monotonic() < end, f"{self.address}: {what} is not so after {seconds} s"
            time.sleep(0.05)
            found = check()
        return found

    def prepare(self):
        made = [(self.plain, 2, 1, [], [("retention.ms", "-1")]), (self.compacted, 1, 1, [], [("cleanup.policy", "compact")]),
                (self.small, 1, 1, [], [("max.message.bytes", "2000")]), (self.trimmed, 1, 1, [], [("retention.ms", "-1")]),
                (self.appended, 1, 1, [], [("message.timestamp.type", "LogAppendTime")]), (self.crowded, 3, 1, [], [])]
        assert self.create(*made) == [0] * len(made)
        for topic, partitions, *_ in made:
            for partition in range(partitions):
                self.settles(f"{topic} is readable", lambda: self.fetch(topic, 0, partition=partition) == [0, 0])
        for timestamp in (1000, 2000, 3000):
            assert self.produce(self.plain, wire.batch([b"a", b"b"], timestamp=timestamp)) == [0]
        assert self.produce(self.trimmed, wire.batch([b"a", b"b", b"c", b"d"])) == [0]
        assert self.ask(DELETE_RECORDS, 0, "[s [i q]] i", ([(self.trimmed, [(0, 2)])], 5000), "i [s [i q =h]]") == [0]
        self.settles("there is a coordinator", lambda: self.ask(COORDINATOR, 1, "s b", (self.group, 0), "i =h s i s i") == [0])
        self.settles("transactions have a coordinator, or never get one", lambda: self.ask(COORDINATOR, 1, "s b", ("", 1), "i =h s i s i") != [NOT_YET])
        for turn in range(32):  # of each partition of the groups' topic
            self.settles("the coordinator has loaded", lambda: self.commit(f"{self.group}-warm-{turn}", -1, "", self.plain) == [0])
        assert self.commit(f"{self.group}-read", -1, "", self.plain, offset=5) == [0]
        self.settles("there are producer ids", lambda: self.ask(INIT, 0, "s i", (None, 60000), "i =h q h") == [0])
        _, fields = self.whole(METADATA, 12, "<u S _> b b _", ([(bytes(16), self.plain)], 0, 0),
                               "i <i S i S _> S i <h S u b <h i i i <i> <i> <i> _> i _> _")
        self.broker = fields[1][0][0]
        self.plain_id, self.epoch = fields[4][0][2], fields[4][0][4][0][3]
        assert len(self.plain_id) == 16 and struct.unpack(">qq", self.plain_id) != (0, 0)
