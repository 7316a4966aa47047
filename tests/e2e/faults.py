#!/usr/bin/python3
"""Bad input and faults, each with the sentence that names the thing and the exit code that scripts rely on."""
import os
import pathlib
import shutil
import subprocess
import sys

import harness
from harness import run_server, says

def filled(folder, count=300):
    """A stopped node with some agents; its Server."""
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 2)
    server.afdg("bench", "request", "--callers", 8, "--keys", 50, "--seconds", 1, grid="g")
    server.afdg("agent", "request", "entity/alice", "Put", '{"key":"city","value":"Paris"}', grid="g")
    assert server.stop() == 0, server.output()
    return server


def requests(folder):
    """unknown grid, type, message, field, wrong JSON type, handler failure, oversized message"""
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 2)
    says(server.afdg("agent", "request", "entity/a", "Get", '{"key":"x"}', grid="nope", check=3), "nope")
    says(server.afdg("agent", "request", "airport/a", "Get", '{"key":"x"}', grid="g", check=3), "airport")
    says(server.afdg("agent", "request", "entity/a", "Fly", '{}', grid="g", check=3), "Fly")
    for json in ('{"kye":"x"}', '{"key":["x"]}'):
        wrong = server.afdg("agent", "request", "entity/a", "Get", json, grid="g", check=None)
        assert wrong.returncode in (1, 2), wrong.returncode
        says(wrong, "Get")
    says(server.afdg("agent", "request", "entity/a", "Get", '{"key":5e}', grid="g", check=2), "5e")
    server.afdg("agent", "request", "entity/a", "Put", '{"key":"name","value":"x"}', grid="g")
    refused = server.afdg("agent", "request", "entity/a", "Increment", '{"key":"name","by":1}', grid="g", check=1)
    says(refused, "name")
    assert "Paris" not in server.afdg("agent", "request", "entity/a", "Get", '{"key":"name"}', grid="g").stdout
    big = server.afdg("agent", "request", "entity/a", "Put", "-", grid="g", check=None, input='{"key":"big","value":"' + "x" * (2 << 20) + '"}')
    assert big.returncode in (1, 2), big.returncode
    says(big, "bytes")
    says(server.afdg("grid", "create", "g", "--regions", 2, check=None), "g")
    says(server.afdg("grid", "create", "a/b", "--regions", 2, check=None), "a/b")
    says(server.afdg("grid", "create", "h", "--regions", 0, check=2), "0")
    says(server.afdg("grid", "describe", "nope", check=3), "nope")
    # The same id with another payload.
    server.afdg("agent", "request", "entity/a", "Increment", '{"key":"n","by":1}', "--id", "one", grid="g")
    says(server.afdg("agent", "request", "entity/a", "Increment", '{"key":"n","by":2}', "--id", "one", grid="g", check=None), "one")
    assert '1' in server.afdg("agent", "request", "entity/a", "Increment", '{"key":"n","by":1}', "--id", "one", grid="g").stdout
    assert server.stop() == 0


def usage(folder):
    """bad flags and TOML of both programs"""
    for arguments in (["--no-such-flag"], ["--data"], ["--data", folder / "d", "--listen", "nowhere"], ["--data", folder / "d", "--roles", "king"]):
        done = run_server(*arguments)
        assert done.returncode == 2, f"{arguments}: exit {done.returncode}: {done.stderr}"
        assert done.stderr.strip(), arguments
    config = folder / "a.toml"
    for text, word in (("data = ", "a.toml"), ("data = 5\n", "data"), (f'data = "{folder}/d"\nlisten_on = "x"\n', "listen")):
        config.write_text(text)
        done = run_server("--config", config, "--check-config")
        assert done.returncode == 2, f"{text!r}: exit {done.returncode}: {done.stdout}{done.stderr}"
        assert word in done.stderr, done.stderr
    config.write_text(f'data = "{folder}/d"\n')
    assert run_server("--config", config, "--check-config").returncode == 0
    assert run_server("--config", folder / "absent.toml", "--check-config").returncode == 2
    assert run_server("--data", folder / "d", "--listen", "0.0.0.0:0", "--check-config").returncode == 2, "another address needs --insecure"
    afdg = str(harness.BIN / "afdg")
    for arguments in (["agent", "request"], ["agent", "request", "entity", "Get", "{}"], ["nonsense"], ["--timeout", "soon", "grid", "list"]):
        done = subprocess.run([afdg, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert done.returncode == 2, f"{arguments}: exit {done.returncode}: {done.stderr}"
    done = subprocess.run([afdg, "-s", f"127.0.0.1:{harness.free_port()}", "--timeout", "1s", "grid", "list"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 4, f"unreachable: exit {done.returncode}: {done.stderr}"


def taken(folder):
    """two servers on one directory, port taken, unwritable directory"""
    server = harness.Server(folder / "data").start()
    done = run_server("--data", folder / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert done.returncode == 3 and str(folder / "data") in done.stderr, f"exit {done.returncode}: {done.stderr}"
    done = run_server("--data", folder / "other", "--listen", server.address, "--http", "127.0.0.1:0")
    assert done.returncode == 3 and server.address in done.stderr, f"exit {done.returncode}: {done.stderr}"
    (folder / "file").write_text("")
    done = run_server("--data", folder / "file" / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert done.returncode == 5 and "file/data" in done.stderr, f"exit {done.returncode}: {done.stderr}"
    assert server.stop() == 0


def damaged(folder, pattern, start_code, verify_code, damage, prefer=lambda path: path.stat().st_size):
    """Damages the largest file of a stopped node that matches; checks what verify and a start say."""
    server = filled(folder)
    code, text = server.verify()
    assert code == 0, f"verify of a sound node: {text}"
    candidates = sorted((path for path in server.data.rglob(pattern) if path.is_file() and path.stat().st_size > 0), key=prefer)
    assert candidates, f"no file matches {pattern}: {[str(p) for p in server.data.rglob('*')]}"
    damage(candidates[-1])
    code, text = server.verify()
    assert code == verify_code, f"verify said {code} after damage to {candidates[-1]}: {text}"
    server.start(wait=False)
    if start_code == 0:
        server.wait_ready()
        return server, candidates[-1]
    assert server.process.wait(30) == start_code, f"exit {server.process.returncode}: {server.output()}"
    return server, candidates[-1]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x5A
    path.write_bytes(data)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flipped_segment(folder):
    """a flipped byte in a segment: verify finds it, the node starts"""
    server, _ = damaged(folder, "g.changes-*/*.log", 0, 4, flip)
    server.stop()


def cut_segment(folder):
    """a truncated segment is not a torn tail"""
    server, _ = damaged(folder, "g.changes-*/*.log", 0, 4, cut)
    assert "faulty" in server.afdg("region", "list", grid="g").stdout
    server.stop()


def missing_segment(folder):
    """a missing segment"""
    server, _ = damaged(folder, "g.changes-*/*.log", 0, 4, lambda path: path.unlink())
    assert "faulty" in server.afdg("region", "list", grid="g").stdout
    server.stop()


def flipped_index(folder):
    """a damaged index is rebuilt with a warning"""
    server, _ = damaged(folder, "g.messages-*/*.timeindex", 0, 0, flip)
    assert "Paris" in server.afdg("agent", "request", "entity/alice", "Get", '{"key":"city"}', grid="g").stdout
    assert server.stop() == 0
    assert server.verify()[0] == 0, server.verify()


def lost_store(folder):
    """RocksDB is derived: removed, it is rebuilt from the log"""
    server = filled(folder)
    shutil.rmtree(server.data / "store")
    server.start()
    assert "Paris" in server.afdg("agent", "request", "entity/alice", "Get", '{"key":"city"}', grid="g").stdout
    assert server.stop() == 0
    assert server.verify()[0] == 0, server.verify()


def flipped_store(folder):
    """RocksDB is derived: damaged, verify finds it and a start rebuilds it"""
    server, _ = damaged(folder, "store/*.sst", 0, 4, flip)
    assert "Paris" in server.afdg("agent", "request", "entity/alice", "Get", '{"key":"city"}', grid="g").stdout
    assert server.stop() == 0


def damaged_identity(folder):
    """damage in the node's identity stops the start"""
    damaged(folder, "node*", 4, 4, flip, prefer=lambda path: path.name)


def overload(folder):
    """10,000 callers in flight: kOverloaded at most, bounded memory, the server goes on"""
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 2)

    def rss():
        for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) // 1024

    server.afdg("bench", "request", "--callers", 1000, "--in-flight", 10, "--keys", 1000, "--seconds", 2, grid="g", check=None)
    first = rss()
    server.afdg("bench", "request", "--callers", 1000, "--in-flight", 10, "--keys", 1000, "--seconds", 5, grid="g", check=None)
    second = rss()
    print(f"         RSS {first} MB, then {second} MB")
    assert second < first + 150, "memory grows under overload"
    assert "value" in server.afdg("agent", "request", "entity/x", "Increment", '{"key":"n","by":1}', grid="g").stdout
    assert server.stop() == 0


if __name__ == "__main__":
    sys.exit(harness.run_cases(requests, usage, taken, flipped_segment, cut_segment, missing_segment, flipped_index, lost_store, flipped_store, damaged_identity, overload))
