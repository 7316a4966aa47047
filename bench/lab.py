"""What the scripts of this folder share: a server of their own on free loopback ports, and what it costs."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("BIN", ROOT / "build/release/bin"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_port(port, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing answers on port {port}")


def cpu_seconds(pid):
    """What the threads of a process have used so far, in user and system mode."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def switches(pid):
    """How often the threads of a process waited so far; being pushed off a busy processor does not count."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


class Node:
    """One afdgd; with the log and the data in `scratch`, and more flags."""

    def __init__(self, bin_folder, scratch, name="node", kafka="off", flags=()):
        self.bin, self.scratch, self.data, self.kafka, self.flags = bin_folder, scratch, scratch / name, kafka, flags
        self.port, self.http = free_port(), free_port()

    def start(self):
        """Seconds until `ready`. In a session of its own, as Kafka is: the kernel shares processors between sessions (sched(7), autogroup)."""
        began = time.monotonic()
        self.process = subprocess.Popen([self.bin / "afdgd", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--kafka", self.kafka, "--http", f"127.0.0.1:{self.http}", *self.flags],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.scratch / "log", "ab"), text=True, start_new_session=True)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.startswith("ready"):
                return time.monotonic() - began
        sys.exit(f"the server ended: {self.lines} {(self.scratch / 'log').read_text()[-2000:]}")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(120)
        self.process.stdout.close()

    def command(self, *words):
        return [str(self.bin / "afdg"), "-s", f"127.0.0.1:{self.port}", "-g", "bench", "-o", "json", *map(str, words)]

    def afdg(self, *words):
        done = subprocess.run(self.command(*words), check=False, capture_output=True, text=True, start_new_session=True)
        if done.returncode not in (0, 1):
            sys.exit(f"afdg {words}: exit {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    @staticmethod
    def bench_words(keys, seconds, callers, in_flight, *more):
        return ("bench", "request", "--callers", callers, "--in-flight", in_flight, "--keys", keys, "--seconds", seconds, *more)

    def bench(self, *arguments):
        return self.afdg(*self.bench_words(*arguments))

    def create_grid(self, regions=8):
        self.afdg("grid", "create", "bench", "--regions", regions)

    def rss_mb(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def metrics(self):
        """Each metric's sum over its series."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=5).read().decode()
        sums = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name = line.split("{")[0].split(" ")[0]
                sums[name] = sums.get(name, 0.0) + float(line.rsplit(" ", 1)[1])
        return sums

    def disk_bytes(self, pattern):
        return sum(path.stat().st_size for path in self.data.rglob(pattern))
