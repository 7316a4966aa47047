#!/usr/bin/python3
"""The Kafka endpoint beside Apache Kafka 4.3 on the same machine, in turns, driven by Kafka's own programs.

Every figure that matters is a ratio of the same run. Ours answers after fdatasync; "synced" is Kafka with flush.messages=1, which promises
the same; "kafka" is Kafka as it comes, which does not sync; "null" keeps nothing (null_broker_bench): what a producer reaches there is what the
producer itself can do. Needs a JDK, and Kafka's jars (tests/peers/kafka fetches them). Starts its own brokers on free loopback ports in a
scratch folder and stops them.

    tools/dev bench kafka [--rounds 3] [--seconds 6] [--only produce,consume,latency,agents,idle] [--json FILE]
    tools/dev bench kafka --only cost     what the producer reaches with a broker that only costs processor time: no other is needed
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

import lab

sys.path.insert(0, str(lab.ROOT / "tests/e2e"))
import kafka_client as wire

PEER = lab.ROOT / "tests/peers/kafka"
PARTITIONS = 4
GB = 1e9
KEPT = 6 << 30  # of the machine's memory, for brokers, clients and the page cache
# Record bytes, batch.size; then records a second about as they come, by which a run's length is chosen.
PRODUCE = {
    "1 KiB, default batch": (1024, None, {"ours": 250e3, "synced": 17e3, "kafka": 200e3, "null": 400e3}),
    "1 KiB, 131072": (1024, 131072, {"ours": 450e3, "synced": 50e3, "kafka": 350e3, "null": 800e3}),
    "100 bytes, default batch": (100, None, {"ours": 900e3, "synced": 85e3, "kafka": 900e3, "null": 1400e3}),
    "100 bytes, 131072": (100, 131072, {"ours": 1400e3, "synced": 400e3, "kafka": 1300e3, "null": 2000e3}),
}


def tool(program, *words, seconds=300):
    done = subprocess.run([PEER, "tool", f"org.apache.kafka.tools.{program}", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds,
                          env=dict(os.environ, KAFKA_HEAP="512m"), check=False, start_new_session=True)
    if done.returncode != 0:
        sys.exit(f"{program} {words}: exit {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


class Broker:
    """One that is measured: its name, address, process, and what its topics are made with."""

    def __init__(self, name, address, pid, config=()):
        self.name, self.address, self.pid, self.config = name, address, pid, config

    def topic(self, partitions=PARTITIONS):
        name = f"t{random.getrandbits(48):x}"
        if self.name != "null":
            more = [word for one in self.config for word in ("--config", one)]
            tool("TopicCommand", "--bootstrap-server", self.address, "--create", "--topic", name, "--partitions", partitions, *more)
        return name

    def remove(self, topic):
        if self.name != "null":
            tool("TopicCommand", "--bootstrap-server", self.address, "--delete", "--topic", topic)

    def produce(self, topic, payloads, records, batch):
        """(records a second, p99 in ms, CPU seconds of the broker for each GB)"""
        props = [f"bootstrap.servers={self.address}", "acks=all", *([f"batch.size={batch}"] if batch else [])]
        before = lab.cpu_seconds(self.pid)
        text = tool("ProducerPerformance", "--topic", topic, "--num-records", int(records), "--payload-file", payloads, "--throughput", -1, "--producer-props", *props)
        cpu = lab.cpu_seconds(self.pid) - before
        last = text.strip().splitlines()[-1]
        sent, rate, p99 = re.search(r"^(\d+) records sent, ([\d.]+) records/sec.* (\d+) ms 99th", last).groups()
        if int(sent) != int(records):
            sys.exit(f"{self.name}: {last}")
        return float(rate), float(p99), cpu / (int(records) * payload_bytes(payloads) / GB)


def payload_bytes(path):
    return len(path.read_text().split("\n", 1)[0])


def payload_file(folder, size):
    """Lines that do not compress and do not repeat within a batch."""
    path = folder / f"payload{size}"
    rng = random.Random(size)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    path.write_text("\n".join("".join(rng.choices(letters, k=size)) for _ in range(2000)) + "\n")
    return path


@contextlib.contextmanager
def memory_in_use(folder):
    """The state of a machine whose broker has run for long: hardly any memory is free, and the page cache is full. A virtual machine is
    given its pages at their first touch, which costs seconds a gigabyte; with free memory whoever writes a file would pay for that."""
    available = next(int(line.split()[1]) << 10 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    held = max(available - KEPT, 1 << 20)
    program = f"import mmap, sys; kept = mmap.mmap(-1, {held}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdout.readline()
    cached, chunk = folder / "cached", bytes(64 << 20)
    with open(cached, "wb") as file:
        for _ in range(KEPT // len(chunk)):
            file.write(chunk)
        os.fsync(file.fileno())

    def refill():
        """After topics were removed: memory that is free for two seconds is given back to the host."""
        os.sync()
        with open(cached, "rb", buffering=0) as file:
            buffer = bytearray(len(chunk))
            while file.readinto(buffer):
                pass

    try:
        yield refill
    finally:
        holder.stdin.close()
        holder.wait()


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def produce(brokers, folder, refill, args, result):
    for name, (size, batch, about) in PRODUCE.items():
        payloads = payload_file(folder, size)
        rows, made = {broker.name: [] for broker in brokers}, []
        for turn in range(args.rounds):
            for broker in (*brokers[turn % len(brokers):], *brokers[:turn % len(brokers)]):
                topic = broker.topic()
                made.append((broker, topic))
                os.sync()  # what another left to be written is not to be written beside this one
                rate, p99, cpu = broker.produce(topic, payloads, about[broker.name] * args.seconds, batch)
                rows[broker.name].append({"rate": rate, "p99": p99, "cpu": cpu})
        for broker, topic in made:
            broker.remove(topic)
        refill()
        told = {who: {key: median(got, key) for key in ("rate", "p99", "cpu")} for who, got in rows.items()}
        result[f"produce, {name}"] = told
        ours = told["ours"]
        print(f"produce, {name}: " + "; ".join(f"{who} {one['rate']:,.0f}/s, p99 {one['p99']:.0f} ms, {one['cpu']:.2f} CPU s/GB" for who, one in told.items()))
        print("    ours is " + ", ".join(f"{ours['rate'] / one['rate']:.2f} x {who} (CPU {ours['cpu'] / max(one['cpu'], 1e-9):.2f} x)" for who, one in told.items() if who != "ours"), flush=True)


@contextlib.contextmanager
def null_broker(burned_ns_a_kib=0):
    """One that keeps nothing, and burns so much of the processor for each KiB."""
    process = subprocess.Popen([lab.BIN / "null_broker_bench", "0", str(burned_ns_a_kib)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield Broker("null", f"127.0.0.1:{int(process.stdout.readline())}", process.pid)
    finally:
        process.kill()
        process.wait()


def cost(folder, args, result):
    """How fast the producer is beside a broker that costs 0 to 1.5 s of the processor a GB, and never waits: what a broker may cost."""
    for name, (size, batch, about) in PRODUCE.items():
        payloads, told = payload_file(folder, size), {}
        for ns in (0, 300, 600, 900, 1200, 1500):
            with null_broker(ns) as broker:
                told[ns] = statistics.median(broker.produce("t", payloads, about["null"] * 0.7 * args.seconds, batch)[0] for _ in range(args.rounds))
        result[f"cost, {name}"] = told
        print(f"produce, {name}, beside a broker that costs a GB: " + "; ".join(f"{ns / 1.024e3:.1f} s {rate:,.0f}/s" for ns, rate in told.items()), flush=True)


def consume(brokers, folder, args, result):
    payloads = payload_file(folder, 1024)
    records = int(120e3 * args.seconds)
    rows = {broker.name: [] for broker in brokers}
    topics = {}
    for broker in brokers:
        topics[broker.name] = broker.topic()
        broker.produce(topics[broker.name], payloads, records, 131072)
    for _ in range(args.rounds):
        for broker in brokers:
            before = lab.cpu_seconds(broker.pid)
            text = tool("ConsumerPerformance", "--bootstrap-server", broker.address, "--topic", topics[broker.name], "--num-records", records, "--timeout", 60000)
            cpu = lab.cpu_seconds(broker.pid) - before
            fields = text.strip().splitlines()[-1].split(", ")
            raw = subprocess.run([sys.executable, lab.ROOT / "bench/kafka_fetch.py", broker.address, topics[broker.name], str(PARTITIONS), "--passes", "4"], capture_output=True, text=True, check=True)
            passes = [json.loads(line) for line in raw.stdout.splitlines()]
            row = {"rate": float(fields[5]), "fetch_rate": float(fields[9]), "cpu": cpu / (records * 1024 / GB)}
            row |= {f"raw, {kind}": max(one["megabytes_per_second"] for one in passes if one["kind"] == kind) for kind in ("read", "dropped")}
            rows[broker.name].append(row)
    told = {who: {key: median(got, key) for key in got[0]} for who, got in rows.items()}
    result["consume"] = told
    for who, one in told.items():
        print(f"consume: {who} {one['rate']:,.0f}/s (without the group's start {one['fetch_rate']:,.0f}/s), {one['cpu']:.2f} CPU s/GB, raw fetch {one['raw, read']:,.0f} MB/s, answers dropped {one['raw, dropped']:,.0f} MB/s", flush=True)
    for broker in brokers:
        broker.remove(topics[broker.name])


def latency(brokers, args, result):
    rows = {broker.name: [] for broker in brokers}
    for _ in range(args.rounds):
        for broker in brokers:
            topic = broker.topic(1)
            text = tool("EndToEndLatency", "--bootstrap-server", broker.address, "--topic", topic, "--num-records", 3000, "--producer-acks", "all", "--record-size", 100)
            broker.remove(topic)
            average = float(re.search(r"Avg latency: ([\d.]+)", text).group(1))
            p50, p99 = re.search(r"50th = (\d+), 99th = (\d+)", text).groups()
            rows[broker.name].append({"average": average, "p50": float(p50), "p99": float(p99)})
    result["latency"] = told = {who: {key: median(got, key) for key in ("average", "p50", "p99")} for who, got in rows.items()}
    for who, one in told.items():
        print(f"EndToEndLatency: {who} average {one['average']:.2f} ms, p50 {one['p50']:.0f}, p99 {one['p99']:.0f}", flush=True)


def agents(node, ours, null, folder, refill, args, result):
    """2,000 agent requests a second: alone, beside a producer that goes as fast as it can, and beside one that gives its records to the null
    broker: what that costs is the processors' that the producer takes. All that of the node as it comes and of one with --realtime-scheduling,
    in turns."""
    payloads = payload_file(folder, 1024)
    with contextlib.ExitStack() as stack:
        nodes = {"": (node, ours)}
        if subprocess.run(["chrt", "--rr", "1", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
            ahead = lab.Node(lab.BIN, folder, "ahead", f"127.0.0.1:{lab.free_port()}", ["--realtime-scheduling"])
            ahead.start()
            stack.callback(ahead.stop)
            nodes[", real-time"] = (ahead, Broker("ours", ahead.kafka, ahead.process.pid))
        else:
            print("agents, real-time: SKIPPED: SCHED_RR is refused here (CAP_SYS_NICE, ulimit -r)")
        words = node.bench_words(100_000, args.seconds, 50, 1, "--rate", 2000)
        for one, _ in nodes.values():
            one.create_grid()
            one.afdg(*words)
        rows = {state + kind: [] for kind in nodes for state in ("alone", "beside", "beside, null broker")}
        for _ in range(args.rounds):
            for kind, (one, own) in nodes.items():
                rows["alone" + kind].append(one.afdg(*words))
                for state, broker, a_second in (("beside", own, 500e3), ("beside, null broker", null, 900e3)):
                    topic, produced = broker.topic(), []
                    producer = threading.Thread(target=lambda: produced.extend(broker.produce(topic, payloads, a_second * (args.seconds + 5), 131072)))
                    producer.start()
                    time.sleep(3)
                    rows[state + kind].append(one.afdg(*words))
                    if not producer.is_alive():
                        sys.exit("the producer ended before the requests: give it more records")
                    producer.join()
                    if not produced:
                        sys.exit("the producer failed: see above")
                    rows[state + kind][-1]["produced"] = produced[0]
                    broker.remove(topic)
                    refill()
    result["agents"] = told = {who: {key: median(got, key) for key in ("p50_us", "p99_us", "per_second", "produced") if key in got[0]} for who, got in rows.items()}
    for who, one in told.items():
        print(f"agents {who}: {one['per_second']:,.0f}/s, p50 {one['p50_us'] / 1000:.2f} ms, p99 {one['p99_us'] / 1000:.2f} ms" + (f"; the producer {one['produced']:,.0f}/s" if "produced" in one else ""))
    for kind in nodes:
        for state in ("beside", "beside, null broker"):
            print(f"    p99 {state + kind}: {told[state + kind]['p99_us'] / told['alone' + kind]['p99_us']:.1f} x that alone", flush=True)


def idle(node, result):
    """2,000 partitions, 1,000 consumers that wait with fetch.max.wait.ms=5000; then a start with these partitions."""
    with wire.Client(node.kafka, 60) as client:
        client.create("many", 2000)
    clients = [wire.Client(node.kafka, 60) for _ in range(1000)]

    def ask(i):
        wanted = wire.array([struct.pack(">iqi", partition, 0, 1 << 20) for partition in (2 * i, 2 * i + 1)])
        clients[i].send(wire.FETCH, 4, struct.pack(">iiiib", -1, 5000, 1, 1 << 20, 0) + wire.array([wire.text("many") + wanted]))

    def wait(i):
        for _ in range(5):
            ask(i)
            clients[i].receive()

    waiting = [threading.Thread(target=wait, args=(i,)) for i in range(1000)]
    for one in waiting:
        one.start()
    time.sleep(2)
    begun, before = time.monotonic(), node.cpu_seconds()
    time.sleep(15)
    share = (node.cpu_seconds() - before) / (time.monotonic() - begun)
    told = {"cpu_share": share, "rss_mb": node.rss_mb()}
    for one in waiting:
        one.join()
    for client in clients:
        client.socket.close()
    node.stop()
    told["start_seconds"] = node.start()
    result["idle"] = told
    print(f"1,000 idle consumers on 2,000 partitions: {100 * share:.2f} % of a core, {told['rss_mb']:.0f} MB; started again in {told['start_seconds']:.2f} s", flush=True)


def compare(stack, folder, refill, parts, args, result):
    node = lab.Node(lab.BIN, folder, kafka=f"127.0.0.1:{lab.free_port()}")
    node.start()
    null = stack.enter_context(null_broker())
    started = subprocess.run([PEER, "start", folder / "kafka"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    try:
        address, pid = started.stdout.split()[:2]
        ours = Broker("ours", node.kafka, node.process.pid)
        at_once = "file.delete.delay.ms=100"  # not a minute later, beside another's turn
        synced, kafka = Broker("synced", address, int(pid), ["flush.messages=1", at_once]), Broker("kafka", address, int(pid), [at_once])
        for broker in (ours, synced, kafka):  # a JVM is slow at first
            topic = broker.topic()
            broker.produce(topic, payload_file(folder, 1024), 20_000 if broker is synced else 400_000, None)
            broker.remove(topic)
        if "produce" in parts:
            produce((ours, synced, kafka, null), folder, refill, args, result)
        if "consume" in parts:
            consume((ours, kafka), folder, args, result)
        if "latency" in parts:
            latency((ours, synced, kafka), args, result)
        if "agents" in parts:
            agents(node, ours, null, folder, refill, args, result)
        if "idle" in parts:
            idle(node, result)
    finally:
        subprocess.run([PEER, "stop", folder / "kafka"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        node.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="how long one measurement takes, about")
    parser.add_argument("--only", default="produce,consume,latency,agents,idle")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    parts, result = args.only.split(","), {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        refill = stack.enter_context(memory_in_use(folder))
        if "cost" in parts:
            cost(folder, args, result)
        if parts != ["cost"]:
            compare(stack, folder, refill, parts, args, result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
