#!/usr/bin/python3
"""Writes the golden messages anew with Apache Kafka's own classes (Golden.java), for the versions that kafka/api.def accepts.

Needs a JDK 17 and Maven; tests/peers/kafka fetches Kafka 3.9.1, which has every version, and 4.3.0, which must agree where it has it.
"""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ROW = re.compile(r"^AFDG_KAFKA_API\((\w+), \d+, \d+, (\d+), (\d+), ", re.MULTILINE)


def run(version, arguments):
    subprocess.run([ROOT / "tests/peers/kafka", "fetch"], check=True, env=os.environ | {"KAFKA_VERSION": version})
    peers = os.environ.get("AFDG_PEERS") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "afdg-peers")
    done = subprocess.run(["java", "-cp", f"{peers}/kafka-{version}/libs/*", HERE / "Golden.java", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"Golden.java with Kafka {version} failed:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()


def key(line):
    return tuple(line.split(" ")[:4])


apis = [":".join(row) for row in ROW.findall((ROOT / "kafka/api.def").read_text())]
old = run("3.9.1", apis)
new = {key(line): line for line in run("4.3.0", apis)}
both = 0
for line in old:
    if key(line) in new:
        both += 1
        if new[key(line)] != line:
            sys.exit(f"Kafka 3.9.1 and 4.3.0 differ:\n{line}\n{new[key(line)]}")
extra = set(new) - {key(line) for line in old}
if extra:
    sys.exit(f"Kafka 3.9.1 does not have {sorted(extra)[:3]}: take those from 4.3.0")
for stale in HERE.glob("*.txt"):
    stale.unlink()
for api in apis:
    name = api.split(":")[0]
    (HERE / f"{name}.txt").write_text("".join(line + "\n" for line in old if line.startswith(name + " ")))
(HERE / "errors.txt").write_text("".join(line + "\n" for line in run("4.3.0", ["errors"])))
print(f"{len(old)} messages of {len(apis)} APIs; {both} of them are the same in 4.3.0")
