#!/usr/bin/python3
"""What a node costs and how long it takes: idle, many agents, restart, a minute over ten million keys.

    tools/dev bench node [idle] [agents] [restart] [rebuild] [steady]      all by default; they take about eight minutes
"""
import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import lab


def idle(args):
    node = lab.Node(args.bin, args.scratch, "idle")
    ready = node.start()
    node.create_grid()
    time.sleep(2)
    before = node.cpu_seconds()
    time.sleep(10)
    used = (node.cpu_seconds() - before) / 10
    print(f"idle      ready {ready:.2f} s on an empty directory (wanted 0.5); RSS {node.rss_mb():.0f} MB (wanted 60); CPU {used:.2%} of a core", flush=True)
    node.stop()


def agents(args):
    node = lab.Node(args.bin, args.scratch, "agents")
    node.start()
    node.create_grid()
    for keys, wanted in ((1_000_000, 400), (10_000_000, 600)):
        done = node.bench(keys, 600, 64, 64, "--size", 100, "--once")
        print(f"agents    {done['operations']:,} agents of 100 bytes touched once in {done['seconds']:.0f} s: RSS {node.rss_mb():.0f} MB (wanted {wanted})", flush=True)
    node.stop()
    ready = node.start()
    time.sleep(2)
    print(f"agents    10,000,000 stored, started again: ready in {ready:.2f} s, RSS {node.rss_mb():.0f} MB (wanted 600)", flush=True)
    node.stop()


def restart(args):
    node = lab.Node(args.bin, args.scratch, "restart")
    node.start()
    node.create_grid()
    while node.disk_bytes("bench.changes-*/*.log") < args.log_bytes:
        node.bench(1_000_000, 5, 64, 64)
    node.stop(signal.SIGKILL)
    size = node.disk_bytes("bench.changes-*/*.log")
    ready = node.start()
    print(f"restart   {size / 2**20:.0f} MiB of changes, kill -9: ready in {ready:.2f} s (wanted 2); {[l for l in node.lines if 'recovered' in l]}", flush=True)
    node.stop()


def rebuild(args):
    """Every pair is in `changes` once, so that both load the same ones."""
    node = lab.Node(args.bin, args.scratch, "rebuild")
    node.start()
    node.create_grid()
    node.bench(args.pairs, 600, 64, 64, "--size", 100, "--once")
    node.stop()
    loaded = json.loads(subprocess.run([args.bin / "bulk_load_bench", node.data / "store", args.scratch], check=True, capture_output=True, text=True).stdout)
    shutil.rmtree(node.data / "store")
    ready = node.start()
    print(f"rebuild   the store removed, {args.pairs:,} agents written once: ready in {ready:.2f} s; {[l for l in node.lines if 'recovered' in l]}", flush=True)
    print(f"          RocksDB's bulk load of the store's {loaded['pairs']:,} pairs: {loaded['bulk_load_seconds']:.2f} s, sorted and ingested {loaded['sst_ingest_seconds']:.2f} s;"
          f" the rebuild is {loaded['bulk_load_seconds'] / ready:.2f} times as fast (wanted 0.5)", flush=True)
    node.stop()


class LagWatch(threading.Thread):
    """How far the store is behind the log, in records of all regions, every 5 s."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.seen, self.done = node, [], threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(5):
            self.seen.append(int(self.node.metrics()["afdg_region_checkpoint_lag"]))

    def stop(self):
        self.done.set()
        self.join()
        return self.seen


def steady(args):
    node = lab.Node(args.bin, args.scratch, "steady")
    node.start()
    node.create_grid()
    watch = LagWatch(node)
    peak = node.bench(10_000_000, args.seconds, 64, 32)
    rate = int(peak["per_second"] / 2)
    half = node.bench(10_000_000, args.seconds, 64, 32, "--rate", rate)
    print(f"steady    records not yet in the store, every 5 s: {watch.stop()}", flush=True)
    print(f"steady    10,000,000 keys, {args.seconds} s: peak {peak['per_second']:,.0f}/s p99 {peak['p99_us'] / 1000:.1f} ms; at {rate:,}/s p50 {half['p50_us'] / 1000:.2f} ms"
          f" p99 {half['p99_us'] / 1000:.1f} ms (wanted 10); RSS {node.rss_mb():.0f} MB", flush=True)
    node.stop()


PARTS = {"idle": idle, "agents": agents, "restart": restart, "rebuild": rebuild, "steady": steady}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--bin", type=pathlib.Path, default=lab.BIN)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pairs", type=int, default=3_000_000)
    parser.add_argument("--log-bytes", type=int, default=1 << 30)
    args = parser.parse_args()
    args.scratch = pathlib.Path(tempfile.mkdtemp(prefix="afdg-bench-", dir=lab.ROOT / "build"))
    try:
        for name in args.what or PARTS:
            PARTS[name](args)
            shutil.rmtree(args.scratch / name, ignore_errors=True)
    finally:
        shutil.rmtree(args.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
