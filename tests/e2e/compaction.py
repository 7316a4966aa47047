#!/usr/bin/python3
"""Endless updates of the same agents keep a grid's disk use bounded, through kills, and nothing that an agent knows is lost."""
import json
import shutil
import subprocess
import sys
import threading
import time

import harness

MIB = 1 << 20
KEYS = 300
FLAGS = ("--cleaner-interval-ms", 100, "--checkpoint-bytes", MIB, "--journal-bytes", 8 * MIB)
SETTINGS = ("-c", f"segment.bytes={MIB}", "-c", "delete.retention.ms=1000")


def partitions(server, topic):
    return json.loads(server.afdg("-o", "json", "topic", "describe", topic).stdout)["partition_infos"]


def figures(server):
    """What of the grid's changes is on the disk, was ever written, and where history starts."""
    parts = partitions(server, "g.changes")
    number = lambda part, name: int(part.get(name, 0))
    return {"bytes": sum(number(p, "bytes") for p in parts), "records": sum(number(p, "end") for p in parts),
            "history": min(number(p, "history_start") for p in parts), "horizon": max(number(p, "tombstone_horizon") for p in parts),
            "faulty": [p for p in parts if p.get("faulty")]}


LOAD = ("bench", "request", "--callers", 16, "--in-flight", 8, "--keys", KEYS, "--size", 1000, "--rate", 8000, "--warmup", "0s", "--seconds")


def new_server(folder):
    server = harness.Server(folder / "data", *map(str, FLAGS)).start()
    server.afdg("grid", "create", "g", "--regions", 2)
    server.afdg("topic", "config", "g.changes", *SETTINGS)
    server.afdg("topic", "config", "g.messages", "-c", f"segment.bytes={MIB}", "-c", f"retention.bytes={MIB}")
    return server


def until(what, true, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def values(server):
    """The state of every agent, as its reader sees it."""
    out = {}
    for n in range(0, KEYS, 7):
        done = server.afdg("agent", "request", f"entity/k{n}", "Range", '{"key":""}', grid="g", check=None)
        out[n] = (done.returncode, done.stdout)
    return out


def bounded(folder):
    """the same agents are written again and again; what is on the disk stays below a bound that what was written passes many times"""
    server = new_server(folder)
    most = 0
    for _ in range(4):
        # The checkpoints are small, so some calls are refused as too many: those are no updates.
        done = json.loads(server.afdg("-o", "json", *LOAD, "3s", grid="g", check=None).stdout)
        assert done["operations"] > 5000, done
        until("the changes are compacted", lambda: figures(server)["bytes"] < 12 * MIB)
        most = max(most, figures(server)["bytes"])
    now = figures(server)
    assert not now["faulty"], now
    written = now["records"] * 300  # the least that a record of this load has, roughly a third of the mean
    assert written > 24 * MIB, f"too little was written to show anything: {now}"
    assert now["history"] > 0, now
    print(f"         {now['records']} records of changes in all, at most {most >> 10} KiB of them on the disk after a round")
    described = server.afdg("topic", "describe", "g.changes").stdout
    assert "HISTORY" in described and "cleanup.policy" not in described, described
    before = values(server)
    assert server.stop() == 0, server.output()
    code, text = server.verify()
    assert code == 0 and "RocksDB = fold of g.changes" in text, text
    shutil.rmtree(server.data / "store")  # all of it comes from what compaction left
    server.start()
    assert values(server) == before
    assert server.stop() == 0
    code, text = server.verify()
    assert code == 0 and "RocksDB = fold of g.changes" in text, text


def killed(folder):
    """SIGKILL at any moment of rounds that follow each other closely: every start is sound, and every answered update is there"""
    server = new_server(folder)
    cleaned = 0
    for life in range(6):
        counted = {"n": 0, "unsure": 0}
        stop = threading.Event()

        def count():
            while not stop.is_set():
                done = server.afdg("agent", "request", "entity/counter", "Increment", '{"key":"n","by":1}', grid="g", check=None)
                counted["n" if done.returncode == 0 else "unsure"] += 1

        first = int(json.loads(server.afdg("-o", "json", "agent", "request", "entity/counter", "Increment", '{"key":"n","by":1}', grid="g").stdout)["value"])
        counter = threading.Thread(target=count)
        counter.start()
        load = subprocess.Popen([str(harness.BIN / "afdg"), "-s", server.address, "-g", "g", *map(str, LOAD), "30s"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.5 + 0.37 * life)
        server.kill()
        stop.set()
        load.kill()
        load.wait()
        counter.join()
        code, text = server.verify()
        assert code == 0 and "RocksDB = fold of g.changes" in text, f"life {life}: {text}"
        server.start()
        now = figures(server)
        assert not now["faulty"], now
        cleaned = max(cleaned, now["history"])
        value = int(json.loads(server.afdg("-o", "json", "agent", "request", "entity/counter", "Increment", '{"key":"n","by":1}', grid="g").stdout)["value"])
        least = first + counted["n"] + 1
        assert least <= value <= least + counted["unsure"], f"life {life}: {value}, answered {counted}, began at {first}"
    assert cleaned > 0, "nothing was ever compacted, so nothing was proved"
    assert server.stop() == 0, server.output()
    assert server.verify()[0] == 0


if __name__ == "__main__":
    sys.exit(harness.run_cases(bounded, killed))
