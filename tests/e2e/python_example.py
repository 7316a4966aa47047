#!/usr/bin/python3
"""Runs examples/python/fanout.py against a server, as a reader of the README would."""
import subprocess
import sys

import harness

with harness.scratch() as folder:
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 4)
    done = subprocess.run([sys.executable, str(harness.ROOT / "examples/python/fanout.py"), "--server", server.address, "--grid", "g"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, f"exit {done.returncode}"
    assert "alice visits 1 " in done.stdout, "the counter was not 1"
    assert "20 ok, 0 failed" in done.stdout, "the fan-out was not whole"
    assert server.stop() == 0, server.output()
