#!/usr/bin/python3
"""Writes the golden messages anew with Apache Kafka's own classes (Golden.java), for the versions that kafka/api.def accepts,
and from them the seeds of request_fuzz: for each API the lowest and the highest version, and the latter with unknown tagged fields.

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

FLEXIBLE = re.compile(r"^AFDG_KAFKA_API\((\w+), \d+, \d+, \d+, \d+, (\w+), ", re.MULTILINE)
NUMBER = re.compile(r"^AFDG_KAFKA_API\((\w+), (\d+), ", re.MULTILINE)


def run(version, arguments):
    subprocess.run([ROOT / "tests/peers/kafka", "fetch"], check=True, env=os.environ | {"KAFKA_VERSION": version})
    peers = os.environ.get("AFDG_PEERS") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "afdg-peers")
    done = subprocess.run(["java", "-cp", f"{peers}/kafka-{version}/libs/*", HERE / "Golden.java", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"Golden.java with Kafka {version} failed:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()


def seeds(lines):
    """File name -> frame of a request without its size."""
    flexible = {name: 999 if first == "none" else int(first) for name, first in FLEXIBLE.findall((ROOT / "kafka/api.def").read_text())}
    number = {name: int(value) for name, value in NUMBER.findall((ROOT / "kafka/api.def").read_text())}
    requests = [line.split(" ")[:5] for line in lines if line.split(" ")[2] == "request"]
    out = {}
    for name in number:
        versions = [int(version) for api, version, _, _, _ in requests if api == name]
        for api, version, _, sample, body in requests:
            if api != name or int(version) not in (min(versions), max(versions)) or sample not in ("filled", "unknown"):
                continue
            tags = b"\0" if int(version) >= flexible[name] else b""
            header = number[name].to_bytes(2, "big") + int(version).to_bytes(2, "big") + b"\0\0\0\7\0\2me" + tags
            out[f"{name}-{version}" + ("-unknown" if sample == "unknown" else "")] = header + (b"" if body == "-" else bytes.fromhex(body))
    return out


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
(HERE / "fields.txt").write_text("".join(line + "\n" for line in run("3.9.1", ["fields", *apis])))
corpus = HERE.parent / "corpus/request_fuzz"
corpus.mkdir(parents=True, exist_ok=True)
for stale in corpus.iterdir():
    stale.unlink()
for name, frame in seeds(old).items():
    (corpus / name).write_bytes(frame)
print(f"{len(old)} messages of {len(apis)} APIs; {both} of them are the same in 4.3.0")
