#!/usr/bin/python3
"""The flights demo as it is printed in the README; and with the planted bug, which it must find."""
import re
import subprocess
import sys

import harness


def demo(*flags):
    done = subprocess.run([str(harness.BIN / "flights_demo"), *flags], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=140)
    print(done.stdout, done.stderr, flush=True)
    return done


good = demo()
assert good.returncode == 0, f"exit {good.returncode}"
assert "RESULT   lost 0, counted twice 0" in good.stdout
assert "airport/PHX  departures 1302  arrivals 1313  delay 12168 min" in good.stdout
assert "59 airports asked at once: 59 ok" in good.stdout
assert "20,000 flights, 162,072 min, equal" in good.stdout
assert re.search(r"had happened \(stored answer\), [1-9]", good.stdout), "nothing was left to run after the kill"

bad = demo("--inject", "no-dedup")
assert bad.returncode == 1, f"the planted bug was not found: exit {bad.returncode}"
assert "FAIL" in bad.stdout and "RESULT   lost 0, counted twice 0" not in bad.stdout

wrong = demo("--no-such-flag")
assert wrong.returncode == 2 and "--no-such-flag" in wrong.stderr
