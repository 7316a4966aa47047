#!/usr/bin/python3
"""SIGKILLs the server under load, again and again, while an oracle outside keeps what was acknowledged.

Each worker owns some agents and counts up their counters one request at a time, every request under an id of its own, and retries
the same id until it is answered. So the n-th answer of a counter must be exactly n: less means that an acknowledged change was lost,
more that something was counted twice. A second kind of worker sends durable one-way messages; what was acknowledged must be there.
After every kill `verify` must find the stopped files sound.

    AFDG_CYCLES  how many kills (20; the nightly verb: 200)        AFDG_SEED  repeats the choice of moments
"""
import os
import random
import sys
import threading
import time

import grpc

import harness

CYCLES = int(os.environ.get("AFDG_CYCLES", "200" if os.environ.get("AFDG_NIGHTLY") else "20"))
SEED = int(os.environ.get("AFDG_SEED", str(random.randrange(1 << 30))))
WORKERS, AGENTS = 6, 20
pb, services = harness.stubs()


class Worker(threading.Thread):
    def __init__(self, number, server):
        super().__init__(daemon=True)
        self.number, self.server = number, server
        self.expected = {f"w{number}-{n}": 0 for n in range(AGENTS)}
        self.random = random.Random(SEED * 1000 + number)
        self.problems, self.answers, self.repeated = [], 0, 0
        self.stop = False
        self.send = number % 3 == 2  # one-way

    def run(self):
        options = [("grpc.max_reconnect_backoff_ms", 100), ("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20)]
        with grpc.insecure_channel(self.server.address, options=options) as channel:
            data = services.DataStub(channel)
            serial = 0
            while not self.stop and not self.problems:
                key = self.random.choice(list(self.expected))
                serial += 1
                call = pb.RequestCall(grid="g", type="entity", key=key.encode(), message="Increment",
                                      json='{"key":"n","by":1}', request_id=f"w{self.number}:{serial}")
                while True:  # until answered, also after stop was asked for: nothing may stay in doubt
                    try:
                        answer = (data.Send if self.send else data.Request)(call, timeout=5, wait_for_ready=True)
                        break
                    except grpc.RpcError as error:
                        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN,
                                            grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED):
                            time.sleep(0.01)
                            continue
                        self.problems.append(f"{key}: {error.code()} {error.details()}")
                        return
                self.expected[key] += 1
                self.answers += 1
                self.repeated += answer.repeated
                if not self.send:
                    value = int(harness.loads(answer.json)["value"])
                    if value != self.expected[key]:
                        self.problems.append(f"{key}: answer {value}, must be {self.expected[key]}")

    def check(self, data):
        for key, expected in self.expected.items():
            if expected == 0:
                continue
            deadline = time.monotonic() + 20  # a one-way message may still be on its way to its turn
            while True:
                answer = data.Request(pb.RequestCall(grid="g", type="entity", key=key.encode(), message="Get", json='{"key":"n"}'), timeout=10)
                value = int(harness.loads(answer.json).get("value") or 0)
                if value == expected or time.monotonic() > deadline or not self.send:
                    break
                time.sleep(0.05)
            if value != expected:
                self.problems.append(f"{key}: holds {value}, acknowledged were {expected}")


def main():
    print(f"repeat with AFDG_SEED={SEED} AFDG_CYCLES={CYCLES}", flush=True)
    moments = random.Random(SEED)
    problems = []
    with harness.scratch() as folder:
        server = harness.Server(folder / "data").start()
        server.afdg("grid", "create", "g", "--regions", 4)
        workers = [Worker(number, server) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        for cycle in range(CYCLES):
            time.sleep(moments.uniform(0.05, 0.8))
            server.kill()
            code, text = server.verify()
            if code != 0:
                problems.append(f"cycle {cycle}: verify exit {code}: {text[-2000:]}")
                break
            server.start()
            if any(worker.problems for worker in workers):
                break
        for worker in workers:
            worker.stop = True
        for worker in workers:
            worker.join(60)
            if worker.is_alive():
                problems.append(f"worker {worker.number} never got its answer")
        with grpc.insecure_channel(server.address) as channel:
            for worker in workers:
                worker.check(services.DataStub(channel))
                problems += worker.problems
        server.stop()
        code, text = server.verify()
        if code != 0:
            problems.append(f"verify after the clean stop: exit {code}: {text[-2000:]}")
        answers, repeated = sum(w.answers for w in workers), sum(w.repeated for w in workers)
        print(f"{CYCLES} kills, {answers} answers, {repeated} of them stored answers of requests that had happened")
        if answers < CYCLES:
            problems.append("too few answers: the load did not run")
        if problems:
            print(f"server log: {server.output()[-3000:]}")
    for problem in problems:
        print(f"FAILED {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
