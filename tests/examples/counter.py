#!/usr/bin/python3
"""The README's "write your own agent": installs AFDG into a folder, builds examples/counter against it with find_package, and runs it."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=800, **more)
    assert done.returncode == more.get("check_code", 0), f"{command}: exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


readme = (harness.ROOT / "README.md").read_text()
for quoted in ("counter.h", "server.cc", "client.cc"):
    source = (harness.ROOT / "examples/counter" / quoted).read_text()
    body = source[source.index("\n\n") + 2:] if quoted == "counter.h" else source
    assert body.strip() in readme, f"README.md does not quote examples/counter/{quoted} as it is"

with harness.scratch() as folder:
    run("cmake", "--install", os.environ["AFDG_BUILD"], "--prefix", folder / "afdg")
    launcher = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    run("cmake", "-S", harness.ROOT / "examples/counter", "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={folder / 'afdg'}", *launcher)
    run("cmake", "--build", folder / "build")
    harness.BIN = folder / "build"
    server = harness.Server(folder / "data", program="counter_server").start()
    first = run(folder / "build/counter_client", server.address, "first")
    print(first)
    assert "value 5 after 1 turns; by -1: by is -1: a counter only goes up" in first
    assert "value 5 after 1 turns" in run(folder / "build/counter_client", server.address, "first"), "the same id counted twice"
    server.kill()
    server.start()
    assert "value 10 after 2 turns" in run(folder / "build/counter_client", server.address, "second"), "the kill lost something"
    assert server.stop() == 0, server.output()
