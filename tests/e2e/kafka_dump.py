#!/usr/bin/python3
"""Apache Kafka's own DumpLogSegments reads the segments of flights.messages and flights.changes and must call every batch valid.

Installs a JDK and Maven when they are missing; is skipped (77) with its reason when that, or fetching Kafka, fails.
"""
import pathlib
import re
import shutil
import subprocess
import sys

import harness

KAFKA = harness.ROOT / "tests/peers/kafka"


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def prepare():
    if not shutil.which("java") or not shutil.which("mvn"):
        install = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "default-jdk-headless", "maven"],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, env={"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        if install.returncode != 0:
            skip(f"a JDK and Maven are missing and cannot be installed: {install.stderr.strip()[-300:]}")
    fetched = subprocess.run([str(KAFKA), "fetch"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    if fetched.returncode != 0:
        skip(f"Apache Kafka cannot be fetched: {(fetched.stdout + fetched.stderr).strip()[-300:]}")


def dump(segment):
    """(batches, records, problems) of one segment, as Kafka sees it."""
    text = subprocess.run([str(KAFKA), "tool", "org.apache.kafka.tools.DumpLogSegments", "--files", str(segment), "--deep-iteration"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert text.returncode == 0, text.stdout[-2000:] + text.stderr[-2000:]
    batches = [line for line in text.stdout.splitlines() if line.startswith("baseOffset:")]
    problems = [line for line in batches if "isvalid: true" not in line]
    problems += [line for line in (text.stdout + text.stderr).splitlines() if re.search(r"Found|[Mm]ismatch|[Ii]nvalid|Exception|non.?consecutive", line)]
    return len(batches), sum(int(re.search(r"count: (\d+)", line)[1]) for line in batches), problems


prepare()
with harness.scratch() as folder:
    data = folder / "data"
    done = subprocess.run([str(harness.BIN / "flights_demo"), "--data", str(data)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=140)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {}
    for topic in ("flights.messages", "flights.changes"):
        segments = sorted(pathlib.Path(data).rglob(f"{topic}-*/*.log"))
        assert len(segments) >= 8, f"{topic}: {len(segments)} segments"
        total = [0, 0]
        for segment in segments:
            batches, records, problems = dump(segment)
            assert not problems, f"{segment}: {problems[:5]}"
            total[0] += batches
            total[1] += records
        print(f"{topic}: Kafka read {total[0]} batches, {total[1]} records in {len(segments)} segments, all valid", flush=True)
        seen[topic] = total
    # A departure and its arrival are a message each.
    assert seen["flights.messages"][1] >= 40_000, seen
    assert seen["flights.changes"][0] > 0, seen
