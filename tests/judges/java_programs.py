#!/usr/bin/python3
"""Apache Kafka's own programs, and so the Java clients, judge a broker; tests/peers/kafka fetches and runs them."""
import functools
import os
import pathlib
import re
import subprocess
import sys

import judge

PEER = pathlib.Path(__file__).resolve().parents[1] / "peers/kafka"
at = judge.address()
topic = judge.new_topic()
sent = []


def tool(name, *arguments, input=None, check=True):
    done = subprocess.run([str(PEER), "tool", f"org.apache.kafka.tools.{name}", *arguments], input=input, stdin=subprocess.DEVNULL if input is None else None,
                          capture_output=True, text=True, timeout=90, env=dict(os.environ, KAFKA_HEAP="256m"))
    if check and done.returncode != 0:
        raise AssertionError(f"{name}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done


def metadata():
    said = tool("BrokerApiVersionsCommand", "--bootstrap-server", at).stdout
    assert "Produce(0)" in said and "usable" in said, said[:300]


def create():
    tool("TopicCommand", "--bootstrap-server", at, "--create", "--topic", topic, "--partitions", "3")
    said = tool("TopicCommand", "--bootstrap-server", at, "--describe", "--topic", topic).stdout
    assert len(re.findall(r"Partition: \d", said)) == 3, said


def produce(codec, *more):
    some = judge.records("idempotent" if more else codec)
    lines = "".join(f"codec:{headers['codec']},n:{headers['n']}\t{key}\t{value}\n" for key, value, headers in some)
    done = tool("ConsoleProducer", "--bootstrap-server", at, "--topic", topic, "--compression-codec", codec, "--reader-property", "parse.key=true",
                "--reader-property", "parse.headers=true", *more, input=lines)
    assert "ERROR" not in done.stderr, done.stderr[-300:]
    sent.extend(some)


def read(partition, offset, count):
    said = tool("consumer.ConsoleConsumer", "--bootstrap-server", at, "--topic", topic, "--partition", str(partition), "--offset", str(offset),
                "--max-messages", str(count), "--timeout-ms", "15000", "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true",
                "--formatter-property", "print.offset=true").stdout
    out = []
    for line in said.splitlines():
        place, headers, key, value = line.split("\t")
        out.append((int(place.split(":")[1]), key, value, dict(part.split(":") for part in headers.split(","))))
    return out


def ends():
    said = tool("GetOffsetShell", "--bootstrap-server", at, "--topic", topic).stdout
    return {int(line.split(":")[1]): int(line.split(":")[2]) for line in said.splitlines() if line.startswith(topic)}


def consume():
    found = []
    for partition, end in ends().items():
        found += [one[1:] for one in read(partition, "earliest", end)]
    judge.same(found, sent)


def from_offset():
    found = read(0, 37, 20)
    assert [one[0] for one in found] == list(range(37, 57)), found[:2]


def from_time():
    later = tool("GetOffsetShell", "--bootstrap-server", at, "--topic", topic, "--time", "1000").stdout
    assert all(line.endswith(":0") for line in later.splitlines() if line.startswith(topic)) and topic in later, later


def unknown_topic():
    done = tool("TopicCommand", "--bootstrap-server", at, "--describe", "--topic", judge.new_topic(), check=False)
    assert done.returncode != 0 and "does not exist" in done.stdout + done.stderr, done.stdout + done.stderr


def programs():
    said = tool("ProducerPerformance", "--topic", topic, "--num-records", "20000", "--record-size", "500", "--throughput", "-1", "--producer-props",
                f"bootstrap.servers={at}", "acks=all").stdout
    assert "20000 records sent" in said, said[-300:]
    before = sum(ends().values())
    assert before == len(sent) + 20000, before
    return "ProducerPerformance, GetOffsetShell"


def group():
    name = judge.new_topic()
    said = tool("consumer.ConsoleConsumer", "--bootstrap-server", at, "--topic", topic, "--group", name, "--from-beginning", "--max-messages", str(len(sent)),
                "--timeout-ms", "20000").stdout
    assert sorted(said.splitlines()) == sorted(value for _, value, _ in sent), f"{len(said.splitlines())} of {len(sent)} records"


def delete():
    tool("TopicCommand", "--bootstrap-server", at, "--delete", "--topic", topic)
    assert topic not in tool("TopicCommand", "--bootstrap-server", at, "--list").stdout


tasks = {"metadata": metadata, "create": create, "consume": consume, "from_offset": from_offset, "from_time": from_time, "unknown_topic": unknown_topic,
         "idempotent": functools.partial(produce, "none", "--command-property", "enable.idempotence=true"), "group": group, "programs": programs, "delete": delete}
for codec_name in ("none", "gzip", "snappy", "lz4", "zstd"):
    tasks[f"produce_{codec_name}"] = functools.partial(produce, codec_name)
sys.exit(judge.main("Java programs", os.environ.get("KAFKA_VERSION", "4.3.0"), tasks))
