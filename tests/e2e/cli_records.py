#!/usr/bin/python3
"""Records and consumer groups from the command line beside Kafka's clients: what one stores the other reads, on one node and on several."""
import json
import shutil
import subprocess
import sys
import time

import harness


def kcat(server, *args, text=None, seconds=60):
    done = subprocess.run(["kcat", "-b", server.kafka, *map(str, args)], input=text, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"kcat {args}: exit {done.returncode}\n{done.stderr}"
    return done.stdout


def start(folder, *extra):
    if shutil.which("kcat") is None:
        raise harness.Skip("kcat is not installed (tools/dev deps test installs it)")
    server = harness.Server(folder, *extra)
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    return server.start()


def wait_for(what, condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def described(server, group, check=0):
    return json.loads(server.afdg("-o", "json", "group", "describe", group, check=check).stdout)


def places(group):
    """(topic, partition) -> (committed, end, lag)"""
    return {(o["topic"], o["partition"]): (int(o["committed"]), int(o["end"]), int(o["lag"])) for o in group["offsets"]}


def records(server, topic, *args):
    """[(partition, offset, key, value, headers)] as afdg reads them."""
    out = []
    for line in server.afdg("-o", "json", "topic", "consume", topic, "-e", *args).stdout.splitlines():
        record = json.loads(line)
        headers = [(h["key"], h["value"]) for h in record.get("headers", [])]
        out.append((record.get("partition", 0), int(record.get("offset", 0)), record.get("key"), record.get("value"), headers))
    return sorted(out, key=lambda record: record[:2])


def exchange(folder):
    """what afdg produces kcat reads with keys and headers, and the reverse, compressed too; both choose the same partition for a key"""
    server = start(folder / "data")
    try:
        server.afdg("topic", "create", "t", "-p", 4)
        keys = [f"key{n}" for n in range(20)]
        printed = server.afdg("topic", "produce", "t", "-K", ":", "-H", "from=afdg", "-H", "empty=", input="".join(f"{k}:{k}-a\n" for k in keys)).stdout.split()
        kcat(server, "-P", "-t", "t", "-K", ":", "-z", "lz4", "-H", "from=kcat", "-X", "topic.partitioner=murmur2", text="".join(f"{k}:{k}-k\n" for k in keys))
        lines = kcat(server, "-C", "-t", "t", "-e", "-q", "-f", "%p@%o %k %s %h\n").splitlines()
        read = sorted(line.split(" ", 1) for line in lines)
        assert len(read) == 40, read
        ours = {line.split(" ")[1]: line.split(" ")[0].split("@")[0] for line in lines if line.endswith("from=afdg,empty=")}
        theirs = {line.split(" ")[1]: line.split(" ")[0].split("@")[0] for line in lines if line.endswith("from=kcat")}
        assert len(ours) == 20 and ours == theirs, f"partitions differ: {ours} {theirs}"
        assert [place for place, rest in sorted(read) if "afdg" in rest] == sorted(printed), "what was printed is not where kcat finds it"
        seen = records(server, "t")
        assert [f"{p}@{o} {k} {v}" for p, o, k, v, _ in seen] == [" ".join(line.split(" ")[:3]) for line in sorted(lines, key=lambda l: (int(l[0]), int(l.split(" ")[0][2:])))]
        assert {tuple(h) for *_, h in seen} == {(("from", "afdg"), ("empty", "")), (("from", "kcat"),)}
        # Tombstones and empty values are told apart by both.
        server.afdg("topic", "produce", "t", "-Z", "-K", ":", "-p", 2, input="gone:\n")
        server.afdg("topic", "produce", "t", "", "-k", "empty", "-p", 2)
        last = kcat(server, "-C", "-t", "t", "-p", 2, "-o", "-2", "-e", "-q", "-f", "%k %S\n").splitlines()
        assert last == ["gone -1", "empty 0"], last
        # After a crash all that was printed is there.
        server.kill()
        server.start()
        assert len(records(server, "t")) == 42
    finally:
        server.stop()


def refusals(folder):
    """what cannot be produced is refused with its reason and exit code, and nothing of its call is stored"""
    server = start(folder / "data")
    try:
        server.afdg("topic", "create", "c", "-c", "cleanup.policy=compact", "-c", "max.message.bytes=2000")
        server.afdg("grid", "create", "g", "--regions", 2)
        harness.says(server.afdg("topic", "produce", "nowhere", "x", check=3), "nowhere", "afdg topic create nowhere")
        harness.says(server.afdg("topic", "produce", "c", "x", "-k", "k", "-p", 1, check=3), "partition 1", "0 to 0")
        harness.says(server.afdg("topic", "produce", "c", "keyless", check=2), "compacted", "key")
        harness.says(server.afdg("topic", "produce", "c", "-K", ":", input="a:1\nkeyless\n", check=2), "record 1 of standard input", "0 were stored")
        harness.says(server.afdg("topic", "produce", "c", "y" * 3000, "-k", "k", check=2), "2000", "max.message.bytes")
        harness.says(server.afdg("topic", "produce", "g.messages", "x", check=8), "agent send")
        harness.says(server.afdg("topic", "produce", "g.changes", "x", check=8), "g.changes", "alone write it")
        kcat(server, "-L", "-t", "__consumer_offsets")
        server.afdg("group", "seek", "any", "--topic", "c", "--to", "start")
        harness.says(server.afdg("topic", "produce", "__consumer_offsets", "x", check=8), "group seek")
        assert records(server, "c") == []
        many = "".join(f"{n % 7}:{n}\n" for n in range(30000))
        assert len(server.afdg("topic", "produce", "c", "-K", ":", input=many).stdout.splitlines()) == 30000
        assert [int(r[3]) for r in records(server, "c")] == list(range(30000))
        server.kill()
        harness.says(server.afdg("topic", "produce", "c", "x", "-k", "k", check=4), server.address)
    finally:
        if server.process.poll() is None:
            server.stop()


def groups(folder):
    """a group that kcat committed is described, moved, refused while it has members, read by afdg and read on by kcat"""
    server = start(folder / "data")
    member = None
    try:
        assert json.loads(server.afdg("-o", "json", "group", "list").stdout) == []
        server.afdg("topic", "create", "t", "-p", 2, "-c", "retention.ms=-1")  # its records are of 2023
        for partition in (0, 1):
            server.afdg("topic", "produce", "t", "-p", partition, "--time", 1_700_000_000_000, input="".join(f"{n}\n" for n in range(10)))
            server.afdg("topic", "produce", "t", "-p", partition, "--time", 1_700_000_060_000, input="".join(f"{n}\n" for n in range(10, 20)))
        reads = ("-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "-f", "%p@%o\n", "t")
        assert len(kcat(server, *reads).split()) == 40
        group = described(server, "readers")
        assert group["state"] == "Empty" and places(group) == {("t", 0): (20, 20, 0), ("t", 1): (20, 20, 0)}, group
        # Moved by afdg, by time, and one partition by offset; what is out of it moves nothing.
        server.afdg("group", "seek", "readers", "--topic", "t", "--to", "@1700000060000")
        assert places(described(server, "readers")) == {("t", 0): (10, 20, 10), ("t", 1): (10, 20, 10)}
        server.afdg("group", "seek", "readers", "--topic", "t", "-p", 1, "--to", 17)
        harness.says(server.afdg("group", "seek", "readers", "--topic", "t", "--to", 21, check=2), "t[0]", "20")
        assert places(described(server, "readers")) == {("t", 0): (10, 20, 10), ("t", 1): (17, 20, 3)}
        # afdg reads with the group, then kcat, then afdg: each goes on where the other was.
        assert [r[:2] for r in records(server, "t", "-G", "readers", "-p", 1, "-n", 2)] == [(1, 17), (1, 18)]
        assert sorted(kcat(server, *reads).split()) == sorted([f"0@{o}" for o in range(10, 20)] + ["1@19"])
        assert records(server, "t", "-G", "readers") == []
        # A member keeps others away.
        server.afdg("topic", "produce", "t", "more", "-p", 0)
        member = subprocess.Popen(["kcat", "-b", server.kafka, "-G", "readers", "-q", "-X", "session.timeout.ms=6000", "-X", "client.id=tester", "t"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("kcat is a member", lambda: described(server, "readers")["state"] == "Stable")
        group = described(server, "readers")
        assert [m["client_id"] for m in group["members"]] == ["tester"], group
        assert {p for a in group["members"][0]["assigned"] for p in a["partitions"]} == {0, 1}, group
        assert {o["member"] for o in group["offsets"]} == {group["members"][0]["id"]}, group
        for refused in (("group", "seek", "readers", "--topic", "t", "--to", "start"), ("group", "delete", "readers"), ("topic", "consume", "t", "-G", "readers", "-e")):
            harness.says(server.afdg(*refused, check=1), "group 'readers' has members")
        wait_for("kcat commits", lambda: places(described(server, "readers"))[("t", 0)] == (21, 21, 0))
        member.terminate()
        member.wait(30)
        wait_for("kcat left", lambda: described(server, "readers")["state"] == "Empty")
        server.afdg("group", "seek", "readers", "--topic", "t", "--to", "start")
        # Durable: it outlives a crash, and goes when it is deleted.
        server.kill()
        server.start()
        assert places(described(server, "readers")) == {("t", 0): (0, 21, 21), ("t", 1): (0, 20, 20)}
        assert [g["name"] for g in json.loads(server.afdg("-o", "json", "group", "list").stdout)] == ["readers"]
        server.afdg("group", "delete", "readers")
        harness.says(server.afdg("group", "describe", "readers", check=3), "readers", "group list")
        harness.says(server.afdg("group", "delete", "readers", check=3), "readers")
    finally:
        if member is not None and member.poll() is None:
            member.kill()
        server.stop()


def several_nodes(folder):
    """on two nodes each takes records and groups for both; a dead one takes its own partitions only"""
    first = start(folder / "one")
    second = None
    try:
        second = start(folder / "two", "--roles", "region", "--catalog", first.address)
        first.afdg("topic", "create", "t", "-p", 4)
        wait_for("both know the topic", lambda: second.afdg("topic", "describe", "t", check=None).returncode == 0)
        leaders = {p["leader"] for p in json.loads(first.afdg("-o", "json", "topic", "describe", "t").stdout)["partition_infos"]}
        assert len(leaders) == 2, f"the partitions are not spread: {leaders}"
        for server in (first, second):
            for partition in range(4):
                one, other = [line.split("@") for line in server.afdg("topic", "produce", "t", "-p", partition, input="a\nb\n").stdout.split()]
                assert one[0] == other[0] == str(partition) and int(other[1]) == int(one[1]) + 1, (one, other)
            # One call for partitions of both nodes.
            server.afdg("topic", "produce", "t", "-K", ":", input="".join(f"k{n}:v\n" for n in range(20)))
        assert len(records(first, "t")) == len(records(second, "t")) == 56
        assert len(kcat(second, "-C", "-t", "t", "-e", "-q").splitlines()) == 56
        for n in range(6):  # groups that either coordinates, through either
            (first, second)[n % 2].afdg("group", "seek", f"g{n}", "--topic", "t", "--to", "end")
        for server in (first, second):
            listed = json.loads(server.afdg("-o", "json", "group", "list").stdout)
            assert [g["name"] for g in listed] == [f"g{n}" for n in range(6)], listed
            assert len({g["coordinator"] for g in listed}) == 2, f"the groups are not spread: {listed}"
            assert all({lag for _, _, lag in places(described(server, f"g{n}")).values()} == {0} for n in range(6))
        assert len(kcat(first, "-C", "-t", "t", "-e", "-q", "-o", "beginning").splitlines()) == 56
        second.afdg("group", "delete", "g0")
        assert "g0" not in first.afdg("-o", "raw", "group", "list").stdout
        reads = records(second, "t", "-G", "fresh")
        assert len(reads) == 56 and records(first, "t", "-G", "fresh") == []
        second.kill()
        infos = json.loads(first.afdg("-o", "json", "topic", "describe", "t").stdout)["partition_infos"]
        mine, theirs = (next(p["index"] for p in infos if p["leader"] == node) for node in (1, 2))
        wait_for("its partitions are refused", lambda: first.afdg("topic", "produce", "t", "x", "-p", theirs, check=4).stderr.count("which does not answer"))
        assert first.afdg("topic", "produce", "t", "x", "-p", mine).stdout.startswith(f"{mine}@")
        for _ in range(4):  # without a key the living take it
            first.afdg("topic", "produce", "t", "x")
    finally:
        for server in (second, first):
            if server is not None and server.process.poll() is None:
                server.stop()


def measured(folder):
    """bench produce and consume count what is there, and what cannot be measured is refused at once"""
    server = start(folder / "data")
    try:
        harness.says(server.afdg("bench", "produce", check=3), "bench", "--create")
        produced = json.loads(server.afdg("-o", "json", "bench", "produce", "--create", "--callers", 8, "--in-flight", 4, "--size", 50, "--keys", 100,
                                          "--seconds", 1, "--warmup", 0).stdout)
        assert produced["errors"] == 0 and produced["operations"] > 0, produced
        assert produced["p50_us"] <= produced["p90_us"] <= produced["p99_us"] <= produced["p999_us"], produced
        stored = sum(p["end"] for p in json.loads(server.afdg("-o", "json", "topic", "describe", "bench").stdout)["partition_infos"])
        assert produced["operations"] <= stored <= 1.1 * produced["operations"] + 100, f"{produced['operations']} counted, {stored} stored"
        keys = set(kcat(server, "-C", "-t", "bench", "-e", "-q", "-f", "%k %S\n").splitlines())
        assert keys <= {f"k{n} 50" for n in range(100)} and len(keys) > 50, keys
        consumed = json.loads(server.afdg("-o", "json", "bench", "consume", "--callers", 2, "--seconds", 1, "--warmup", 0).stdout)
        assert consumed["errors"] == 0 and consumed["operations"] > 0, consumed
        server.afdg("grid", "create", "g", "--regions", 2)
        harness.says(server.afdg("bench", "produce", "--topic", "g.messages", check=8), "agent send")
        harness.says(server.afdg("bench", "consume", "--topic", "g.dead", check=1), "g.dead", "no records")
    finally:
        server.stop()


def unwritten(folder):
    """output that cannot be written is told of, and not kept as read; a count is one or more"""
    server = start(folder / "data")
    try:
        server.afdg("topic", "create", "t")
        server.afdg("topic", "produce", "t", "x")
        with open("/dev/full", "w", encoding="ascii") as full:
            for args in (("topic", "consume", "t", "-e", "-G", "g"), ("topic", "list"), ("topic", "produce", "t", "y")):
                done = subprocess.run([str(harness.BIN / "afdg"), "-s", server.address, *args], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60)
                assert done.returncode == 1 and "standard output" in done.stderr, f"{args}: exit {done.returncode}, {done.stderr}"
        assert [value for *_, value, _ in records(server, "t", "-G", "g")] == ["x", "y"], "what was not printed counts as read"
        for count in (0, -1):
            harness.says(server.afdg("topic", "consume", "t", "-n", count, check=2), "--count", str(count), "above 0")
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(harness.run_cases(exchange, refusals, groups, several_nodes, measured, unwritten))
