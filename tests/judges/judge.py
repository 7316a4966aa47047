"""What the judges written in Python share: the tasks' order, the records, one JSON line a task.

A script calls main() with functions named as in TASKS. Each returns nothing or a remark; an exception is a failure, Skip a skip.
"""
import json
import os
import signal
import socket
import struct
import sys
import time
import traceback
import uuid

TASKS = ("metadata", "create", "produce_none", "produce_gzip", "produce_snappy", "produce_lz4", "produce_zstd", "consume", "from_offset", "from_time",
         "idempotent", "unknown_topic", "group", "group_admin", "configs", "more_partitions", "delete_records", "delete")
RECORDS = 1000
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what a task started is ended, too
FIND_COORDINATOR = 10


class Skip(Exception):
    """What the client does not have; the reason."""


def address():
    if len(sys.argv) != 2 or ":" not in sys.argv[1]:
        sys.exit(f"usage: {sys.argv[0]} HOST:PORT")
    return sys.argv[1]


def new_topic():
    return "judge-" + uuid.uuid4().hex[:10]


def records(codec, count=RECORDS):
    """[(key, value, {header: value})]"""
    return [(f"key-{index % 50}", f"{codec}-{index}-" + "x" * (index % 100), {"codec": codec, "n": str(index)}) for index in range(count)]


def same(found, wanted):
    """Both hold the same (key, value, headers), each as often, in whatever order of partitions."""
    def sort(some):
        return sorted((key, value, tuple(sorted(headers.items()))) for key, value, headers in some)
    found, wanted = sort(found), sort(wanted)
    if found != wanted:
        missing = [one for one in wanted if one not in set(found)]
        raise AssertionError(f"{len(found)} records came, {len(wanted)} were sent; {len(missing)} are missing, the first is {missing[:1]}")


def advertised(where):
    """The API keys of a broker, asked without a library."""
    host, port = where.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
            got = connection.recv(65536)
            if not got:
                raise EOFError("the broker closed the connection")
            data += got
    count = struct.unpack_from(">i", data, 10)[0]
    return {struct.unpack_from(">h", data, 14 + 6 * index)[0] for index in range(count)}


def asked_for(task):
    """JUDGE_TASK names some, or is not set."""
    return task in os.environ.get("JUDGE_TASK", task).split(";")


def say(client, version, task, result, reason=""):
    print(json.dumps({"client": client, "version": version, "task": task, "result": result, "reason": reason}), flush=True)


def main(client, version, tasks, order=TASKS):
    """Runs the tasks that there are, in that order; returns the exit code. JUDGE_TASK names those to run, with ; between them."""
    unknown = set(tasks) - set(order)
    assert not unknown, f"no task is called {unknown}"
    keys = advertised(address())
    failed = 0
    for name in order:
        if name not in tasks or not asked_for(name):
            continue
        begun = time.monotonic()
        try:
            if name == "group" and FIND_COORDINATOR not in keys:
                raise Skip("no groups yet")
            remark = tasks[name]() or ""
            result = "ok"
        except Skip as reason:
            result, remark = "skipped", str(reason)
        except Exception as error:  # the next task is judged all the same
            if os.environ.get("JUDGE_TRACE"):
                traceback.print_exc()
            result, remark = "failed", f"{type(error).__name__}: {error}"[:400]
            failed += 1
        print(f"{client} {version} {name}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
        say(client, version, name, result, remark)
    return 1 if failed else 0
