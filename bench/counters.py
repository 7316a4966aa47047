#!/usr/bin/python3
"""What a request costs in countable things, which do not wander as seconds do, against the limits of limits.json.

    tools/dev bench counters [--bin DIR] [--seconds 2]

Exit code 1 when one is past its limit.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import lab

FOLDER = pathlib.Path(__file__).resolve().parent


def region_core(bin_folder):
    """The core alone: every turn writes one value of one agent."""
    done = subprocess.run([bin_folder / "region_core_bench", "200000", "20000", "1"], check=True, capture_output=True, text=True)
    row = json.loads(done.stdout)
    return {"core_allocations_per_turn": row["allocations_per_turn"], "core_log_bytes_per_turn": row["log_bytes_per_turn"],
            "core_turns_per_append": row["turns_per_append"]}


def scenario(node, seconds, callers, in_flight, *more):
    """The bench's own figures, and by how much each metric of the server grew in it."""
    before = node.metrics()
    row = node.bench(1000, seconds, callers, in_flight, *more)
    after = node.metrics()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    return row, grown


def single(node, seconds):
    """Voluntary context switches of server and client for each request of one blocking caller, from the middle of a run."""
    client = subprocess.Popen(node.command(*node.bench_words(1000, seconds + 1, 1, 1, "--threads")), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(0.7)
    pids = [node.process.pid, client.pid]
    before, turns_before = sum(map(lab.switches, pids)), node.metrics()["afdg_turns_total"]
    time.sleep(seconds)
    after, turns_after = sum(map(lab.switches, pids)), node.metrics()["afdg_turns_total"]
    client.wait(60)
    return (after - before) / max(1, turns_after - turns_before)


def measure(bin_folder, scratch, seconds):
    figures = region_core(bin_folder)
    node = lab.Node(bin_folder, scratch)
    node.start()
    try:
        node.create_grid()
        scenario(node, 0.5, 50, 32)  # brings the agents to life
        figures["switches_per_single_request"] = single(node, seconds)
        row, grown = scenario(node, seconds, 50, 1)
        figures["async_messages_per_client_write"] = row["messages_per_write"]
        figures["async_turns_per_commit"] = grown["afdg_turns_total"] / grown["afdg_commits_total"]
        row, grown = scenario(node, seconds, 50, 1, "--threads")
        figures["threads_messages_per_client_write"] = row["messages_per_write"]
        row, grown = scenario(node, seconds, 50, 32)
        figures["pipelined_turns_per_commit"] = grown["afdg_turns_total"] / grown["afdg_commits_total"]
        figures["pipelined_messages_per_server_write"] = grown["afdg_reply_messages_total"] / grown["afdg_reply_writes_total"]
        figures["pipelined_log_bytes_per_turn"] = grown["afdg_appended_bytes_total"] / grown["afdg_turns_total"]
        figures["pipelined_journal_bytes_per_log_byte"] = grown["afdg_journal_bytes_total"] / grown["afdg_appended_bytes_total"]
    finally:
        node.stop()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=lab.BIN)
    parser.add_argument("--seconds", type=float, default=2)
    args = parser.parse_args()
    limits = json.loads((FOLDER / "limits.json").read_text())
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="afdg-bench-"))
    try:
        figures = measure(args.bin, scratch, args.seconds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if set(figures) != set(limits):
        sys.exit(f"limits.json and the figures differ: {sorted(set(figures) ^ set(limits))}")
    past = 0
    for name, value in figures.items():
        (bound, limit), = limits[name].items()
        good = value <= limit if bound == "at_most" else value >= limit
        past += not good
        print(f"{'ok  ' if good else 'PAST'} {name:40} {value:10.2f}   {bound.replace('_', ' ')} {limit}")
    sys.exit(1 if past else 0)


if __name__ == "__main__":
    main()
