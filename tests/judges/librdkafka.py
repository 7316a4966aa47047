#!/usr/bin/python3
"""librdkafka's own test suite judges a broker. usage: JUDGE_LIBRDKAFKA=SOURCES librdkafka.py [--no-auto-create] HOST:PORT

SOURCES is where clients.py built it. librdkafka_entries.py says which entries run and why others do not; each runs in a process of its own, three
at a time, for most of them wait. An entry that fails is run once more, alone: they measure time, and this machine has other work.
JUDGE_TASK names the entries to run, with ; between them, those of NOT_RUN, too.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import java
import judge
from librdkafka_entries import IDEMPOTENT, NO_AUTO_CREATE, NOT_RUN, PARTS, RUN

VERSION = "2.0.2"
CLIENT = "librdkafka test suite"
SOURCES = pathlib.Path(os.environ["JUDGE_LIBRDKAFKA"])
SECONDS = 300  # for one entry
BROKER_VERSION = "3.3.2"  # what the runner is told: the newest that this suite knows


def kafka_home(folder):
    """Where the suite looks for Kafka's own programs: they run as those of tests/peers/kafka."""
    (folder / "bin").mkdir()
    script = folder / "bin/kafka-topics.sh"
    script.write_text(f"#!/bin/sh\nKAFKA_HEAP=256m exec '{java.PEER}' tool org.apache.kafka.tools.TopicCommand \"$@\"\n")
    script.chmod(0o755)
    (folder / "src").symlink_to(SOURCES / "src")  # one entry looks for a file of it beside the folder it runs in
    return folder


def run(home, at, entry, part, idempotent, scenario):
    """(result, reason) of one entry, or of a part of it."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=home))  # the suite leaves statistics where it runs
    (folder / "test.conf").write_text(f"bootstrap.servers={at}\n")
    command = [str(SOURCES / "tests/test-runner"), "-p1", "-L", "-V", BROKER_VERSION, *(["-P"] if idempotent else []),
               *(["-s", scenario] if scenario else [])]
    env = dict(os.environ, TESTS=entry, RDKAFKA_TEST_CONF=str(folder / "test.conf"), KAFKA_PATH=str(home), BROKERS=at,
               LD_LIBRARY_PATH=f"{SOURCES / 'src'}:{SOURCES / 'src-cpp'}", **({"SUBTESTS": part} if part else {}))
    env.pop("CI", None)  # it would change how the suite runs
    try:
        done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        said = re.sub(r"\x1b\[\d+m", "", done.stdout.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        return "failed", f"not within {SECONDS} s"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    row = re.search(rf"^\| {re.escape(entry)} +\| +(\w+) \| +([\d.]+)s \| ?(.*)$", said, re.M)
    if row and row[1] == "PASSED" and (float(row[2]) == 0 or part and said.count(part) < 2):  # once it is named as what is asked for
        return "failed", "the suite says that it passed, but ran nothing of it"
    if row and row[1] == "PASSED":
        return "ok", ""
    if row and row[1] == "SKIPPED":
        return "skipped", row[3].strip() or "skipped by the suite"
    why = re.search(r'^### Test "(.*?)" failed at (\S+) at [^\n]*\n(.*)', said, re.M)
    if os.environ.get("JUDGE_TRACE"):
        print(said, file=sys.stderr)
    return "failed", f"{why[2]} {why[3]}"[:300] if why else f"exit {done.returncode}: {said.strip()[-200:]}"


def main():
    no_auto_create = "--no-auto-create" in sys.argv
    at = sys.argv[-1]
    if no_auto_create:
        tasks = [(entry, entry, part, False, "noautocreate") for entry, part in NO_AUTO_CREATE.items()]
    else:
        tasks = [(entry, entry, "", False, "") for entry in RUN]
        tasks += [(f"{entry} {part}", entry, part, False, "") for entry, parts in PARTS.items() for part in parts]
        tasks += [(f"{entry} -P", entry, "", True, "") for entry in IDEMPOTENT]
    tasks = [task for task in tasks if judge.asked_for(task[0])]
    named = [name for name in os.environ.get("JUDGE_TASK", "").split(";") if name and not no_auto_create]
    tasks += [(name, *name.partition(" ")[::2], False, "") for name in named if name not in {task[0] for task in tasks}]
    failed = False
    with tempfile.TemporaryDirectory(prefix="afdg-test-") as folder:
        home = kafka_home(pathlib.Path(folder))

        def once(task):
            begun = time.monotonic()
            result = run(home, at, *task[1:])
            print(f"{CLIENT} {task[0]}: {result[0]}, {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
            return result

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = list(pool.map(once, tasks))
        for task, (result, reason) in zip(tasks, results):
            if result == "failed":
                first = reason
                result, reason = once(task)
                reason = reason or f"at the second try; the first said: {first}"
            judge.say(CLIENT, VERSION, task[0], result, reason)
            failed |= result == "failed"
    if not no_auto_create and "JUDGE_TASK" not in os.environ:
        for entry, reason in NOT_RUN.items():
            judge.say(CLIENT, VERSION, entry, "skipped", reason)
    return 1 if failed else 0


sys.exit(main())
