#!/usr/bin/python3
"""Writes batches.txt anew with the record batches that Apache Kafka's own producer classes build (Golden.java), and from them the seeds of
codecs_fuzz.

Needs a JDK 17 and Maven; tests/peers/kafka fetches Kafka 3.9.1 and 4.3.0.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def run(version):
    subprocess.run([ROOT / "tests/peers/kafka", "fetch"], check=True, env=os.environ | {"KAFKA_VERSION": version})
    peers = os.environ.get("AFDG_PEERS") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "afdg-peers")
    source = (HERE / "Golden.java").read_text()
    if version.startswith("4"):  # the classes moved
        source = re.sub(r"common\.record\.(?!TimestampType)", "common.record.internal.", source)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "Golden.java").write_text(source)
        done = subprocess.run(["java", "-cp", f"{peers}/kafka-{version}/libs/*", f"{folder}/Golden.java"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"Golden.java with Kafka {version} failed:\n{done.stderr[-400:]}")
    return [line for line in done.stdout.splitlines() if line.split(" ")[0] in ("none", "gzip", "snappy", "lz4", "zstd")]


lines = run("4.3.0")
if run("3.9.1") != lines:
    sys.exit("Kafka 3.9.1 and 4.3.0 differ: keep both")
(HERE / "batches.txt").write_text("".join(line + "\n" for line in lines))
corpus = HERE.parent / "corpus/codecs_fuzz"
corpus.mkdir(parents=True, exist_ok=True)
for stale in corpus.iterdir():
    stale.unlink()
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
for line in lines:
    codec, records, batch = line.split(" ")
    if codec != "none" and records != "1500":
        (corpus / f"{codec}-{records}").write_bytes(bytes([codecs.index(codec)]) + bytes.fromhex(batch)[61:])
print(f"{len(lines)} batches")
