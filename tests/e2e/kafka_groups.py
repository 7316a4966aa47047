#!/usr/bin/python3
"""Consumer groups as kcat (librdkafka) uses them: read and commit, share, go on after a kill -9 of the server."""
import shutil
import subprocess
import sys
import time
import urllib.request

import harness


def kcat(server, *args, text=None, seconds=60):
    done = subprocess.run(["kcat", "-b", server.kafka, *map(str, args)], input=text, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"kcat {args}: exit {done.returncode}\n{done.stderr}"
    return done.stdout.split()


def start(folder):
    if shutil.which("kcat") is None:
        raise harness.Skip("kcat is not installed (tools/dev deps test installs it)")
    server = harness.Server(folder / "data")
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()
    return server


def produce(server, topic, first, last):
    kcat(server, "-P", "-t", topic, text="".join(f"{n}\n" for n in range(first, last)))


def member(server, group, topic, out):
    """A consumer that goes on until it is ended."""
    return subprocess.Popen(["kcat", "-b", server.kafka, "-G", group, "-u", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000",
                             "-X", "heartbeat.interval.ms=500", "-f", "%p %s\n", topic], stdout=open(out, "w"), stderr=open(f"{out}.err", "w"))


def wait_for(what, condition, seconds=40):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def goes_on(folder):
    """what a group has read is remembered through a clean end, and through kill -9 of the server"""
    server = start(folder)
    try:
        kcat(server, "-L", "-t", "__consumer_offsets")  # who asks for it too early must not make it with one partition
        produce(server, "t", 0, 100)
        arguments = ("-G", "readers", "-q", "-e", "-X", "auto.offset.reset=earliest", "t")
        assert kcat(server, *arguments) == [str(n) for n in range(100)]
        produce(server, "t", 100, 130)
        server.kill()
        server.start()
        assert kcat(server, *arguments) == [str(n) for n in range(100, 130)]
        assert kcat(server, "-G", "others", "-q", "-e", "-X", "auto.offset.reset=earliest", "t") == [str(n) for n in range(130)]
        listed = subprocess.run(["kcat", "-b", server.kafka, "-L"], capture_output=True, text=True, timeout=60).stdout
        assert 'topic "__consumer_offsets" with 50 partitions' in listed, listed[:2000]
        stored = kcat(server, "-C", "-q", "-e", "-t", "__consumer_offsets", "-f", "%p\n")
        assert stored, "the offsets' topic cannot be read as any other"
    finally:
        server.stop()


def shared(folder):
    """two members share four partitions; when one is killed the other gets all of them, and no record is lost"""
    server = start(folder)
    members = []
    try:
        kafka_topic(server, "wide", 4)
        outs = [folder / "one", folder / "two"]
        members = [member(server, "pair", "wide", out) for out in outs]

        def seen(out):
            return {line.split()[0] for line in out.read_text().splitlines() if line}

        sent = 0

        def feed():
            nonlocal sent
            for partition in range(4):
                kcat(server, "-P", "-t", "wide", "-p", partition, text=f"v{sent}\n")
                sent += 1

        def both():
            feed()
            time.sleep(0.5)
            return seen(outs[0]) and seen(outs[1])

        wait_for("both members read", both)
        members[0].kill()
        before = len(outs[1].read_text().splitlines())

        def all_four():
            feed()
            time.sleep(0.5)
            lines = outs[1].read_text().splitlines()[before:]
            return {line.split()[0] for line in lines if line} == {"0", "1", "2", "3"}

        wait_for("the member that is left reads all partitions", all_four)

        def whole():
            have = {line.split()[1] for out in outs for line in out.read_text().splitlines() if len(line.split()) == 2}
            return have == {f"v{n}" for n in range(sent)}

        wait_for("every record is read", whole)
        members[1].terminate()
        members[1].wait(20)
    finally:
        for one in members:
            one.kill()
            one.wait()
        server.stop()


def kafka_topic(server, name, partitions):
    from kafka_client import Client
    with Client(server.kafka) as client:
        client.create(name, partitions)


def limits(folder):
    """a group that is full takes nobody, one more group is refused, and the metrics tell; those who are in go on"""
    if shutil.which("kcat") is None:
        raise harness.Skip("kcat is not installed (tools/dev deps test installs it)")
    server = harness.Server(folder / "data", "--kafka-group-members-max", "1", "--kafka-groups-max", "1")
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()

    def metric(wanted):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines()]
        return float([line[1] for line in lines if line[0] == wanted][0])

    produce(server, "t", 0, 10)
    out = folder / "first"
    first = member(server, "full", "t", out)
    others = []
    try:
        wait_for("the first member", lambda: out.exists() and len(out.read_text().splitlines()) == 10)
        others = [member(server, "full", "t", folder / "second"), member(server, "another", "t", folder / "third")]
        for key in ("kafka-group-members-max", "kafka-groups-max"):
            wait_for(f"a refusal by {key}", lambda: metric(f'afdg_limit_refused_total{{key="{key}"}}') >= 1)
        assert metric('afdg_kafka_groups{state="stable"}') == metric("afdg_kafka_group_members") == 1
        assert metric("afdg_kafka_group_rebalances_total") >= 1
        produce(server, "t", 10, 20)
        wait_for("the member that is in", lambda: len(out.read_text().splitlines()) == 20)
        assert (folder / "second").read_text() == (folder / "third").read_text() == ""
        wait_for("the reason", lambda: "maximum" in (folder / "second.err").read_text())
    finally:
        for process in (first, *others):
            process.terminate()
            process.wait(20)
    assert server.stop() == 0, server.output()


if __name__ == "__main__":
    sys.exit(harness.run_cases(goes_on, shared, limits))
