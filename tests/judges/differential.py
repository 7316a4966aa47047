#!/usr/bin/python3
"""Sends the same valid and invalid requests to the real Kafka and to a server of ours, and compares the error codes.

usage: tests/judges/differential.py [--kafka HOST:PORT] [--ours HOST:PORT] [--recorded | --record] [--write-docs] [--case WORDS]
  --kafka, --ours  brokers that run already, without auto-created topics [one of each is started]
  --recorded       compares with what Kafka answered when it was recorded; so does a machine that cannot have Kafka
  --record         writes Kafka's answers to differential_kafka.json
  --write-docs     writes docs/kafka-differences.md
  --case WORDS     only the cases whose name has these words; prints all their answers
A difference must have its reason in differential_reasons.py, and a reason its difference; the recorded answers and the page must be those that
came. Exit 1 if one of this is not so.
"""
import argparse
import concurrent.futures
import contextlib
import importlib.machinery
import importlib.util
import json
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests/e2e")]
import clients  # noqa: E402
from differential_cases import CASES  # noqa: E402
from differential_reasons import REASONS  # noqa: E402
from differential_world import World  # noqa: E402

RECORDED = HERE / "differential_kafka.json"
PAGE = ROOT / "docs/kafka-differences.md"
AT_A_TIME = 16  # cases: a group of ours waits three seconds for more members
NAMES = {int(number): name for number, name in re.findall(r'AFDG_KAFKA_ERROR\(\w+, (-?\d+), \w+, "(\w+)"\)', (ROOT / "kafka/error_codes.def").read_text())}


def brokers():
    """tests/judges/run as a module: it starts both."""
    loader = importlib.machinery.SourceFileLoader("judges_run", str(HERE / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("judges_run", loader))
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def answers(address, names):
    """{case: its answers} of one broker."""
    world = World(address)

    def run(name):
        try:
            return CASES[name](world)
        except Exception as error:  # the other cases are judged all the same
            raise AssertionError(f"{name}, at {address}: {type(error).__name__}: {error}") from error

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        found = dict(zip(names, pool.map(run, names)))
    World(address)  # it still does all that a client wants
    return found


def readable(found):
    """Error codes by their names."""
    return ", ".join(NAMES.get(one, str(one)) if isinstance(one, int) else str(one) for one in found) or "no error code"


def page(differences):
    """The text of the page that lists {case: (Kafka's answer, ours)}."""
    same, apis = len(CASES) - len(differences), {}
    for name in differences:
        apis.setdefault(name.split(": ", 1)[0], []).append(name)
    reasons = list(dict.fromkeys(REASONS.values()))
    text = (f"# Where the answers differ from Kafka's\n\n<!-- Written by tests/judges/differential.py --write-docs, and checked by every run of it. -->\n\n"
            f"A test sends {len(CASES)} requests, valid and invalid, to Apache Kafka 4.3 and to a node, and compares the error codes, and the offsets and\n"
            f"states where they are what is asked for. {same} are answered alike. The other {len(differences)} are here, each with its reason; \"closed\" is an end of the\n"
            "connection, \"timeout\" no answer within seconds. A number is an offset, a count or the like.\n\n")
    for reason in reasons:
        here = [name for name in differences if REASONS.get(name) == reason]
        if here:
            text += f"**{reason}**\n\n| request | Kafka | here |\n|---|---|---|\n"
            text += "".join(f"| {name} | {readable(differences[name][0])} | {readable(differences[name][1])} |\n" for name in here) + "\n"
    return text.rstrip("\n") + "\n"


def kafkas(asked, names, run):
    """({case: answer}, they were recorded)"""
    if not asked.recorded:
        try:
            with contextlib.nullcontext((asked.kafka, "")) if asked.kafka else run.real(False) as (address, _):
                return answers(address, names), False
        except clients.Missing as reason:
            if asked.record:
                sys.exit(f"Kafka cannot be had: {reason}")
            print(f"# compared with the recorded answers, Kafka cannot be had: {reason}")
    recorded = json.loads(RECORDED.read_text())
    missing = [name for name in names if name not in recorded]
    if missing:
        sys.exit(f"no answer of Kafka to {missing[:5]} is recorded: run tests/judges/differential.py --record")
    return {name: recorded[name] for name in names}, True


def recording(found):
    return "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(codes)}" for name, codes in found.items()) + "\n}\n"


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kafka")
    asked.add_argument("--ours")
    asked.add_argument("--recorded", action="store_true")
    asked.add_argument("--record", action="store_true")
    asked.add_argument("--write-docs", action="store_true")
    asked.add_argument("--case")
    asked = asked.parse_args()
    if asked.case and (asked.record or asked.write_docs):
        sys.exit("--record and --write-docs need all cases: leave out --case")
    names = [name for name in CASES if asked.case is None or asked.case in name]
    run = brokers()
    begun = time.monotonic()
    there, recorded = kafkas(asked, names, run)
    print(f"# Kafka: {len(names)} cases{', recorded' if recorded else ''}, {time.monotonic() - begun:.1f} s", flush=True)
    if asked.record:
        RECORDED.write_text(recording(there))
    begun = time.monotonic()
    with contextlib.nullcontext((asked.ours, "")) if asked.ours else run.ours(False) as (address, _):
        here = answers(address, names)
    print(f"# ours: {len(names)} cases, {time.monotonic() - begun:.1f} s", flush=True)
    differences = {name: (there[name], here[name]) for name in names if there[name] != here[name]}
    problems = [f"{name}: Kafka answers {readable(wanted)}, we {readable(found)}, and differential_reasons.py has no reason"
                for name, (wanted, found) in differences.items() if name not in REASONS]
    problems += [f"{name}: answered as by Kafka, so take its reason out of differential_reasons.py" for name in names if name in REASONS and name not in differences]
    problems += [f"{name}: differential_reasons.py has a reason for it, but there is no such case" for name in REASONS if name not in CASES]
    if asked.case:
        for name in names:
            print(f"{name}: Kafka {readable(there[name])}; ours {readable(here[name])}")
    else:
        if not recorded and json.loads(RECORDED.read_text()) != there:
            old = json.loads(RECORDED.read_text())
            problems += [f"{name}: Kafka answers {there.get(name)}, recorded is {old.get(name)}: run tests/judges/differential.py --record"
                         for name in {**old, **there} if old.get(name) != there.get(name)]
        if asked.write_docs:
            PAGE.write_text(page(differences))
        elif PAGE.read_text() != page(differences):
            problems.append("docs/kafka-differences.md is not what was found: run tests/judges/differential.py --write-docs")
    for problem in problems:
        print(f"FAILED {problem}")
    print(f"{len(names)} cases: {len(names) - len(differences)} answered alike, {len(differences)} otherwise, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
