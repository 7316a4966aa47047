"""What the end-to-end tests share: a server process on free loopback ports, the command line, gRPC stubs.

Run with Debian's /usr/bin/python3. AFDG_BIN names the folder of the built programs (ctest sets it).
"""
import atexit
import contextlib
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
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("AFDG_BIN", ROOT / "build" / "dev" / "bin"))
_children = []


def _end_children():
    for process in _children:
        if process.poll() is None:
            process.kill()


atexit.register(_end_children)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def scratch():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="afdg-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """One server process on its own data directory; can be killed and started again on the same ports."""

    def __init__(self, data, *extra, program="afdgd", env=None):
        self.data = pathlib.Path(data)
        self.port = free_port()
        self.http_port = free_port()
        self.kafka = "off"  # or HOST:PORT
        self.extra = list(extra)
        self.program = str(BIN / program)
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.log = self.data.parent / (self.data.name + ".log")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        return [self.program, "--data", str(self.data), "--listen", self.address, "--kafka", self.kafka, "--http", f"127.0.0.1:{self.http_port}", *self.extra]

    def start(self, wait=True, seconds=30):
        self.mark = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        _children.append(self.process)
        if wait:
            self.wait_ready(seconds)
        return self

    def output(self):
        """What the present process printed so far."""
        with open(self.log, "rb") as log:
            log.seek(self.mark)
            return log.read().decode(errors="replace")

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(line.strip() == "ready" or line.startswith("ready") for line in self.output().splitlines()):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"{self.program} was not ready (exit {self.process.poll()}):\n{self.output()[-3000:]}")

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        return self.process.wait(60)

    def stop(self):
        return self.kill(signal.SIGTERM)

    def verify(self):
        """Runs `verify` on the stopped node; returns (exit code, output)."""
        done = subprocess.run([self.program, "verify", "--data", str(self.data)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def afdg(self, *args, grid=None, check=0, input=None, timeout=60):
        """Runs the command line against this server; fails unless the exit code is `check` (None: any)."""
        command = [str(BIN / "afdg"), "-s", self.address, *(["-g", grid] if grid else []), *map(str, args)]
        done = subprocess.run(command, input=input, stdin=None if input is not None else subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if check is not None and done.returncode != check:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}, not {check}\n{done.stdout}\n{done.stderr}")
        return done


def run_cases(*cases):
    """Runs each case in a folder of its own, goes on when one fails, and returns the exit code. AFDG_CASE names a single one."""
    failed, skipped = [], 0
    for case in cases:
        if os.environ.get("AFDG_CASE", case.__name__) != case.__name__:
            continue
        begun = time.monotonic()
        try:
            with scratch() as folder:
                case(folder)
            result = "ok"
        except Skip as reason:
            result = f"SKIPPED: {reason}"
            skipped += 1
        except Exception:  # a failed case is reported at the end
            traceback.print_exc()
            failed.append(case.__name__)
            result = "FAILED"
        print(f"{result:8} {case.__name__}: {case.__doc__} ({time.monotonic() - begun:.1f} s)", flush=True)
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 77 if skipped == len(cases) else 0


class Skip(Exception):
    """What this machine cannot do; the reason."""


def says(done, *words):
    """The error is one sentence that has these words."""
    for word in words:
        assert word in done.stderr, f"'{word}' is not in: {done.stderr!r}"
    assert len(done.stderr.strip().splitlines()) <= 2, f"not one sentence: {done.stderr!r}"


def run_server(*arguments, program="afdgd"):
    """Runs the server with arguments that make it end by itself."""
    return subprocess.run([str(BIN / program), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def stubs():
    """(data_pb2, data_pb2_grpc), generated from the project's data.proto. (The tools of Debian 12 do not know admin.proto's `optional`.)"""
    from grpc_tools import protoc
    out = tempfile.mkdtemp(prefix="afdg-stubs-")
    atexit.register(shutil.rmtree, out, True)
    files = [str(ROOT / "proto/afdg/v1" / name) for name in ("data.proto",)]
    if protoc.main(["protoc", f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
        raise AssertionError("protoc failed")
    sys.path.insert(0, out)
    from afdg.v1 import data_pb2, data_pb2_grpc
    return data_pb2, data_pb2_grpc


def loads(text):
    return json.loads(text)
