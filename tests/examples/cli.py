#!/usr/bin/python3
"""docs/cli.md, command by command, with the real programs: what each prints, and the exit codes; then gRPC reflection and health as
another language's client sees them, JSON for every registered message, and the metrics' format."""
import json
import re
import signal
import subprocess
import sys
import time
import pathlib
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import grpc
import harness

INCREMENT = '{"key":"visits","by":1}'


def loaded(done):
    return json.loads(done.stdout)


def agents(server):
    first = server.afdg("grid", "create", "bank", "--regions", 4)
    assert "bank" in first.stdout and "active" in first.stdout
    asked = server.afdg("agent", "request", "entity/alice", "Increment", INCREMENT, "--id", "x1", "-v")
    assert loaded(asked) == {"value": "1"} and "offset 0" in asked.stderr
    again = server.afdg("agent", "request", "entity/alice", "Increment", INCREMENT, "--id", "x1", "-v")
    assert loaded(again) == {"value": "1"} and "a stored answer" in again.stderr
    reused = server.afdg("agent", "request", "entity/alice", "Increment", '{"key":"visits","by":2}', "--id", "x1", check=1)
    assert "x1" in reused.stderr
    assert loaded(server.afdg("agent", "request", "entity/alice", "Increment", "-", input='{"key":"s","by":5}')) == {"value": "5"}
    sent = server.afdg("agent", "send", "entity/alice", "Append", '{"key":"l","values":[1,"two",{"a":3}]}')
    assert re.fullmatch(r"bank\.messages\[\d\]@\d+\n", sent.stdout), sent.stdout
    shown = loaded(server.afdg("-o", "json", "agent", "show", "entity/alice"))
    assert [item["key"] for item in shown["items"]] == ["l", "l", "l", "s", "visits"]
    assert "only the first 1" in server.afdg("agent", "show", "entity/alice", "--items", 1).stderr
    assert server.afdg("-o", "raw", "agent", "list", "entity").stdout == "alice\n"
    assert server.afdg("-o", "raw", "agent", "list", "entity", "--prefix", "b").stdout == ""
    for words, code, says in [
            (("request", "entity/alice", "Increment", '{"key":"v","by":"x"}'), 2, "field 'by'"),
            (("request", "entity/alice", "Increment", '{"kee":"v"}'), 2, "no field 'kee'"),
            (("request", "entity/alice", "Increment", "{"), 2, "not JSON"),
            (("request", "alice", "Get", "{}"), 2, "TYPE/KEY"),
            (("request", "entity/alice", "Incr", "{}"), 3, "'Incr'"),
            (("request", "nothing/alice", "Get", "{}"), 3, "'nothing'"),
            (("send", "entity/alice", "Get", '{"key":"s"}'), 2, "only reads"),
            (("show", "entity/nobody"), 3, "entity/nobody"),
            (("list", "nothing"), 3, "'nothing'")]:
        assert says in server.afdg("agent", *words, check=code).stderr, words


def fanout(server):
    out = server.afdg("agent", "fanout", "entity", "Increment", INCREMENT, "--keys", "a,b,c", "--id", "f1").stdout.splitlines()
    assert out[-1] == "3 ok" and sorted(out[:-1]) == [f'{key}\tok\t{{"value":"1"}}' for key in "abc"], out
    repeated = loaded(server.afdg("-o", "json", "agent", "fanout", "entity", "Increment", INCREMENT, "--keys-from", "-", "--id", "f1",
                                  "--resume", input="a\nb\nc\n"))
    assert [one["answer"]["value"] for one in repeated["outcomes"]] == ["1"] * 3 and all(one["repeated"] for one in repeated["outcomes"])
    many = "".join(f"many-{n}\n" for n in range(5000))
    assert server.afdg("agent", "fanout", "entity", "Increment", INCREMENT, "--keys-from", "-", input=many).stdout.endswith("\n5000 ok\n")
    everyone = server.afdg("agent", "fanout", "entity", "Get", '{"key":"visits"}', "--all").stdout.splitlines()
    assert everyone[-1] == "5004 ok" and len(everyone) == 5005, everyone[-1]  # alice, a, b, c, many-*
    keys = server.afdg("-o", "raw", "agent", "list", "entity", "--limit", 9999).stdout.splitlines()
    assert keys == sorted(["alice", "a", "b", "c"] + many.split()), len(keys)
    assert server.afdg("-o", "raw", "agent", "list", "entity", "--limit", 7).stdout.splitlines() == keys[:7]
    assert len(server.afdg("-o", "raw", "agent", "list", "entity", "--prefix", "many-49").stdout.splitlines()) == 111
    part = server.afdg("agent", "fanout", "entity", "Increment", '{"key":"l","by":1}', "--keys", "alice,a", check=7).stdout.splitlines()
    assert part[-1] == "1 ok, 1 refused" or part[-1].startswith("1 ok, 1 "), part
    server.afdg("agent", "fanout", "entity", "Get", "{}", check=2)
    server.afdg("agent", "fanout", "entity", "Get", "{}", "--all", "--resume", check=2)
    server.afdg("agent", "fanout", "nothing", "Get", "{}", "--all", check=3)


def topics(server):
    names = [topic["name"] for topic in loaded(server.afdg("-o", "json", "topic", "list"))]
    assert names == ["bank.changes", "bank.dead", "bank.messages"], names
    parts = loaded(server.afdg("-o", "json", "topic", "describe", "bank.messages"))["partition_infos"]
    ends = [part["end"] for part in parts]
    read = server.afdg("topic", "consume", "bank.messages", "-e", "-f", "%p %o %k\\n").stdout.splitlines()
    assert len(read) == sum(ends), (len(read), ends)
    for partition, end in enumerate(ends):
        assert [int(line.split()[1]) for line in read if line.startswith(f"{partition} ")] == list(range(end)), partition
    assert len(server.afdg("topic", "consume", "bank.messages", "-e", "-p", 0, "--from", ends[0] - 2).stdout.splitlines()) == 2
    most, least = max(ends), min(ends)  # one offset for all partitions: the shorter ones have nothing there
    past = server.afdg("topic", "consume", "bank.messages", "-e", "--from", most - 1, "-f", "%p@%o\\n").stdout.splitlines()
    assert past and len(past) == sum(end == most for end in ends), (past, ends, least)
    assert "ends at" in server.afdg("topic", "consume", "bank.messages", "-e", "-p", 0, "--from", ends[0] + 1, check=2).stderr
    records = [json.loads(line) for line in server.afdg("-o", "json", "topic", "consume", "bank.messages", "-e").stdout.splitlines()]
    times = sorted(record["timestamp_unix_ms"] for record in records)
    middle = times[len(times) // 2]
    later = server.afdg("topic", "consume", "bank.messages", "-e", "--from", f"@{middle}", "-f", "%T\\n").stdout.split()
    assert len(later) == sum(time >= middle for time in times), (len(later), middle)
    assert server.afdg("topic", "consume", "bank.messages", "-e", "--from", f"@{times[-1] + 1}").stdout == ""
    for words, code in [(("consume", "nothing", "-e"), 3), (("consume", "bank.messages", "-p", 9), 3), (("consume", "bank.messages", "--from", "x"), 2),
                        (("consume", "bank.messages", "-f", "%q"), 2), (("delete", "bank.changes"), 8), (("describe", "nothing"), 3),
                        (("create", "t", "-c", "no.such=1"), 2), (("create", "t", "-c", "retention.ms=soon"), 2), (("create", "t", "-r", 2), 2)]:
        server.afdg("topic", *words, check=code)
    assert "relaxed" in server.afdg("topic", "create", "t", "-p", 2, "-c", "durability=relaxed").stdout
    settings = lambda *words: {one["key"]: (one["value"], one["set"]) for one in loaded(server.afdg("-o", "json", "topic", "config", "t", *words))["settings"]}
    assert settings() == {"durability": ("relaxed", True)}
    assert settings("-c", "retention.ms=60000", "-c", "cleanup.policy=compact,delete", "--unset", "durability", "-p", 3) == \
        {"retention.ms": ("60000", True), "cleanup.policy": ("compact,delete", True)}
    assert settings("--all")["segment.ms"] == ("604800000", False) and len(server.afdg("topic", "describe", "t").stdout.splitlines()) > 3
    for words, code in [(("t", "-c", "flush.ms=1"), 2), (("t", "-c", "x"), 2), (("t", "--unset", "no.such"), 2), (("t", "-p", 2), 2), (("nothing",), 3),
                        (("nothing", "-p", 2), 3), (("bank.changes", "-c", "cleanup.policy=delete"), 8)]:
        server.afdg("topic", "config", *words, check=code)
    assert settings() == {"retention.ms": ("60000", True), "cleanup.policy": ("compact,delete", True)}
    server.afdg("topic", "delete", "t")
    # What follows waits at the end, shows what comes, and ends in order when it is interrupted.
    follows = subprocess.Popen([str(harness.BIN / "afdg"), "-s", server.address, "topic", "consume", "bank.messages", "--from", "end", "-f", "%k\\n"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    server.afdg("agent", "request", "entity/late", "Increment", INCREMENT)
    assert follows.stdout.readline() == "late\n"
    follows.send_signal(signal.SIGINT)
    assert follows.wait(10) == 130


def others(server):
    described = loaded(server.afdg("-o", "json", "grid", "describe"))
    assert len(described["regions"]) == 4 and all(region["state"] == "running" for region in described["regions"])
    assert all(region["lag"] == 0 for region in loaded(server.afdg("-o", "json", "region", "lag")))
    assert loaded(server.afdg("-o", "json", "catalog", "nodes"))[0]["regions_led"] == 4
    route = loaded(server.afdg("-o", "json", "catalog", "route", "entity/alice"))
    assert route["address"] == server.address
    assert "afdgd" in server.afdg().stdout and "Try next" in server.afdg().stdout
    for kind in ("request", "send"):
        bench = loaded(server.afdg("-o", "json", "bench", kind, "--callers", 4, "--seconds", 0.3, "--warmup", 0, "--keys", 50))
        assert bench["operations"] > 0 and bench["errors"] == 0, bench
    server.afdg("bench", "request", "--seconds", 30, grid="nothing", check=3)
    top = loaded(server.afdg("-o", "json", "top", "-n", 1, "--every", "100ms"))
    assert top["lag"] == 0 and "turns_per_s" in top
    server.afdg("grid", "create", "two", "--regions", 1)
    assert "-g" in server.afdg("region", "list", check=2).stderr
    server.afdg("grid", "delete", "two")
    for words, code in [(("create", "bank"), 1), (("create", "x", "--type", "nothing"), 3), (("create", "x", "--regions", 0), 2),
                        (("create", "a b"), 2), (("delete", "nothing"), 3), (("describe", "nothing"), 3), (("creat", "x"), 2), ((), 2)]:
        server.afdg("grid", *words, check=code)
    script = server.afdg("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", script + '\nCOMP_WORDS=(afdg topic cons); COMP_CWORD=2; _afdg; echo "${COMPREPLY[*]}"'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.stdout == "consume\n", done
    helped = server.afdg("--help").stdout
    commands = re.findall(r"^  (\w+) {3,}", helped[helped.index("Subcommands:"):], re.M)
    manual = (harness.ROOT / "docs/cli.md").read_text()
    for command in commands:  # what --help lists is in the manual
        page = server.afdg(command, "--help").stdout
        subs = re.findall(r"^  (\w+) {3,}", page[page.index("Subcommands:"):], re.M) if "Subcommands:" in page else [""]
        for sub in subs:
            words = [command, sub] if sub else [command]
            assert re.search(rf"`(afdg )?{command}\b[^`\n]*{sub}", manual), f"docs/cli.md lacks {command} {sub}"
            for option in set(re.findall(r"--[a-z-]+", server.afdg(*words, "--help").stdout)) - {"--help", "--version"}:
                known = option in manual or option in ("--exit-at-end", "--partition", "--partitions", "--count", "--format", "--config", "--replication")
                assert known, f"docs/cli.md lacks {option} of {command} {sub}"


def sessions(server):
    """A program that comes and goes leaves nothing behind but what the agents keep; only --id is remembered for a day."""
    def stored():
        read = server.afdg("-o", "json", "topic", "consume", "quick.changes", "-e").stdout.splitlines()
        alive = {}
        for record in map(json.loads, read):
            alive[record["key"]] = record["value"] is not None
        return read, [key for key, lives in alive.items() if lives]
    server.afdg("grid", "create", "quick", "--regions", 1)
    for _ in range(3):
        server.afdg("bench", "request", "--callers", 1, "--seconds", 0.1, "--warmup", 0, "--keys", 5, grid="quick")
    for n in range(5):
        server.afdg("agent", "request", f"entity/k{n}", "Increment", '{"key":"n","by":1}', grid="quick")
        server.afdg("agent", "send", f"entity/k{n}", "Increment", '{"key":"n","by":1}', grid="quick")

    def settles(count):
        end = time.monotonic() + 5  # the deletion is a record of its own, a moment later
        while time.monotonic() < end:
            records, alive = stored()
            if len(alive) == count:
                break
            time.sleep(0.1)
        assert len(alive) == count and len(records) > count, (len(records), alive[:20])
    settles(6)  # five agents' counters and the applied mark
    server.afdg("agent", "request", "entity/k0", "Increment", '{"key":"n","by":1}', "--id", "mine", grid="quick")
    settles(7)
    server.afdg("grid", "delete", "quick")


def foreign(server):
    """Reflection, health and the unary calls, with bytes by hand: Debian has neither grpcio-reflection nor grpc_cli."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

    def varint(at, data):
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value, at

    def fields(data):
        at = 0
        while at < len(data):
            tag, at = varint(at, data)
            if tag & 7 == 2:
                size, at = varint(at, data)
                yield tag >> 3, data[at:at + size]
                at += size
            else:
                value, at = varint(at, data)
                yield tag >> 3, value

    def sized(field, data):
        assert len(data) < 128
        return bytes([field << 3 | 2, len(data)]) + data

    with grpc.insecure_channel(server.address) as channel:
        reflect = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        asked = [sized(7, b""), sized(4, b"afdg.v1.Admin"), sized(4, b"afdg.v1.entity.Put"), sized(4, b"no.Such"), sized(4, b"grpc.health.v1.Health")]
        services, admin, put, unknown, health_file = [dict(fields(answer)) for answer in reflect(iter(asked))]
        names = [dict(fields(service))[1].decode() for _, service in fields(services[6])]
        assert {"afdg.v1.Data", "afdg.v1.Admin", "grpc.health.v1.Health"} <= set(names), names
        assert 7 in unknown and 4 in put, "an unknown symbol was found, or a registered message was not"
        pool = descriptor_pool.DescriptorPool()
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(dict(fields(health_file[4]))[1]))
        assert "Watch" in pool.FindServiceByName("grpc.health.v1.Health").methods_by_name
        files = [descriptor_pb2.FileDescriptorProto.FromString(data) for _, data in fields(admin[4])]
        for file in reversed(files):  # what a file needs comes behind it
            pool.Add(file)
        types = message_factory.MessageFactory(pool)

        def call(service, method, body):
            of = pool.FindServiceByName(service).methods_by_name[method]
            request, answer = types.GetPrototype(of.input_type), types.GetPrototype(of.output_type)
            made = channel.unary_unary(f"/{service}/{method}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString)
            return made(json_format.ParseDict(body, request()), timeout=10)

        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert health(b"") == health(sized(1, b"afdg.v1.Data")) == b"\x08\x01"
        try:
            health(sized(1, b"nothing"))
            raise AssertionError("an unknown service is healthy")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND
        messages = call("afdg.v1.Admin", "DescribeGrid", {"name": "bank"}).messages
        assert len(messages) >= 10
        for message in messages:  # JSON works for each, with the example that the server itself gives
            body = {"grid": "bank", "type": message.type, "key": "anM=", "message": message.message, "json": message.example_json}
            try:
                json.loads(call("afdg.v1.Data", "Request", body).json)
            except grpc.RpcError as error:  # the agent may refuse what the example says; the server must have read it
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, (message.message, error.details())
        try:
            call("afdg.v1.Data", "Request", {"grid": "nothing", "type": "entity", "key": "anM=", "message": "Get", "json": "{}"})
            raise AssertionError("an unknown grid answered")
        except grpc.RpcError as error:
            assert dict(error.trailing_metadata())["afdg-code-name"] == "kUnknownGrid", error


def metrics(server):
    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode()
    kind, text = get("/metrics")
    assert kind.startswith("text/plain; version=0.0.4"), kind
    family, seen, helped = None, set(), set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, family, what = line.split()
            assert family in helped and family not in seen and what in ("counter", "gauge"), line
            assert (what == "counter") == family.endswith("_total"), f"{line}: counters end in _total"
            seen.add(family)
        else:
            sample = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\\]*"(,[a-z_]+="[^"\\]*")*\})? (-?[0-9.]+(e[+-]?[0-9]+)?)', line)
            assert sample and sample[1] == family, line
    assert {"afdg_turns_total", "afdg_region_lag", "afdg_resident_memory_bytes"} <= seen, seen
    assert get("/healthz")[1] == "ok\n"
    for path, method, code in [("/nothing", "GET", 404), ("/healthz", "POST", 405)]:
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.http_port}{path}", method=method), timeout=10)
            raise AssertionError(f"{method} {path} was answered")
        except urllib.error.HTTPError as error:
            assert error.code == code, error


with harness.scratch() as scratch:
    node = harness.Server(scratch / "data").start()
    for part in (agents, fanout, topics, others, sessions, foreign, metrics):
        began = time.monotonic()
        part(node)
        print(f"{part.__name__:10} {time.monotonic() - began:5.1f} s")
    assert node.stop() == 0, node.output()
    away = node.afdg("grid", "list", check=4)
    assert "start afdgd" in away.stderr, away.stderr
    code, said = node.verify()
    assert code == 0, said
