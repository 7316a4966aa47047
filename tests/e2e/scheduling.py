#!/usr/bin/python3
"""The threads of a real node: their names, and which of them run ahead of ordinary programs, as docs/threads.md says."""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time

import harness
import kafka_client

FLAG = "--realtime-scheduling"


def documented():
    """{pattern of a name: whether that thread runs ahead with the setting}, of the page's table."""
    found = {}
    for line in (harness.ROOT / "docs/threads.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[re.compile(re.escape(name).replace("N", r"\d*"))] = cells[2] == "real-time"
    assert found, "docs/threads.md has no table of threads"
    return found


def threads(server):
    """[(name, policy, priority)]; those that end meanwhile are left out."""
    found = []
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            found.append(((task / "comm").read_text().strip(), os.sched_getscheduler(int(task.name)), os.sched_getparam(int(task.name)).sched_priority))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def work(server):
    """Requests, and records of a Kafka client: what makes a node start all its threads."""
    server.afdg("grid", "create", "g", "--regions", 4)
    for i in range(20):
        assert '"1"' in server.afdg("agent", "request", f"entity/a{i}", "Increment", '{"key":"n","by":1}', grid="g").stdout
    with kafka_client.Client(server.kafka) as client:
        client.create("t", 1)
    server.afdg("topic", "produce", "t", "-K", ":", input="a:1\nb:2\n")
    assert server.afdg("topic", "consume", "t", "-e").stdout.count("\n") == 2


def started(folder, *flags):
    server = harness.Server(folder / "data", *flags)
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()
    work(server)
    return server


def policies(server, with_setting):
    table, program = documented(), "afdgd"
    seen = set()
    for name, policy, priority in threads(server):
        rows = [ahead for pattern, ahead in table.items() if pattern.fullmatch(name)]
        assert rows or name == program, f"a thread '{name}' that docs/threads.md does not know"
        wanted = (os.SCHED_RR | os.SCHED_RESET_ON_FORK, 1) if rows and rows[0] and with_setting else (os.SCHED_OTHER, 0)
        assert (policy, priority) == wanted, f"{name}: policy {policy}, priority {priority}, not {wanted}"
        seen.add(name)
    return seen


def allowed():
    return subprocess.run(["chrt", "--rr", "1", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def ahead(folder):
    """with the setting a node serves, and the threads of the table run ahead of ordinary programs, no others"""
    if not allowed():
        raise harness.Skip("SCHED_RR is refused here (CAP_SYS_NICE, ulimit -r)")
    server = started(folder, FLAG)
    assert "scheduling real-time" in server.output(), server.output()
    end = time.monotonic() + 10
    while not {"afdg-queue", "afdg-lane", "afdg-journal"} <= (seen := policies(server, True)) and time.monotonic() < end:
        time.sleep(0.05)
    assert {"afdg-queue", "afdg-lane", "afdg-journal", "afdg-segments", "afdg-kafka", "afdg-checkpoint"} <= seen, seen
    assert server.kill() == -9
    server.start()  # a start that replays
    assert server.afdg("agent", "request", "entity/a0", "Increment", '{"key":"n","by":1}', grid="g").stdout.count('"2"') == 1
    policies(server, True)
    assert server.stop() == 0, server.output()
    assert server.verify()[0] == 0


def ordinary(folder):
    """without it no thread does"""
    server = started(folder)
    assert "scheduling" not in server.output(), server.output()
    policies(server, False)
    assert server.stop() == 0, server.output()


def unprivileged(*flags, folder):
    """A start without CAP_SYS_NICE and with a limit of real-time priority of 0."""
    command = [str(harness.BIN / "afdgd"), "--data", str(folder / "refused"), "--listen", f"127.0.0.1:{harness.free_port()}", "--kafka", "off", "--http", "off", *flags]
    if os.geteuid() == 0:
        command = [shutil.which("setpriv"), "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", *command]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)))


def refused(folder):
    """where the kernel refuses, the start fails and says what allows it"""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        raise harness.Skip("no setpriv, which takes a capability from root")
    done = unprivileged(FLAG, folder=folder)
    assert done.returncode == 2, done
    harness.says(done, FLAG, "CAP_SYS_NICE", "LimitRTPRIO=1", "--cap-add=SYS_NICE")
    assert not (folder / "refused").exists(), "a refused start made its data directory"
    assert unprivileged(FLAG, "--check-config", folder=folder).returncode == 0, "whoever checks may be another than who runs"


if __name__ == "__main__":
    sys.exit(harness.run_cases(ahead, ordinary, refused))
