#!/usr/bin/python3
"""Durable requests against Redis (appendonly yes, appendfsync always) on the same machine, in turns, and one caller against the disk.

Every figure that matters is a ratio of the same run: these machines share their cores and disks. Starts its own servers on free
loopback ports in a scratch folder and stops them.

    tools/dev bench peers [--seconds 5] [--rounds 3] [--json FILE]
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import lab

def fdatasync_p50_us(folder, seconds=1.5):
    """p50 of one 4 KiB pwrite + fdatasync, on a zero-filled file beside the journal, as a commit does it."""
    path = folder / "probe"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(8 << 20), 0)
    os.fsync(fd)
    block, times, at, end = os.urandom(4096), [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter_ns()
        os.pwrite(fd, block, at)
        os.fdatasync(fd)
        times.append(time.perf_counter_ns() - start)
        at = (at + 4096) % (8 << 20)
    os.close(fd)
    path.unlink()
    return statistics.median(times) / 1000


def loopback_p50_us(rounds=4000):
    """p50 of a one-byte ping-pong between two processes over loopback TCP."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    child = os.fork()
    if child == 0:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := peer.recv(64):
            peer.sendall(data)
        os._exit(0)
    times = []
    with socket.create_connection(listener.getsockname()) as here:
        here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(rounds):
            start = time.perf_counter_ns()
            here.sendall(b"x")
            here.recv(64)
            times.append(time.perf_counter_ns() - start)
    os.waitpid(child, 0)
    return statistics.median(times) / 1000


def redis_rate(port, command, clients, pipeline, seconds):
    """Answers a second of redis-benchmark for about `seconds`."""
    count = 20_000 * (4 if pipeline > 1 else 1)
    while True:
        start = time.monotonic()
        text = subprocess.run(["redis-benchmark", "-p", str(port), "-t", command, "-c", str(clients), "-P", str(pipeline), "-n", str(count),
                               "-r", "100000", "--csv"], check=True, capture_output=True, text=True).stdout
        took = time.monotonic() - start
        if took >= seconds * 0.6:
            rows = [line.split(",") for line in text.splitlines()]
            return float(rows[-1][1].strip('"'))
        count = int(count * min(20, max(1.5, seconds / max(took, 0.05))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=lab.BIN)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--regions", type=int, default=8)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    # In the checkout, so that the disk is the one that data would be on.
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="afdg-bench-", dir=lab.ROOT / "build"))
    node, redis = lab.Node(args.bin, scratch), None
    try:
        redis_port = lab.free_port()
        node.start()
        redis = subprocess.Popen(["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--dir", scratch, "--appendonly", "yes",
                                  "--appendfsync", "always", "--save", ""], stdin=subprocess.DEVNULL, stdout=open(scratch / "redis.log", "wb"), stderr=subprocess.STDOUT, start_new_session=True)
        lab.wait_port(redis_port)
        node.create_grid(args.regions)

        def ours(callers, in_flight, threads):
            return node.bench(100_000, args.seconds, callers, in_flight, *(["--threads"] if threads else []))

        scenarios = [("50 asynchronous callers", 50, 1, False, 1.5), ("50 blocking threads", 50, 1, True, 1.0), ("50 callers x 32 in flight", 50, 32, False, 1.5)]
        report = {"nproc": os.cpu_count(), "seconds": args.seconds, "rounds": args.rounds, "redis": subprocess.run(
            ["redis-server", "--version"], capture_output=True, text=True).stdout.strip(), "scenarios": []}
        for name, callers, in_flight, threads, wanted in scenarios:
            ratios, row = {"incr": [], "set": []}, {"name": name, "wanted": wanted, "afdg": [], "incr": [], "set": []}
            for _ in range(args.rounds):
                mine = ours(callers, in_flight, threads)
                row["afdg"].append(mine)
                for command in ("incr", "set"):
                    peer = redis_rate(redis_port, command, callers, in_flight, args.seconds)
                    row[command].append(peer)
                    ratios[command].append(mine["per_second"] / peer)
            row["ratio_incr"], row["ratio_set"] = statistics.median(ratios["incr"]), statistics.median(ratios["set"])
            best = statistics.median(m["per_second"] for m in row["afdg"])
            print(f"{name:28} afdg {best:10,.0f}/s   redis INCR {statistics.median(row['incr']):10,.0f}/s  SET {statistics.median(row['set']):10,.0f}/s"
                  f"   ratio {row['ratio_incr']:.2f} / {row['ratio_set']:.2f} (wanted {wanted})", flush=True)
            report["scenarios"].append(row)
        singles = []
        for _ in range(args.rounds):
            disk, wire = fdatasync_p50_us(scratch), loopback_p50_us()
            one = ours(1, 1, True)
            singles.append({"fdatasync_p50_us": disk, "loopback_p50_us": wire, "p50_us": one["p50_us"], "ratio": one["p50_us"] / (disk + wire)})
        report["one_caller"] = singles
        ratio = statistics.median(s["ratio"] for s in singles)
        print(f"{'1 caller, p50':28} afdg {statistics.median(s['p50_us'] for s in singles):7.0f} us   fdatasync {statistics.median(s['fdatasync_p50_us'] for s in singles):.0f} us"
              f" + loopback {statistics.median(s['loopback_p50_us'] for s in singles):.0f} us   ratio {ratio:.2f} (wanted at most 1.5)")
        if args.json:
            args.json.write_text(json.dumps(report, indent=1))
    finally:
        if redis is not None:
            redis.send_signal(signal.SIGTERM)
            redis.wait(20)
        node.stop()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
