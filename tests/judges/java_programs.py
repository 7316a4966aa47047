#!/usr/bin/python3
"""The Java clients do what every client does, by Kafka's console programs. usage: java_programs.py HOST:PORT"""
import functools
import re
import sys

import java
import judge
from java import run as tool

at = judge.address()
topic = judge.new_topic()
sent = []


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


def group():
    name = judge.new_topic()
    said = tool("consumer.ConsoleConsumer", "--bootstrap-server", at, "--topic", topic, "--group", name, "--from-beginning", "--max-messages", str(len(sent)),
                "--timeout-ms", "20000").stdout
    assert sorted(said.splitlines()) == sorted(value for _, value, _ in sent), f"{len(said.splitlines())} of {len(sent)} records"


def delete():
    tool("TopicCommand", "--bootstrap-server", at, "--delete", "--topic", topic)
    assert topic not in tool("TopicCommand", "--bootstrap-server", at, "--list").stdout


tasks = {"metadata": metadata, "create": create, "consume": consume, "from_offset": from_offset, "from_time": from_time, "unknown_topic": unknown_topic,
         "idempotent": functools.partial(produce, "none", "--command-property", "enable.idempotence=true"), "group": group, "delete": delete}
for codec_name in ("none", "gzip", "snappy", "lz4", "zstd"):
    tasks[f"produce_{codec_name}"] = functools.partial(produce, codec_name)
sys.exit(judge.main("Java clients", java.VERSION, tasks))
