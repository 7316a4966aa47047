#!/usr/bin/python3
"""Agents that crash, throw, dawdle and write too much, on a real server (probe_server), and callers that are too many or too late."""
import json
import resource
import signal
import sys
import threading
import time

import grpc

import harness

pb, services = harness.stubs()
FLAGS = ("--journal-bytes", str(8 << 20))
CODES = {}
for line in (harness.ROOT / "docs/errors.md").read_text().splitlines():
    cells = [cell.strip(" `") for cell in line.split("|")]
    if len(cells) > 2 and cells[1].isdigit():
        CODES[int(cells[1])] = cells[2]


def probe(folder):
    server = harness.Server(folder / "data", *FLAGS, program="probe_server").start()
    server.afdg("grid", "create", "g", "--regions", 1, "--type", "probe", "--type", "entity")
    return server


def call(key, message, body, **more):
    return pb.RequestCall(grid="g", type="probe", key=key.encode(), message=message, json=json.dumps(body), **more)


def code_of(error):
    return CODES[int(dict(error.trailing_metadata() or ()).get("afdg-code", 0))]


def ask(server, key, message, body, **more):
    """(name of the code, answer or sentence)"""
    with grpc.insecure_channel(server.address) as channel:
        try:
            return "kOk", json.loads(services.DataStub(channel).Request(call(key, message, body, **more), timeout=20).json)
        except grpc.RpcError as error:
            return code_of(error), error.details()


def count(server, key):
    code, answer = ask(server, key, "GetCount", {})
    assert code == "kOk", answer
    return int(answer.get("count", 0))


def failing_turns(folder):
    """a handler that throws, refuses, writes or answers too much: its own code, and no trace"""
    server = probe(folder)
    assert ask(server, "a", "Act", {})[0] == "kOk"
    for what, amount, code, words in (("THROW", 0, "kHandlerFailed", ("told to throw",)), ("REFUSE", 0, "kApplication", ("told to refuse",)),
                                      ("GROW", 5_000_000, "kMessageTooLarge", ("Act", "4194304")),
                                      ("ANSWER", 70_000, "kMessageTooLarge", ("Act", "65536"))):
        have, text = ask(server, "a", "Act", {"what": what, "amount": amount}, request_id=what)
        assert have == code and all(word in text for word in words), f"{what}: {have}: {text}"
        assert ask(server, "a", "Act", {"what": what, "amount": amount}, request_id=what) == (have, text), f"{what}: another answer to the repeat"
        if what != "ANSWER":  # a one-way message has no answer that could be too large
            server.afdg("agent", "send", "probe/a", "Strike", json.dumps({"act": {"what": what, "amount": amount}}), grid="g")
        assert count(server, "a") == 1, f"{what} left a trace"
    assert ask(server, "a", "Act", {"what": "GROW", "amount": 3_000_000})[0] == "kOk"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:  # nobody waits for the turn of a one-way message
        dead = server.afdg("topic", "consume", "g.dead", "-e", "-f", "%h\\n").stdout
        if dead.count("told to throw") == 1 and dead.count("told to refuse") == 1 and dead.count("kMessageTooLarge") == 1:
            break
        time.sleep(0.05)
    else:
        raise AssertionError(f"dead letters: {dead}")
    assert server.stop() == 0, server.output()
    assert server.verify()[0] == 0


def too_late(folder):
    """a passed deadline and an expired request id do nothing"""
    server = probe(folder)
    slow = threading.Thread(target=ask, args=(server, "a", "Act", {"what": "SLEEP", "amount": 600}))
    slow.start()
    time.sleep(0.2)
    have, text = ask(server, "a", "Act", {}, timeout_ms=150)
    assert have == "kDeadlineExceeded", f"{have}: {text}"
    slow.join()
    assert count(server, "a") == 1

    def frame(sequence, answered_below):
        return pb.CallFrame(grid="g", session=77, calls=[pb.Call(
            id=sequence, region=0, type="probe", key=b"a", message="Act", payload=b"{}", content=pb.CONTENT_JSON,
            sequence=sequence, answered_below=answered_below)])

    with grpc.insecure_channel(server.address) as channel:
        step = threading.Semaphore(0)

        def frames():
            for sequence, below in ((1, 0), (2, 2), (1, 2)):
                yield frame(sequence, below)
                step.acquire()

        codes = []
        for answer in services.DataStub(channel).Stream(frames(), timeout=20):
            for outcome in answer.outcomes:
                codes.append((CODES[outcome.code], outcome.text))
                step.release()
    assert [code for code, _ in codes] == ["kOk", "kOk", "kRequestExpired"], codes
    assert count(server, "a") == 3
    assert server.stop() == 0, server.output()


def poison(folder):
    """a message that ends the process three times is answered kPoison, or is a dead letter; the rest goes on"""
    server = probe(folder)
    assert ask(server, "good", "Act", {})[0] == "kOk"

    def deaths(attempt):
        """How often the server died until the attempt was answered and the server stayed."""
        died = 0
        while True:
            answer = attempt() if "ready" in server.output().splitlines() else None
            end = time.monotonic() + 5  # a one-way message may be acknowledged before its turn
            while server.process.poll() is None and answer is None and "ready" not in server.output().splitlines() and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(0.1)
            if server.process.poll() is None:
                if answer is not None:
                    return died, answer
                continue
            died += 1
            assert died <= 5, f"the message ended the process {died} times"
            assert server.process.returncode in (-signal.SIGSEGV, -signal.SIGABRT), f"exit {server.process.returncode}"
            server.start(wait=False)  # what is logged runs again before the server is ready

    for what in ("SEGV", "ABORT"):
        died, (code, text) = deaths(lambda what=what: ask(server, what, "Act", {"what": what}, request_id=what))
        assert code == "kPoison" and "three times" in text, f"{code}: {text}"
        assert died >= 3, f"called poison after {died} deaths"
        assert ask(server, what, "Act", {"what": what}, request_id=what)[0] == "kPoison", "the repeat has another answer"
        assert count(server, what) == 0, "the poisoned turn left a trace"
        print(f"         {what}: {died} deaths, then kPoison")

    def send():
        with grpc.insecure_channel(server.address) as channel:
            try:
                return services.DataStub(channel).Send(call("SEGV", "Strike", {"act": {"what": "SEGV"}}, request_id="strike"), timeout=10)
            except grpc.RpcError as error:
                return error

    died, _ = deaths(send)
    dead = server.afdg("topic", "consume", "g.dead", "-e", "-f", "%h\\n").stdout
    assert died >= 3 and dead.count("kPoison") == 1, f"{died} deaths, dead letters: {dead}"
    for key in ("good", "SEGV"):
        before = count(server, key)
        assert ask(server, key, "Act", {})[0] == "kOk" and count(server, key) == before + 1, "the rest does not go on"
    assert server.stop() == 0, server.output()
    code, text = server.verify()
    assert code == 0, text


def overload(folder):
    """10,000 callers against a slow agent: kOverloaded, each answer counted, flat memory"""
    server = probe(folder)

    def memory_mb():
        status = open(f"/proc/{server.process.pid}/status").read()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024

    ok, sizes = 0, []
    # What gRPC holds for 10,000 streams comes and goes, the more on a loaded machine; growth would show in every round.
    while len(sizes) < 3 or (len(sizes) < 10 and sizes[-1] > max(sizes[:-1]) + 5):
        with grpc.insecure_channel(server.address) as channel:
            stub = services.DataStub(channel)
            slow = call("slow", "Act", {"what": "SLEEP", "amount": 1}, timeout_ms=60_000)
            futures = [stub.Request.future(slow, timeout=60) for _ in range(10_000)]
            codes = {}
            for future in futures:
                error = future.exception()
                name = "kOk" if error is None else code_of(error)
                codes[name] = codes.get(name, 0) + 1
        sizes.append(memory_mb())
        assert set(codes) == {"kOk", "kOverloaded"}, codes
        ok += codes["kOk"]
    assert count(server, "slow") == ok, f"{count(server, 'slow')} turns for {ok} answers"
    print(f"         the last 10,000: {codes}; RSS after each round: {sizes} MB")
    assert max(sizes) < 250 and sizes[-1] <= max(sizes[:-1]) + 5, f"memory grows: {sizes}"
    assert server.stop() == 0, server.output()


def descriptors(folder):
    """a server that is started with few descriptors takes as many as it may"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        server = harness.Server(folder / "data").start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = open(f"/proc/{server.process.pid}/limits").read()
    took = next(line.split()[3] for line in limits.splitlines() if line.startswith("Max open files"))
    assert took == str(hard), f"{took} descriptors, {hard} are allowed"
    assert server.stop() == 0, server.output()


if __name__ == "__main__":
    sys.exit(harness.run_cases(failing_turns, too_late, poison, overload, descriptors))
