#!/usr/bin/python3
"""Damage of each kind of file of a stopped or killed node: what `verify` says, what a start does, and that the data are right.

One node is filled once; each case damages a copy of its directory.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

import harness

CITY = '{"key":"city"}'
FLAGS = ("--journal-bytes", str(8 << 20))
model = {}


def fill(folder):
    """Two nodes' directories, to be copied: one stopped in order, one killed."""
    for name in ("stopped", "killed"):
        server = harness.Server(folder / name, *FLAGS).start()
        server.afdg("grid", "create", "g", "--regions", 2)
        server.afdg("bench", "request", "--callers", 8, "--keys", 50, "--seconds", 1, "--rate", 3000, grid="g")
        for key in ("alice", "bob", "carol"):
            server.afdg("agent", "request", f"entity/{key}", "Put", '{"key":"city","value":"Paris"}', grid="g")
        if name == "killed":
            server.kill()
        else:
            assert server.stop() == 0, server.output()
        model[name] = server.data


def tree(folder):
    """Every name below the folder, with what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def copy(folder, base="stopped"):
    server = harness.Server(folder / "data", *FLAGS)
    subprocess.run(["cp", "-a", "--sparse=always", str(model[base]), str(server.data)], check=True)
    return server


def answers(server):
    """All that was acknowledged is there, and the node takes more."""
    for key in ("alice", "bob", "carol"):
        assert "Paris" in server.afdg("agent", "request", f"entity/{key}", "Get", CITY, grid="g").stdout, key
    server.afdg("agent", "request", "entity/dave", "Put", '{"key":"city","value":"Rome"}', grid="g")
    assert server.stop() == 0, server.output()
    code, text = server.verify()
    assert code == 0, f"verify after the start: {text}"


def faulty(server):
    """One region says that it is damaged and answers so; the other goes on."""
    shown = server.afdg("region", "list", grid="g").stdout
    assert "faulty" in shown and "running" in shown, shown
    codes = set()
    for n in range(8):
        done = server.afdg("agent", "request", f"entity/new{n}", "Increment", '{"key":"n","by":1}', "-o", "json", grid="g", check=None)
        codes.add(harness.loads(done.stderr)["error"]["code"] if done.returncode else "kOk")
    assert codes == {"kOk", "kCorrupt"}, codes
    assert server.stop() == 0, server.output()


def found_by_reading(server):
    """An orderly stopped log is not read through at the start (that takes as long as the log is large). Whoever reads the damaged
    batch gets the error and no wrong byte; from then on the partition is faulty and its region says so."""
    for key in ("alice", "bob", "carol"):
        assert "Paris" in server.afdg("agent", "request", f"entity/{key}", "Get", CITY, grid="g").stdout, key
    done = server.afdg("topic", "consume", "g.changes", "-p", 0, "-e", "-f", "%o\\n", "-o", "json", check=None)
    error = harness.loads(done.stderr)["error"]
    assert error["code"] == "kCorrupt" and ".log" in error["text"], done.stderr
    server.afdg("topic", "consume", "g.changes", "-p", 1, "-e", "-f", "%o\\n")
    faulty(server)


def flip(at=0.5):
    """A byte is changed, at a part of the file's length or at a position."""
    def change(path):
        data = bytearray(path.read_bytes())
        data[int(len(data) * at) if isinstance(at, float) else at] ^= 0x5A
        path.write_bytes(data)
    return change


def record_flipped(path):
    """A byte of a record in the middle of a segment. Not of a batch's leader epoch: the CRC does not cover that (a leader sets it)."""
    data = path.read_bytes()
    at = 0
    while at + 12 + int.from_bytes(data[at + 8:at + 12], "big") < len(data) // 2:
        at += 12 + int.from_bytes(data[at + 8:at + 12], "big")
    flip(at + 61)(path)


def intact(path):
    """No damage: what is recovered after a kill must be sound, and verify before it changes nothing."""


def cut(part=0.5):
    # An odd length, so that it never ends with a whole entry of an index.
    return lambda path: os.truncate(path, int(path.stat().st_size * part) | 1)


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace(old, new):
    def change(path):
        data = path.read_bytes()
        assert old in data, f"{path} does not hold {old!r}"
        path.write_bytes(data.replace(old, new, 1))
    return change


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def journal_version(path):
    """The journal's header says version 2, with the CRC that belongs to it."""
    with open(path, "r+b") as file:
        head = bytearray(file.read(24))
        head[12:14] = b"\0\2"
        head[8:12] = crc32c(head[12:24]).to_bytes(4, "big")
        file.seek(0)
        file.write(head)


def commits(path):
    """Positions of a journal's commits, by their numbers. Older laps may have left some."""
    data = path.read_bytes()
    return [at for _, at in sorted((int.from_bytes(data[at + 24:at + 32], "big"), at)
                                   for at in range(4096, len(data), 4096) if data[at:at + 4] == b"AJF1")]


def journal_middle(path):
    """Damage in a commit that others follow."""
    flip(commits(path)[-5] + 100)(path)


def journal_tail(path):
    """The last commit is torn."""
    flip(commits(path)[-1] + 70)(path)


# base, file, damage, verify: (code, word), start: (code, word); a start with 0 must then pass `after`.
G = "log/topics/g.changes-0/"
CASES = [
    ("stopped", G + "*.log", record_flipped, (4, "damaged"), (0, ""), found_by_reading),
    ("stopped", G + "*.log", cut(), (4, "damaged"), (0, ""), faulty),
    ("stopped", G + "*.log", remove, (4, "missing"), (0, ""), faulty),
    ("stopped", G + "*.index", flip(), (0, "derived"), (0, ""), answers),
    ("stopped", G + "*.index", cut(0.51), (0, "derived"), (0, ""), answers),
    ("stopped", G + "*.index", remove, (0, "derived"), (0, ""), answers),
    ("stopped", G + "*.timeindex", flip(), (0, ""), (0, ""), answers),
    ("stopped", G + "*.timeindex", cut(0.51), (0, ""), (0, ""), answers),
    ("stopped", G + "*.timeindex", remove, (0, "derived"), (0, ""), answers),
    ("stopped", G + "leader-epoch-checkpoint", flip(), (0, "derived"), (0, ""), answers),
    ("stopped", G + "leader-epoch-checkpoint", cut(), (0, "derived"), (0, ""), answers),
    ("stopped", G + "leader-epoch-checkpoint", remove, (0, "derived"), (0, ""), answers),
    ("stopped", G + "leader-epoch-checkpoint", replace(b"0\n", b"7\n"), (4, "newer"), (4, "newer"), None),
    ("stopped", G + "partition.metadata", flip(), (4, "damaged"), (0, ""), faulty),
    ("stopped", G + "partition.metadata", remove, (4, "missing"), (0, ""), faulty),
    ("stopped", G + "partition.metadata", replace(b"version: 0", b"version: 1"), (4, "newer"), (4, "newer"), None),
    ("stopped", G[:-1], remove, (4, "missing"), (0, ""), faulty),
    ("stopped", "log/journal", flip(9), (4, "journal"), (4, "journal"), None),
    ("stopped", "log/journal", remove, (4, "missing"), (4, "missing"), None),
    ("stopped", "log/journal", journal_version, (4, "newer"), (4, "newer"), None),
    ("killed", "log/journal", intact, (0, "verify ok"), (0, ""), answers),
    ("killed", "log/journal", journal_middle, (4, "journal"), (4, "journal"), None),
    ("killed", "log/journal", journal_tail, (0, "unsynced"), (0, ""), None),
    ("stopped", "log/recovery-point", flip(), (4, "recovery-point"), (4, "recovery-point"), None),
    ("stopped", "log/recovery-point", cut(), (4, "recovery-point"), (4, "recovery-point"), None),
    ("stopped", "log/recovery-point", remove, (4, "missing"), (4, "missing"), None),
    ("stopped", "log/partitions", flip(), (4, "partitions"), (4, "partitions"), None),
    ("stopped", "log/partitions", remove, (4, "missing"), (4, "missing"), None),
    ("stopped", "log/reserve", remove, (0, ""), (0, ""), answers),
    ("stopped", "log", remove, (4, "log"), (4, "log"), None),
    ("stopped", "store", remove, (0, "builds it"), (0, ""), answers),
    ("stopped", "store/*.sst", flip(), (4, "store"), (0, ""), answers),
    ("stopped", "store/*.sst", cut(), (4, "store"), (0, ""), answers),
    ("stopped", "store/*.sst", remove, (4, "store"), (0, ""), answers),
    ("stopped", "store/MANIFEST*", flip(), (4, "store"), (0, ""), answers),
    ("stopped", "store/CURRENT", remove, (4, "store"), (0, ""), answers),
    ("stopped", "catalog", remove, (0, "catalog   none"), (4, "catalog"), None),
    ("stopped", "catalog/*.log", flip(), (4, "catalog"), (4, "catalog"), None),
    ("stopped", "catalog/*.log", cut(), (4, "catalog"), (4, "catalog"), None),
    ("stopped", "catalog/*.log", remove, (4, "catalog"), (4, "catalog"), None),
    ("stopped", "catalog/MANIFEST*", flip(), (4, "catalog"), (4, "catalog"), None),
    ("stopped", "catalog/CURRENT", cut(), (4, "catalog"), (4, "catalog"), None),
    ("stopped", "node", flip(), (4, "node"), (4, "node"), None),
    ("stopped", "node", cut(), (4, "node"), (4, "node"), None),
    ("stopped", "node", remove, (2, "node"), (4, "node"), None),
    ("stopped", "node", replace(b"afdg-node 1", b"afdg-node 2"), (4, "newer"), (4, "newer"), None),
    ("stopped", "lock", remove, (0, ""), (0, ""), answers),
    ("stopped", "running", flip(0), (0, ""), (0, ""), answers),
    ("stopped", "running", cut(), (0, ""), (0, ""), answers),
    ("stopped", "running", remove, (0, ""), (0, ""), answers),
]


def run(row):
    base, pattern, damage, (verify_code, verify_word), (start_code, start_word), after = row
    with harness.scratch() as folder:
        server = copy(folder, base)
        found = sorted(server.data.glob(pattern), key=lambda path: path.stat().st_size)
        assert found, f"no file {pattern}"
        damage(found[-1])
        before = tree(server.data)
        code, text = server.verify()
        assert tree(server.data) == before, "verify changed the directory"
        assert code == verify_code and verify_word in text, f"verify: exit {code}, not {verify_code} with '{verify_word}': {text}"
        server.start(wait=False)
        if start_code == 0:
            server.wait_ready()
            after(server) if after else server.kill()
            return
        code = server.process.wait(30)
        text = server.output()
        assert code == start_code and start_word in text, f"start: exit {code}, not {start_code} with '{start_word}': {text}"
        assert str(server.data) in text, f"the sentence names no file: {text}"


def outcome(row):
    """Nothing, or what was not as it must be."""
    try:
        run(row)
    except Exception as error:  # the other cases go on
        return f"{row[1]} {getattr(row[2], '__qualname__', '')} ({row[0]}): {error}".replace(".<locals>", "")


def each_kind(folder):
    """each kind of file damaged, cut, missing or newer"""
    fill(folder)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        problems = [problem for problem in pool.map(outcome, CASES) if problem]
    print(f"         {len(CASES)} cases")
    assert not problems, f"{len(problems)} cases:\n" + "\n".join(problems)


if __name__ == "__main__":
    sys.exit(harness.run_cases(each_kind))
