#!/usr/bin/python3
"""Bad input and faults, each with the sentence that names the thing and the exit code that scripts rely on."""
import pathlib
import shutil
import subprocess
import sys
import time

import harness
from harness import run_server, says


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
    done = run_server("--data", folder / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kafka", "off")
    assert done.returncode == 3 and str(folder / "data") in done.stderr, f"exit {done.returncode}: {done.stderr}"
    done = run_server("--data", folder / "other", "--listen", server.address, "--http", "127.0.0.1:0", "--kafka", "off")
    assert done.returncode == 3 and server.address in done.stderr, f"exit {done.returncode}: {done.stderr}"
    (folder / "file").write_text("")
    done = run_server("--data", folder / "file" / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kafka", "off")
    assert done.returncode == 5 and "file/data" in done.stderr, f"exit {done.returncode}: {done.stderr}"
    assert server.stop() == 0


def deployed(folder):
    """the sample configuration and the systemd unit are good"""
    config = (harness.ROOT / "deploy/afdgd.toml").read_text()
    sample = folder / "afdgd.toml"
    sample.write_text(config)
    done = run_server("--config", sample, "--check-config")
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    # With the commented keys too, as a region node has them.
    sample.write_text(config.replace('roles = "catalog,region"\n', "").replace("# roles =", "roles =").replace("# catalog =", "catalog ="))
    done = run_server("--config", sample, "--check-config")
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
    if not shutil.which("systemd-analyze"):
        print("         SKIPPED the unit: there is no systemd-analyze")
        return
    # The program stands elsewhere here, and its user is made by whoever installs it.
    unit = folder / "afdgd.service"
    text = (harness.ROOT / "deploy/afdgd.service").read_text()
    unit.write_text(text.replace("/usr/bin/afdgd", str(harness.BIN / "afdgd")).replace("User=afdg\nGroup=afdg\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "afdgd" in line]
    assert not ours, ours


def overload(folder):
    """10,000 callers in flight: kOverloaded at most, bounded memory, the server goes on"""
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 2)

    def rss():
        for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) // 1024

    server.afdg("bench", "request", "--callers", 1000, "--in-flight", 10, "--keys", 1000, "--seconds", 1, grid="g", check=None)
    first = rss()
    server.afdg("bench", "request", "--callers", 1000, "--in-flight", 10, "--keys", 1000, "--seconds", 2, grid="g", check=None)
    second = rss()
    print(f"         RSS {first} MB, then {second} MB")
    assert second < first + 150, "memory grows under overload"
    assert "value" in server.afdg("agent", "request", "entity/x", "Increment", '{"key":"n","by":1}', grid="g").stdout
    assert server.stop() == 0


def unread(folder):
    """callers that do not read the outcomes of their fan-outs to all agents keep neither others nor the end of the node waiting"""
    import grpc  # the other cases do without it

    pb, services = harness.stubs()
    server = harness.Server(folder / "data").start()
    server.afdg("grid", "create", "g", "--regions", 4)
    with grpc.insecure_channel(server.address) as channel:
        data = services.DataStub(channel)
        filler = b"x" * 900
        for first in range(0, 24_000, 1000):
            call = pb.FanoutCall(grid="g", type="entity", message="Increment", json='{"key":"n","by":1}', keys=[b"%d-%s" % (n, filler) for n in range(first, first + 1000)])
            assert all(answer.code == 0 for answer in data.Fanout(call, timeout=60))
        every = pb.FanoutCall(grid="g", type="entity", message="Get", json='{"key":"n"}', all=True)
        stalled = [data.Fanout(every) for _ in range(4)]
        for answers in stalled:
            next(answers)
        time.sleep(1)
        server.afdg("topic", "create", "meanwhile")
        begun = time.monotonic()
        assert server.stop() == 0
        took = time.monotonic() - begun
        assert took < 30, f"the end of the node took {took:.1f} s"


if __name__ == "__main__":
    sys.exit(harness.run_cases(requests, usage, taken, deployed, overload, unread))
