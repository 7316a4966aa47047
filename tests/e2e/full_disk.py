#!/usr/bin/python3
"""A disk that is full, as a small tmpfs: writes are refused, reads go on, nothing acknowledged is lost, space makes it go on."""
import json
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import grpc

import harness

pb, services = harness.stubs()
BASE = ("base0", "base1", "base6", "base7")  # two in each region
FLAGS = ("--journal-bytes", str(8 << 20), "--checkpoint-bytes", str(4 << 20))


def ask(stub, key, message, body, **more):
    return json.loads(stub.Request(pb.RequestCall(grid="g", type="entity", key=key.encode(), message=message, json=json.dumps(body), **more), timeout=5).json)


class Reader(threading.Thread):
    """Reads all the time; keeps what failed and the longest time without an answer."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.stop, self.problems, self.reads, self.gap_s = server, False, [], 0, 0.0

    def run(self):
        with grpc.insecure_channel(self.server.address) as channel:
            stub, last = services.DataStub(channel), time.monotonic()
            while not self.stop:
                for key in BASE:
                    try:
                        assert ask(stub, key, "Get", {"key": "city"})["value"] == "Paris"
                        self.reads += 1
                        self.gap_s, last = max(self.gap_s, time.monotonic() - last), time.monotonic()
                    except grpc.RpcError as error:
                        self.problems.append(f"{error.code()} {error.details()}")
                time.sleep(0.005)


class Writer:
    """Puts values of 20 KB under ids of its own; knows which were acknowledged."""

    def __init__(self, server):
        self.server, self.acknowledged, self.serial = server, {}, 0

    def until_refused(self, seconds=30):
        """Writes until kDiskFull; the sentence."""
        end = time.monotonic() + seconds
        with grpc.insecure_channel(self.server.address) as channel:
            stub = services.DataStub(channel)
            while time.monotonic() < end:
                try:
                    self.one(stub)
                except grpc.RpcError as error:
                    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "full" in error.details():
                        return error.details()
                    assert error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE), f"{error.code()} {error.details()}"
        raise AssertionError(f"never refused in {seconds} s")

    def one(self, stub):
        self.serial += 1
        key = f"w{self.serial % 40}"
        ask(stub, key, "Append", {"key": "list", "values": [f"{self.serial} " + "x" * 20_000]}, request_id=f"{self.serial}")
        self.acknowledged.setdefault(key, []).append(self.serial)

    def goes_on(self, count=50, seconds=20):
        """Writes without anything being restarted."""
        end = time.monotonic() + seconds
        with grpc.insecure_channel(self.server.address) as channel:
            while count > 0:
                try:
                    self.one(services.DataStub(channel))
                    count -= 1
                except grpc.RpcError as error:
                    assert time.monotonic() < end, f"does not go on after {seconds} s: {error.code()} {error.details()}"
                    time.sleep(0.05)

    def check(self):
        """Every acknowledged value is there once, in order. One that was refused may not be; one in doubt may be."""
        with grpc.insecure_channel(self.server.address) as channel:
            for key, serials in self.acknowledged.items():
                have = []
                while True:
                    page = ask(services.DataStub(channel), key, "Range", {"key": "list", "from": len(have), "to": len(have) + 20})
                    if not page.get("values"):
                        break
                    have += [int(value.split()[0]) for value in page["values"]]
                assert [serial for serial in have if serial in set(serials)] == serials, f"{key}: has {have}, acknowledged {serials}"


def wait_for_start(server):
    """None when it is ready, or its exit code."""
    end = time.monotonic() + 30
    while "ready" not in server.output().splitlines() and server.process.poll() is None:
        assert time.monotonic() < end, "neither ready nor ended"
        time.sleep(0.02)
    return server.process.poll()


def full(folder):
    """full, killed on the full disk, started on it, freed"""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise harness.Skip(f"mounting a tmpfs is not allowed: {mounted.stderr.strip()}")
    server = harness.Server(disk / "data", *FLAGS)
    server.log = folder / "log"
    try:
        server.start()
        server.afdg("grid", "create", "g", "--regions", 2)
        for key in BASE:
            server.afdg("agent", "request", f"entity/{key}", "Put", '{"key":"city","value":"Paris"}', grid="g")
        reader, writer, ballast = Reader(server), Writer(server), pathlib.Path(disk / "ballast")
        reader.start()

        def fill(leave=0):
            with open(ballast, "ab", buffering=0) as file:
                try:
                    while shutil.disk_usage(disk).free > leave and file.write(b"\0" * 4096):
                        pass
                except OSError:
                    pass

        fill()
        sentence = writer.until_refused()
        assert "free space" in sentence, sentence
        print(f"         {sentence}")
        told = server.afdg("agent", "request", "entity/w1", "Put", '{"key":"a","value":1}', "--id", "cli", "-o", "json", grid="g", check=6)
        assert json.loads(told.stderr)["error"]["code"] == "kDiskFull", told.stderr
        reads = reader.reads
        time.sleep(2)
        assert reader.reads > reads + 50, f"only {reader.reads - reads} reads in 2 s"
        ballast.unlink()
        writer.goes_on()
        reader.stop = True
        reader.join()
        assert not reader.problems, f"{len(reader.problems)} reads failed, the first: {reader.problems[0]}"
        print(f"         {reader.reads} reads without a failure, longest gap {reader.gap_s * 1000:.0f} ms; {writer.serial} writes tried")
        writer.check()

        # With more changes behind the last checkpoint than a region holds otherwise: the store keeps 64 MiB free and takes none.
        fill(leave=14 << 20)
        writer.until_refused()
        server.kill()
        code, text = server.verify()
        assert code == 0, f"verify on the full disk: {text}"
        # What the journal holds does not fit into the segments: it is served from memory, and goes on without a restart.
        for life in range(2):
            fill()
            server.start(wait=False)
            ended = wait_for_start(server)
            assert ended is None, f"life {life}: exit {ended}: {server.output()}"
            writer.check()
            writer.until_refused()
            writer.check()
            if life == 0:
                server.kill()
        ballast.unlink()
        writer.goes_on()
        writer.check()
        assert server.stop() == 0, server.output()
        code, text = server.verify()
        assert code == 0, text
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        subprocess.run(["umount", "-l", str(disk)], capture_output=True)


if __name__ == "__main__":
    sys.exit(harness.run_cases(full))
