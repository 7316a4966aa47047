"""The differential test's requests about groups: members, generations, committed offsets."""
from differential_world import COMMIT, COORDINATOR, DELETE_GROUPS, DESCRIBE_GROUPS, FETCHED, JOIN, LEAVE, LIST_GROUPS, OFFSET_DELETE, SYNC

COMMITTED = "[s [i =q s =h]] =h"  # an answer to OffsetFetch 2


def coordinators(case):
    def finds(what, key, kind):
        case(f"FindCoordinator: {what}", lambda w: w.ask(COORDINATOR, 1, "s b", (w.group if key is None else key, kind), "i =h s i s i"))

    finds("a group", None, 0)
    finds("an empty group", "", 0)
    finds("type 7", None, 7)
    finds("type -1", None, -1)
    finds("an empty transactional id", "", 1)
    case("FindCoordinator: a null group", lambda w: w.ask(COORDINATOR, 1, "s b", (None, 0), "i =h s i s i"))
    for what, keys, kind in (("two groups", ("a", "b"), 0), ("no groups", (), 0), ("an empty one of two groups", ("", "b"), 0), ("type 7", ("a",), 7)):
        case(f"FindCoordinator: {what}, version 4", lambda w, keys=keys, kind=kind: w.ask(COORDINATOR, 4, "b <S> _", (kind, keys), "i <S i S i =h S _> _"))
    case("FindCoordinator: a share group's key, version 4", lambda w: w.ask(COORDINATOR, 4, "b <S> _", (2, ["a:b:0"]), "i <S i S i =h S _> _"))


def with_member(steps):
    """Runs in a group of its own that has one member with its assignment, and lets the member leave."""
    def run(w):
        group = f"{w.group}-{next(w.groups)}"
        member, generation = w.member(group)
        try:
            return steps(w, group, member, generation)
        finally:
            w.leave(group, member)
    return run


def members(case):
    def joins(what, group=None, **more):
        case(f"JoinGroup: {what}", lambda w: w.join(f"{w.group}-{next(w.groups)}" if group is None else group, **more)[0])

    joins("an empty group's name", group="")
    joins("session timeout below the least", session=1000)
    joins("session timeout of 0", session=0)
    joins("session timeout above the most", session=0x7FFFFFFF)
    joins("session timeout of -1", session=-1)
    joins("unknown member", member="nobody")
    joins("no protocols", protocols=())
    joins("no type of protocol", kind="")
    joins("no type and no protocols", kind="", protocols=())
    joins("a new member, version 4", version=4)
    joins("a new member of an unnamed group, version 4", group="", version=4)
    case("JoinGroup: a null group", lambda w: w.join(None)[0])
    case("JoinGroup: a null member", lambda w: w.join(w.group, member=None)[0])
    case("JoinGroup: another type of protocol", with_member(lambda w, group, *_: w.join(group, kind="connect")[0]))
    case("JoinGroup: no common protocol", with_member(lambda w, group, *_: w.join(group, protocols=[("other", b"")])[0]))
    case("JoinGroup: unknown member of a group with one", with_member(lambda w, group, *_: w.join(group, member="nobody")[0]))
    case("JoinGroup: the member again", with_member(lambda w, group, member, _: w.join(group, member=member)[0]))

    case("SyncGroup: unknown group", lambda w: w.sync(f"{w.group}-none", 1, "nobody"))
    case("SyncGroup: an empty group's name", lambda w: w.sync("", 1, "nobody"))
    case("SyncGroup: unknown member", with_member(lambda w, group, member, generation: w.sync(group, generation, "nobody")))
    case("SyncGroup: a generation of the past", with_member(lambda w, group, member, generation: w.sync(group, generation - 1, member)))
    case("SyncGroup: a generation of the future", with_member(lambda w, group, member, generation: w.sync(group, generation + 1, member)))
    case("SyncGroup: again", with_member(lambda w, group, member, generation: w.sync(group, generation, member)))
    for what, kind, protocol in (("as it is", "consumer", "range"), ("another type", "connect", "range"), ("another protocol", "consumer", "other"), ("neither", None, None)):
        case(f"SyncGroup: type and protocol, {what}, version 5", with_member(lambda w, group, member, generation, kind=kind, protocol=protocol: w.ask(
            SYNC, 5, "S i S S S S <S Y _> _", (group, generation, member, None, kind, protocol, []), "i =h S S Y _")))

    case("Heartbeat: unknown group", lambda w: w.heartbeat(f"{w.group}-none", 1, "nobody"))
    case("Heartbeat: an empty group's name", lambda w: w.heartbeat("", 1, "nobody"))
    case("Heartbeat: unknown member", with_member(lambda w, group, member, generation: w.heartbeat(group, generation, "nobody")))
    case("Heartbeat: an empty member", with_member(lambda w, group, member, generation: w.heartbeat(group, generation, "")))
    case("Heartbeat: a generation of the past", with_member(lambda w, group, member, generation: w.heartbeat(group, generation - 1, member)))
    case("Heartbeat: right", with_member(lambda w, group, member, generation: w.heartbeat(group, generation, member)))

    case("LeaveGroup: unknown group", lambda w: w.leave(f"{w.group}-none", "nobody"))
    case("LeaveGroup: an empty group's name", lambda w: w.leave("", "nobody"))
    case("LeaveGroup: unknown member", with_member(lambda w, group, *_: w.leave(group, "nobody")))
    case("LeaveGroup: twice", with_member(lambda w, group, member, _: w.leave(group, member) + w.leave(group, member)))
    case("LeaveGroup: several, version 3", with_member(lambda w, group, member, _: w.ask(
        LEAVE, 3, "s [s s]", (group, [("nobody", None), (member, None), ("", "no-instance")]), "i =h [s s =h]")))
    case("LeaveGroup: unknown group, version 3", lambda w: w.ask(LEAVE, 3, "s [s s]", (f"{w.group}-none", [("nobody", None)]), "i =h [s s =h]"))
    case("LeaveGroup: nobody, version 3", with_member(lambda w, group, *_: w.ask(LEAVE, 3, "s [s s]", (group, []), "i =h [s s =h]")))

    def fixed(w):
        """Two clients that say they are the same static member: the second fences the first."""
        group, codes, ids = f"{w.group}-static", [], []
        form, answer = "s i i s s s [s y]", "i =h i s s s [s s y]"
        for _ in range(2):
            found, fields = w.whole(JOIN, 5, form, (group, 30000, 30000, "", "instance", "consumer", [("range", b"m")]), answer)
            codes += found
            ids.append((fields[5], fields[2]))
            codes += w.ask(SYNC, 3, "s i s s [s y]", (group, fields[2], fields[5], "instance", [(fields[5], b"a")]), "i =h y")
        codes += w.ask(12, 3, "s i s s", (group, ids[0][1], ids[0][0], "instance"), "i =h")
        codes += w.ask(12, 3, "s i s s", (group, ids[1][1], ids[1][0], "no-instance"), "i =h")
        codes += w.ask(LEAVE, 3, "s [s s]", (group, [("", "instance")]), "i =h [s s =h]")
        return codes
    case("JoinGroup: a static member from two clients, then Heartbeat of both", fixed)


def offsets(case):
    def commits(what, topic="plain", group="loose", generation=-1, member="", **more):
        case(f"OffsetCommit: {what}", lambda w: w.commit(group and f"{w.group}-{group}", generation, member, getattr(w, topic), **more))

    commits("without a group's members")
    commits("an empty group's name", group="")
    commits("unknown topic", topic="unknown")
    commits("partition 99", partition=99)
    commits("partition -1", partition=-1)
    commits("offset -1", offset=-1)
    commits("offset -5", offset=-5)
    commits("offset past the end", offset=1 << 60)
    commits("4096 letters of metadata", metadata="m" * 4096)
    commits("4097 letters of metadata", metadata="m" * 4097)
    commits("null metadata", metadata=None)
    commits("unknown group with a generation", group="new", generation=3, member="nobody")
    commits("unknown group with a member", group="newer", member="nobody")
    case("OffsetCommit: unknown member", with_member(lambda w, group, member, generation: w.commit(group, generation, "nobody", w.plain)))
    case("OffsetCommit: a generation of the past", with_member(lambda w, group, member, generation: w.commit(group, generation - 1, member, w.plain)))
    case("OffsetCommit: no member where there is one", with_member(lambda w, group, *_: w.commit(group, -1, "", w.plain)))
    case("OffsetCommit: of the member", with_member(lambda w, group, member, generation: w.commit(group, generation, member, w.plain)))
    case("OffsetCommit: good and too large metadata", lambda w: w.ask(COMMIT, 2, "s i s q [s [i q s]]", (
        f"{w.group}-loose", -1, "", -1, [(w.plain, [(0, 1, ""), (1, 1, "m" * 5000)])]), "[s [i =h]]"))
    case("OffsetCommit: no topics", lambda w: w.ask(COMMIT, 2, "s i s q [s [i q s]]", (f"{w.group}-loose", -1, "", -1, []), "[s [i =h]]"))

    def fetches(what, group, asked):
        case(f"OffsetFetch: {what}", lambda w: w.ask(FETCHED, 2, "s [s [i]]", (group and f"{w.group}{group}", asked(w)), COMMITTED))

    fetches("what was committed and what was not", "-read", lambda w: [(w.plain, [0, 1])])
    fetches("unknown group", "-none", lambda w: [(w.plain, [0])])
    fetches("all of an unknown group", "-none", lambda w: None)
    fetches("an empty group's name", "", lambda w: [(w.plain, [0])])
    fetches("unknown topic", "-read", lambda w: [(w.unknown, [0])])
    fetches("partition 99", "-read", lambda w: [(w.plain, [99])])
    fetches("no topics", "-read", lambda w: [])
    groups = "i <S <S <i =q i S =h _> _> =h _> _"
    for what, asked in (("two groups", lambda w: [(f"{w.group}-none", [(w.plain, [0])]), ("", [(w.plain, [0])])]), ("no groups", lambda w: []),
                        ("a group twice", lambda w: [(f"{w.group}-none", [(w.plain, [0])])] * 2)):
        case(f"OffsetFetch: {what}, version 8", lambda w, asked=asked: w.ask(FETCHED, 8, "<S <S <i> _> _> b _", (asked(w), 0), groups))
    for what, member, epoch in (("unknown member", "nobody", 3), ("unknown member without an epoch", "nobody", -1)):
        case(f"OffsetFetch: {what}, version 9", lambda w, member=member, epoch=epoch: w.ask(
            FETCHED, 9, "<S S i <S <i> _> _> b _", ([(f"{w.group}-none", member, epoch, [(w.plain, [0])])], 0), groups))

    def drops(what, group, asked):
        case(f"OffsetDelete: {what}", lambda w: w.ask(OFFSET_DELETE, 0, "s [s [i]]", (group and f"{w.group}{group}", asked(w)), "=h i [s [i =h]]"))

    case("OffsetDelete: what was committed", lambda w: w.commit(f"{w.group}-drop", -1, "", w.plain) + w.ask(
        OFFSET_DELETE, 0, "s [s [i]]", (f"{w.group}-drop", [(w.plain, [0])]), "=h i [s [i =h]]"))
    drops("unknown group", "-none", lambda w: [(w.plain, [0])])
    drops("an empty group's name", "", lambda w: [(w.plain, [0])])
    drops("unknown topic", "-read", lambda w: [(w.unknown, [0])])
    drops("partition 99", "-read", lambda w: [(w.plain, [99])])
    drops("what was never committed", "-read", lambda w: [(w.plain, [1])])
    case("OffsetDelete: of a group with a member", with_member(lambda w, group, member, generation: w.commit(group, generation, member, w.plain) + w.ask(
        OFFSET_DELETE, 0, "s [s [i]]", (group, [(w.plain, [0])]), "=h i [s [i =h]]")))


def admin(case):
    described = "[=h s =s s s [s s s y y]]"
    case("DescribeGroups: unknown", lambda w: w.ask(DESCRIBE_GROUPS, 0, "[s]", ([f"{w.group}-none"],), described))
    case("DescribeGroups: an empty name", lambda w: w.ask(DESCRIBE_GROUPS, 0, "[s]", ([""],), described))
    case("DescribeGroups: none", lambda w: w.ask(DESCRIBE_GROUPS, 0, "[s]", ([],), described))
    case("DescribeGroups: one with a member", with_member(lambda w, group, *_: w.ask(DESCRIBE_GROUPS, 0, "[s]", ([group],), described)))
    case("DescribeGroups: one with offsets only", lambda w: w.commit(f"{w.group}-seen", -1, "", w.plain) + w.ask(DESCRIBE_GROUPS, 0, "[s]", ([f"{w.group}-seen"],), described))
    case("DescribeGroups: one twice", lambda w: w.ask(DESCRIBE_GROUPS, 0, "[s]", ([f"{w.group}-none"] * 2,), described))
    case("ListGroups: version 0", lambda w: w.ask(LIST_GROUPS, 0, "", (), "=h [s s]"))
    case("ListGroups: an unknown state, version 4", lambda w: w.ask(LIST_GROUPS, 4, "<S> _", (["Nonsense"],), "i =h <S S S _> _"))
    case("ListGroups: an unknown type, version 5", lambda w: w.ask(LIST_GROUPS, 5, "<S> <S> _", ([], ["Nonsense"]), "i =h <S S S S _> _"))

    def ask(w, *groups):
        return w.ask(DELETE_GROUPS, 0, "[s]", (groups,), "i [s =h]")
    case("DeleteGroups: unknown", lambda w: ask(w, f"{w.group}-none"))
    case("DeleteGroups: an empty name", lambda w: ask(w, ""))
    case("DeleteGroups: one with a member", with_member(lambda w, group, *_: ask(w, group)))
    case("DeleteGroups: one with offsets only", lambda w: w.commit(f"{w.group}-gone", -1, "", w.plain) + ask(w, f"{w.group}-gone"))
    case("DeleteGroups: unknown one twice", lambda w: sorted(ask(w, f"{w.group}-none", f"{w.group}-none"), key=str))


def add(case):
    coordinators(case)
    members(case)
    offsets(case)
    admin(case)
