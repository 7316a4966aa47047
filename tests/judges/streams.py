#!/usr/bin/python3
"""Kafka Streams' own word count, org.apache.kafka.streams.examples.wordcount.WordCountDemo, judges a broker. usage: JUDGE_STREAMS=FOLDER streams.py HOST:PORT

FOLDER holds the jars that clients.py fetched. The demo reads streams-plaintext-input and writes streams-wordcount-output; its internal topics
(one for repartitioning, one compacted for its state) are made by it. The result must be the counts that are right, as they are on the real Kafka.
"""
import collections
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import java
import judge

at = judge.address()
where = ("--bootstrap-server", at)
application = judge.new_topic()
INPUT, OUTPUT = "streams-plaintext-input", "streams-wordcount-output"
WORDS = ["actor", "grid", "log", "region", "Kafka", "stream", "offset", "a", "commit", "Journal"]
counted = collections.Counter()
scratch = tempfile.TemporaryDirectory(prefix="afdg-test-")
FOLDER = pathlib.Path(scratch.name)


def lines(seed, count):
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 8))) for _ in range(count)]


def produce(some):
    java.run("ConsoleProducer", *where, "--topic", INPUT, input="".join(line + "\n" for line in some))
    counted.update(word for line in some for word in line.lower().split())


@contextlib.contextmanager
def demo(state):
    """The application while it runs, with its state in a folder; it is closed by SIGTERM, as by Ctrl-C."""
    settings = FOLDER / "settings"
    settings.write_text(f"bootstrap.servers={at}\napplication.id={application}\nstate.dir={FOLDER / state}\nprocessing.guarantee=at_least_once\n"
                        "commit.interval.ms=500\nnum.stream.threads=2\nsession.timeout.ms=10000\n")
    log = FOLDER / "log"
    with open(log, "ab") as said:
        process = subprocess.Popen(["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", os.environ["JUDGE_STREAMS"] + "/*",
                                    "org.apache.kafka.streams.examples.wordcount.WordCountDemo", str(settings)],
                                   stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def counts():
    """The newest count of each word, as the output topic has it."""
    ends = sum(int(line.split(":")[2]) for line in java.run("GetOffsetShell", *where, "--topic", OUTPUT).stdout.splitlines() if line.startswith(OUTPUT + ":"))
    if not ends:
        return collections.Counter()
    said = java.run("consumer.ConsoleConsumer", *where, "--topic", OUTPUT, "--from-beginning", "--max-messages", str(ends), "--timeout-ms", "15000",
                    "--formatter-property", "print.key=true", "--formatter-property", "print.value=true",
                    "--formatter-property", "value.deserializer=org.apache.kafka.common.serialization.LongDeserializer").stdout
    found = collections.Counter()
    for line in said.splitlines():
        word, count = line.split("\t")
        found[word] = int(count)
    return found


def until_counted(process, seconds=90):
    end = time.monotonic() + seconds
    while True:
        found = counts()
        if found == counted:
            return f"{len(found)} words, {sum(found.values())} counted"
        if process.poll() is not None or time.monotonic() > end:
            said = [line for line in (FOLDER / "log").read_text(errors="replace").splitlines() if "Exception" in line or "ERROR" in line]
            how = f"it ended with {process.returncode}" if process.poll() is not None else f"not within {seconds} s"
            raise AssertionError(f"{how}; {sum(found.values())} of {sum(counted.values())} counted; {said[:1]}")
        time.sleep(0.5)


def word_count():
    there = java.run("TopicCommand", *where, "--list").stdout.split()
    for name in (INPUT, OUTPUT):
        if name in there:
            java.run("TopicCommand", *where, "--delete", "--topic", name)
    java.run("TopicCommand", *where, "--create", "--topic", INPUT, "--partitions", "2")
    java.run("TopicCommand", *where, "--create", "--topic", OUTPUT, "--partitions", "1", "--config", "cleanup.policy=compact")
    produce(lines(1, 500))
    with demo("one") as process:
        remark = until_counted(process)
        produce(lines(2, 500))
        return remark + "; " + until_counted(process)


def goes_on():
    """Without its local state the application restores it from its compacted topic, and goes on where it committed."""
    if not counted:
        raise judge.Skip("there is nothing to go on from")
    produce(lines(3, 500))
    with demo("two") as process:
        return until_counted(process)


def dies():
    """Killed in the middle: at least once, so no word may be lost, and none of the final counts is below the right one."""
    if not counted:
        raise judge.Skip("there is nothing to go on from")
    with demo("two") as process:
        for seed in range(4, 9):
            produce(lines(seed, 200))
        process.kill()
        process.wait()
    with demo("two") as process:
        end = time.monotonic() + 90
        while True:
            found = counts()
            short = {word: (found[word], count) for word, count in counted.items() if found[word] < count}
            if not short:
                return f"{sum(found.values()) - sum(counted.values())} counted twice"
            assert process.poll() is None and time.monotonic() < end, f"too few: {short}"
            time.sleep(0.5)


def resetter():
    """Its internal topics are deleted, and its group reads from the start again."""
    if not counted:
        raise judge.Skip("there is nothing to reset")
    said = java.run("StreamsResetter", "--application-id", application, *where, "--input-topics", INPUT, "--force").stdout
    assert "Reset-offsets for input topics" in said and "Done." in said, said[-300:]
    left = [name for name in java.run("TopicCommand", *where, "--list").stdout.split() if name.startswith(application)]
    assert not left, left


tasks = {"word count": word_count, "word count, restored from its compacted topic": goes_on, "word count, killed and started again": dies,
         "StreamsResetter": resetter}
with scratch:
    code = judge.main("Kafka Streams", java.VERSION, tasks, order=list(tasks))
sys.exit(code)
