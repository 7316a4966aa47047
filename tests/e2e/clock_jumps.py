#!/usr/bin/python3
"""The machine's wall clock jumps a day ahead, two days back, and the node restarts with it: what counts time by itself goes on, and no data is lost.

A preloaded library (probe/clock_shift.c) moves the server's wall clock alone; its monotonic clock, and the clients', go on as they are."""
import json
import struct
import subprocess
import sys
import time

import harness
from kafka_groups import kcat, member, wait_for

LIBRARY = harness.BIN.parent / "lib" / "libclock_shift.so"
DAY = 86400
JUMPS = (1, -2, 0, 40)  # days


def start(folder):
    clock = folder / "clock"
    clock.write_bytes(struct.pack("=q", 0))
    server = harness.Server(folder / "data", env={"LD_PRELOAD": str(LIBRARY), "CLOCK_SHIFT_FILE": str(clock)})
    server.kafka = f"127.0.0.1:{harness.free_port()}"
    server.start()

    def jump(days):
        with open(clock, "r+b") as file:
            file.write(struct.pack("=q", days * DAY))
        time.sleep(1.2)  # what looks each second has looked

    return server, jump


def skew(server):
    """Seconds that the server's wall clock is ahead, by the time that it gives a message."""
    server.afdg("agent", "request", "entity/clock", "Put", '{"key":"k","value":"v"}', grid="g")
    lines = server.afdg("topic", "consume", "g.messages", "-e", "-f", "%T %k\\n").stdout.splitlines()
    return int([line for line in lines if line.endswith(" clock")][-1].split()[0]) / 1000 - time.time()


def agents(folder):
    """requests, sessions and ids go on over each jump, and each takes effect once"""
    server, jump = start(folder)
    server.afdg("grid", "create", "g", "--regions", 2)
    add = lambda *more: int(json.loads(server.afdg("-o", "json", "agent", "request", "entity/a", "Increment", '{"key":"n","by":1}', *more, grid="g").stdout)["value"])
    load = subprocess.Popen([str(harness.BIN / "afdg"), "-s", server.address, "-g", "g", "-o", "json", "bench", "request", "--callers", "4", "--keys", "100",
                             "--rate", "500", "--seconds", "8s", "--warmup", "0s"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    assert add("--id", "first") == 1
    expected = 1
    for number, to in enumerate(JUMPS):
        jump(to)
        assert abs(skew(server) - to * DAY) < 60, f"{to} days: the clock was not moved: {skew(server)} s"
        expected += 1
        assert add("--id", f"after{number}") == expected, to
        assert add("--id", f"after{number}") == expected, f"{to}: the same id took effect again"
    out, err = load.communicate(timeout=60)
    done = json.loads(out)
    assert done["errors"] == 0 and done["operations"] > 1000, (done, err)
    # And a restart while the clock is behind what is stored.
    jump(-2)
    assert server.stop() == 0, server.output()
    assert server.verify()[0] == 0
    server.start()
    assert add() == expected + 1
    server.kill()
    code, text = server.verify()
    assert code == 0, text
    server.start()
    assert add() == expected + 2
    assert server.stop() == 0


def kafka(folder):
    """members of a group stay members, their offsets stay, and what was produced can be fetched, in order"""
    server, jump = start(folder)
    # (With CreateTime a server that is two days behind refuses what its clients stamp, as Kafka does.)
    server.afdg("topic", "create", "t", "-c", "message.timestamp.type=LogAppendTime")
    out = folder / "member.out"
    reader = member(server, "readers", "t", out)
    produced = 0

    def produce(count):
        nonlocal produced
        kcat(server, "-P", "-t", "t", text="".join(f"{n}\n" for n in range(produced, produced + count)))
        produced += count

    seen = lambda: [int(line.split()[1]) for line in out.read_text().splitlines()]
    try:
        produce(100)
        wait_for("the first records", lambda: len(seen()) == 100)
        for to in JUMPS[:3]:
            jump(to)
            produce(50)
            wait_for(f"records after {to}", lambda: len(seen()) == produced)
            group = json.loads(server.afdg("-o", "json", "group", "describe", "readers").stdout)
            assert len(group["members"]) == 1 and group["state"] == "Stable", (to, group)
        assert seen() == list(range(produced)), "a record came twice, or not in order"
    finally:
        reader.terminate()
        reader.wait(20)
    offsets = json.loads(server.afdg("-o", "json", "group", "describe", "readers").stdout)["offsets"]
    assert sum(int(o["committed"]) for o in offsets) == produced, offsets
    jump(-2)
    server.kill()
    server.start()
    produce(10)
    assert kcat(server, "-C", "-q", "-e", "-t", "t", "-o", "beginning", "-f", "%s\n") == [str(n) for n in range(produced)]
    assert server.stop() == 0
    code, text = server.verify()
    assert code == 0, text


if __name__ == "__main__":
    sys.exit(harness.run_cases(agents, kafka))
