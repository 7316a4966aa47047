#!/usr/bin/python3
"""What a node costs and how long it takes: idle, many agents, restart, a minute over ten million keys.

    tools/dev bench node [idle] [agents] [restart] [steady]      all four by default; they take about four minutes
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    def __init__(self, args, name):
        self.args, self.data = args, args.scratch / name
        self.port, self.http = free_port(), free_port()

    def start(self):
        """Seconds until `ready`."""
        began = time.monotonic()
        self.process = subprocess.Popen([self.args.bin / "afdgd", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--http", f"127.0.0.1:{self.http}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.args.scratch / "log", "ab"), text=True)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("ready"):
                return time.monotonic() - began
        sys.exit(f"node.py: the server ended: {self.lines}")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(120)

    def afdg(self, *words, check=True):
        done = subprocess.run([self.args.bin / "afdg", "-s", f"127.0.0.1:{self.port}", "-g", "bench", "-o", "json", *map(str, words)],
                              check=False, capture_output=True, text=True)
        if check and done.returncode not in (0, 1):
            sys.exit(f"node.py: afdg {words}: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def bench(self, keys, seconds, callers=64, in_flight=32, *more):
        return self.afdg("bench", "request", "--callers", callers, "--in-flight", in_flight, "--keys", keys, "--seconds", seconds, *more)

    def rss_mb(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name):
        """Sum over a metric's series."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=5).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)

    def disk_bytes(self, pattern):
        return sum(path.stat().st_size for path in self.data.rglob(pattern))


def idle(args):
    node = Node(args, "idle")
    ready = node.start()
    node.afdg("grid", "create", "bench", "--regions", 8)
    time.sleep(2)
    before = node.cpu_seconds()
    time.sleep(10)
    used = (node.cpu_seconds() - before) / 10
    print(f"idle      ready {ready:.2f} s on an empty directory (wanted 0.5); RSS {node.rss_mb():.0f} MB (wanted 60); CPU {used:.2%} of a core", flush=True)
    node.stop()


def agents(args):
    node = Node(args, "agents")
    node.start()
    node.afdg("grid", "create", "bench", "--regions", 8)
    done = node.bench(args.agents, args.touch_seconds, 64, 64, "--size", 100)
    print(f"agents    {done['operations']:,} requests over {args.agents:,} keys of 100 bytes: RSS {node.rss_mb():.0f} MB (wanted 400 after 1,000,000 touched once)", flush=True)
    node.stop()


def restart(args):
    node = Node(args, "restart")
    node.start()
    node.afdg("grid", "create", "bench", "--regions", 8)
    while node.disk_bytes("bench.changes-*/*.log") < args.log_bytes:
        node.bench(1_000_000, 5, 64, 64)
    node.stop(signal.SIGKILL)
    size = node.disk_bytes("bench.changes-*/*.log")
    ready = node.start()
    print(f"restart   {size / 2**20:.0f} MiB of changes, kill -9: ready in {ready:.2f} s (wanted 2); {[l for l in node.lines if 'recovered' in l]}", flush=True)
    node.stop()
    shutil.rmtree(node.data / "store")
    ready = node.start()
    print(f"rebuild   the store removed: ready in {ready:.2f} s, {size / 2**20 / ready:.0f} MiB/s of changes", flush=True)
    node.stop()


def steady(args):
    node = Node(args, "steady")
    node.start()
    node.afdg("grid", "create", "bench", "--regions", 8)
    peak = node.bench(10_000_000, args.seconds)
    rate = int(peak["per_second"] / 2)
    half = node.bench(10_000_000, args.seconds, 64, 32, "--rate", rate)
    print(f"steady    10,000,000 keys, {args.seconds} s: peak {peak['per_second']:,.0f}/s p99 {peak['p99_us'] / 1000:.1f} ms; at {rate:,}/s p50 {half['p50_us'] / 1000:.2f} ms"
          f" p99 {half['p99_us'] / 1000:.1f} ms (wanted 10); RSS {node.rss_mb():.0f} MB", flush=True)
    node.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["idle", "agents", "restart", "steady", []], default=[])
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    parser.add_argument("--agents", type=int, default=1_000_000)
    parser.add_argument("--touch-seconds", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--log-bytes", type=int, default=1 << 30)
    args = parser.parse_args()
    args.scratch = pathlib.Path(tempfile.mkdtemp(prefix="afdg-bench-", dir=ROOT / "build"))
    try:
        for name in args.what or ["idle", "agents", "restart", "steady"]:
            {"idle": idle, "agents": agents, "restart": restart, "steady": steady}[name](args)
            shutil.rmtree(args.scratch / name, ignore_errors=True)
    finally:
        shutil.rmtree(args.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
