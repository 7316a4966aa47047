#!/usr/bin/python3
"""kcat judges a broker: the program of the distribution, with its librdkafka 2.0.2."""
import functools
import json
import re
import subprocess
import sys
import time

import judge

at = judge.address()
topic = judge.new_topic()
timed = judge.new_topic()
sent = []


def kcat(*arguments, input=None, check=True):
    done = subprocess.run(["kcat", "-b", at, "-m", "10", *arguments], input=input, stdin=subprocess.DEVNULL if input is None else None,
                          capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"kcat {' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()[-300:]}")
    return done


def produce_lines(name, some, *more):
    kcat("-P", "-t", name, "-K", "|", "-H", "from=kcat", *more, input="".join(f"{key}|{value}\n" for key, value, _ in some))


def take(*arguments):
    """[(partition, offset, key, value, headers)]"""
    out = []
    for line in kcat("-C", "-e", "-q", "-J", *arguments).stdout.splitlines():
        one = json.loads(line)
        headers = dict(zip(one.get("headers", [])[::2], one.get("headers", [])[1::2]))
        out.append((one["partition"], one["offset"], one["key"], one["payload"], headers))
    return out


def metadata():
    found = json.loads(kcat("-L", "-J").stdout)
    assert found["brokers"], found


def create():
    produce_lines(timed, judge.records("first", 1))
    found = json.loads(kcat("-L", "-J", "-t", timed).stdout)["topics"][0]
    assert found["partitions"], found
    return "by producing to it: kcat has no command for that"


def produce(codec):
    some = judge.records(codec)
    produce_lines(topic, some, "-z", codec, "-X", "acks=all")
    sent.extend((key, value, {"from": "kcat"}) for key, value, _ in some)


def consume():
    judge.same([one[2:] for one in take("-t", topic, "-o", "beginning")], sent)


def from_offset():
    found = take("-t", topic, "-p", "0", "-o", "37")
    assert [one[1] for one in found] == list(range(37, 37 + len(found))) and found, found[:2]
    every = take("-t", topic, "-p", "0", "-o", "beginning")
    assert found == every[37:], f"{len(found)} of {len(every)}"
    assert take("-t", topic, "-p", "0", "-o", "-5") == every[-5:]


def from_time():
    time.sleep(0.1)
    begun = int(time.time() * 1000)
    time.sleep(0.1)
    some = judge.records("later", 20)
    produce_lines(timed, some)
    found = take("-t", timed, "-o", f"s@{begun}")
    judge.same([one[2:4] + ({},) for one in found], [(key, value, {}) for key, value, _ in some])
    offset = json.loads(kcat("-Q", "-J", "-t", f"{timed}:0:{begun}").stdout)[timed]["0"]["offset"]
    assert offset == min(one[1] for one in found if one[0] == 0), offset


def idempotent():
    some = judge.records("idempotent")
    produce_lines(topic, some, "-X", "enable.idempotence=true")
    sent.extend((key, value, {"from": "kcat"}) for key, value, _ in some)
    consume()


def unknown_topic():
    done = kcat("-C", "-e", "-t", judge.new_topic(), "-p", "0", "-X", "allow.auto.create.topics=false", "-X", "topic.metadata.propagation.max.ms=500", check=False)
    assert done.returncode != 0 and re.search(r"[Uu]nknown (topic|partition)", done.stderr), f"exit {done.returncode}: {done.stderr}"


def group():
    name = judge.new_topic()
    done = kcat("-G", name, "-e", "-q", "-X", "auto.offset.reset=earliest", "-f", "%k|%s\n", topic)
    judge.same([(*line.split("|", 1), {}) for line in done.stdout.splitlines()], [(key, value, {}) for key, value, _ in sent])


def delete():
    raise judge.Skip("kcat cannot delete topics")


tasks = {"metadata": metadata, "create": create, "consume": consume, "from_offset": from_offset, "from_time": from_time, "idempotent": idempotent,
         "unknown_topic": unknown_topic, "group": group, "delete": delete}
for name in ("none", "gzip", "snappy", "lz4", "zstd"):
    tasks[f"produce_{name}"] = functools.partial(produce, name)
version = re.search(r"Version (\S+)", subprocess.run(["kcat", "-V"], capture_output=True, text=True, timeout=20).stdout)[1]
sys.exit(judge.main("kcat", version, tasks))
