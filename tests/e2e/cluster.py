#!/usr/bin/python3
"""One catalog and three region nodes, started by deploy/local-cluster: forwarding, dead nodes, a dead catalog, and outboxes
between nodes whose processes are killed.

    AFDG_SEED  repeats the choice of moments and targets        AFDG_NIGHTLY  more kills
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import grpc

import harness

SEED = int(os.environ.get("AFDG_SEED", str(random.randrange(1 << 30))))
KILLS = 40 if os.environ.get("AFDG_NIGHTLY") else 6
NODES = ("node1", "node2", "node3")
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED,
           grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED)
pb, services = harness.stubs()


class Cluster:
    """The cluster of deploy/local-cluster in a folder; stopped at the end of the block, killed when that fails."""

    def __init__(self, folder, program="afdgd", *flags):
        self.folder, self.program = pathlib.Path(folder), harness.BIN / program
        if flags:  # local-cluster gives a node its own flags only
            wrapper = self.folder.parent / "server"
            wrapper.write_text(f'#!/bin/sh\nexec {self.program} {" ".join(flags)} "$@"\n')
            wrapper.chmod(0o755)
            self.program = wrapper

    def __enter__(self):
        try:
            self.tool("start", "--server", str(self.program))
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_):
        try:
            self.tool("stop")
        except AssertionError as error:
            print(f"         {error}")
            for name in ("catalog", *NODES):
                subprocess.run([str(harness.ROOT / "deploy/local-cluster"), "kill", name, "--dir", str(self.folder)], capture_output=True)

    def tool(self, *arguments):
        done = subprocess.run([str(harness.ROOT / "deploy/local-cluster"), *arguments, "--dir", str(self.folder)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"local-cluster {arguments}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def node(self, name):
        return json.loads((self.folder / "cluster.json").read_text())["nodes"][name]

    def address(self, name):
        return f"127.0.0.1:{self.node(name)['grpc']}"

    def pid(self, name):
        return self.node(name)["pid"]

    def afdg(self, name, *arguments, check=0, timeout="3s"):
        """The command line against one of the nodes."""
        command = [str(harness.BIN / "afdg"), "-s", self.address(name), "-g", "g", "--timeout", timeout, *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert check is None or done.returncode == check, f"{' '.join(command)}: exit {done.returncode}, not {check}\n{done.stdout}{done.stderr}"
        return done

    def leaders(self, keys):
        """Key -> the name of the node that leads its region."""
        names = {self.address(name): name for name in NODES}
        found = {}
        for key in keys:
            shown = self.afdg("catalog", "-o", "json", "catalog", "route", f"entity/{key}").stdout
            found[key] = next(name for address, name in names.items() if address in shown)
        return found


def until(what, holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


def nodes_and_catalog(folder):
    """Requests reach their owner through any node; a dead node takes its own regions only; a dead catalog takes none."""
    keys = [f"k{n}" for n in range(9)]
    counted = {key: 0 for key in keys}

    def count(name, key, patience=0):
        """One request through that node; `patience`: for how many seconds it may be told to try again."""
        end = time.monotonic() + patience
        call = pb.RequestCall(grid="g", type="entity", key=key.encode(), message="Increment", json='{"key":"n","by":1}', request_id=str(counted[key]))
        with grpc.insecure_channel(cluster.address(name)) as channel:
            while True:
                try:
                    answer = services.DataStub(channel).Request(call, timeout=5)
                    break
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE and time.monotonic() < end, f"{key} through {name}: {error}"
                    time.sleep(0.02)
        counted[key] += 1
        assert int(json.loads(answer.json)["value"]) == counted[key], f"{key}: {answer.json}, must be {counted[key]}"

    with Cluster(folder / "cluster") as cluster:
        cluster.afdg("node1", "grid", "create", "g", "--regions", 6)
        leader = cluster.leaders(keys)
        assert set(leader.values()) == set(NODES), f"regions are not spread: {leader}"
        for key in keys:
            for name in ("catalog", *NODES):
                count(name, key)
        everybody = cluster.afdg("node3", "agent", "fanout", "entity", "Get", '{"key":"n"}', "--all")
        assert sum("\tok\t" in line for line in everybody.stdout.splitlines()) == len(keys), everybody.stdout

        cluster.tool("kill", "2")
        dead = [key for key in keys if leader[key] == "node2"]
        until("node2 counts as dead", lambda: " no " in cluster.afdg("node1", "catalog", "nodes").stdout)
        for name in ("catalog", "node1", "node3"):
            refused = cluster.afdg(name, "-o", "json", "agent", "request", f"entity/{dead[0]}", "Increment", '{"key":"n","by":1}',
                                   check=4, timeout="500ms")
            error = json.loads(refused.stderr)["error"]
            assert error["code"] == "kUnavailable" and "which does not answer: wait for it to come back" in error["text"], error
            for key in keys:
                if key not in dead:
                    count(name, key)
        part = cluster.afdg("node1", "agent", "fanout", "entity", "Get", '{"key":"n"}', "--keys", ",".join(keys), check=7, timeout="500ms")
        assert sum("\tok\t" in line for line in part.stdout.splitlines()) == len(keys) - len(dead), part.stdout
        assert "unavailable" in cluster.afdg("node1", "region", "list").stdout

        cluster.tool("restart", "2")
        for key in keys:
            count("node1", key, patience=3)  # it learns of the restart with its next heartbeat
            count("node2", key)

        # node2 counts as dead when the catalog dies; back, it is asked all the same, for nobody says that it is back.
        os.kill(cluster.pid("node2"), signal.SIGSTOP)
        until("node2 counts as dead", lambda: " no " in cluster.afdg("node1", "catalog", "nodes").stdout)
        cluster.tool("kill", "catalog")
        os.kill(cluster.pid("node2"), signal.SIGCONT)
        for name in NODES:
            for key in keys:
                count(name, key, patience=3 if key in dead else 0)
        refused = cluster.afdg("node1", "grid", "create", "h", "--regions", 2, check=4, timeout="500ms")
        assert cluster.address("catalog") in refused.stderr, f"does not name the catalog: {refused.stderr}"
        # A node that starts without its catalog waits and leads nothing; so it is back once the catalog is.
        cluster.tool("kill", "3")
        restarted = threading.Thread(target=lambda: cluster.tool("restart", "3"))
        restarted.start()
        time.sleep(1)
        assert restarted.is_alive(), "a region node was ready without its catalog"
        cluster.tool("restart", "catalog")
        restarted.join(30)
        for name in ("catalog", *NODES):
            for key in keys:
                count(name, key, patience=3)
        cluster.afdg("node2", "grid", "create", "h", "--regions", 2)
        assert [row for row in cluster.afdg("node3", "grid", "list").stdout.splitlines() if row.startswith("h ")]
    for name in NODES:
        done = subprocess.run([str(cluster.program), "verify", "--data", str(folder / "cluster" / name)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"verify {name}: {done.stdout}{done.stderr}"
    print(f"         {sum(counted.values())} requests through four nodes, each counted once")


class Sender(threading.Thread):
    """Owns some agents; asks each, one request at a time, to send a number to others; writes down what must arrive."""

    def __init__(self, number, cluster, agents):
        super().__init__(daemon=True)
        self.number, self.agents = number, agents
        self.addresses = [cluster.address(name) for name in NODES]
        self.random = random.Random(SEED * 100 + number)
        self.sent = {}  # (target, source) -> numbers, in order
        self.problems, self.answers, self.stop = [], 0, False

    def run(self):
        options = [("grpc.max_reconnect_backoff_ms", 100), ("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20)]
        stubs = [services.DataStub(grpc.insecure_channel(address, options=options)) for address in self.addresses]
        mine = [agent for index, agent in enumerate(self.agents) if index % SENDERS == self.number]
        serial = 0
        while not self.stop and not self.problems:
            source = self.random.choice(mine)
            targets = self.random.sample(self.agents, 3)
            serial += 1
            call = pb.RequestCall(grid="g", type="probe", key=source.encode(), message="Pass", request_id=f"s{self.number}:{serial}",
                                  json=json.dumps({"number": serial, "to": targets}))
            # Some ask twice under the same id, as callers do who lost an answer: it must not be sent twice.
            for _ in range(2 if serial % 10 == 0 else 1):
                if not self.ask(stubs, call):
                    return
            self.answers += 1
            for target in targets:
                self.sent.setdefault((target, source), []).append(serial)

    def ask(self, stubs, call):
        while True:  # until answered, also after stop was asked for: nothing may stay in doubt
            try:
                self.random.choice(stubs).Request(call, timeout=5)
                return True
            except grpc.RpcError as error:
                if error.code() not in RETRIED:
                    self.problems.append(f"{call.key}: {error.code()} {error.details()}")
                    return False
                time.sleep(0.02)


SENDERS = 6


def outboxes(folder, kills, *flags):
    """The differences between what senders were told was sent and what receivers have, after kills of every node."""
    agents = [f"a{n}" for n in range(30)]
    moments = random.Random(SEED)
    with Cluster(folder / "cluster", "probe_server", *flags) as cluster:
        cluster.afdg("catalog", "grid", "create", "g", "--regions", 9, "--type", "probe")
        senders = [Sender(number, cluster, agents) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        for cycle in range(kills):
            time.sleep(moments.uniform(0.2, 0.8))
            # One node, or two of them at once: the sender's and the receiver's.
            gone = moments.sample(("1", "2", "3"), 1 + cycle % 2)
            for name in gone:
                cluster.tool("kill", name)
            time.sleep(moments.uniform(0, 0.5))
            for name in gone:
                cluster.tool("restart", name)
        time.sleep(0.3)
        for sender in senders:
            sender.stop = True
        for sender in senders:
            sender.join(60)
            assert not sender.is_alive(), "a sender never got its answer"
            assert not sender.problems, sender.problems

        def waiting():
            rows = json.loads(cluster.afdg("node1", "-o", "json", "region", "lag").stdout)
            return [row for row in rows if row["state"] != "running" or row["lag"] != 0 or row["outbox"] != 0]

        until("all outboxes are empty", lambda: not waiting(), 60)
        expected = {}
        for sender in senders:
            for (target, source), numbers in sender.sent.items():
                expected.setdefault(target, {})[source] = numbers
        problems, messages = [], 0
        with grpc.insecure_channel(cluster.address("node1")) as channel:
            for target in agents:
                answer = services.DataStub(channel).Request(
                    pb.RequestCall(grid="g", type="probe", key=target.encode(), message="GetSeen", json="{}"), timeout=10)
                seen = {row["from"]: [int(number) for number in row["numbers"]] for row in json.loads(answer.json).get("from", [])}
                for source in sorted(set(seen) | set(expected.get(target, {}))):
                    have, want = seen.get(source, []), expected.get(target, {}).get(source, [])
                    messages += len(want)
                    if have != want:
                        problems.append(f"{source} -> {target}: has {have}, must have {want}")
        asked = sum(sender.answers for sender in senders)
        assert asked > 50, f"only {asked} requests were answered: the load did not run"
        print(f"         {asked} requests, {messages} messages between 30 agents in 9 regions of 3 nodes, {kills} times nodes were killed")
        return problems


def exactly_once(folder):
    """What agents of different nodes send each other arrives once and in order, whoever is killed."""
    problems = outboxes(folder, KILLS)
    assert not problems, "\n".join(problems[:5])


def planted(folder):
    """The same check finds a server that runs repeats again."""
    assert outboxes(folder, 1, "--inject", "no-dedup"), "the planted bug was not found"


if __name__ == "__main__":
    print(f"repeat with AFDG_SEED={SEED}", flush=True)
    sys.exit(harness.run_cases(nodes_and_catalog, exactly_once, planted))
