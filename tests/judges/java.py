"""Runs the programs that Apache Kafka ships, for the judges: tests/peers/kafka fetches them and starts a JVM for each."""
import os
import pathlib
import re
import subprocess

PEER = pathlib.Path(__file__).resolve().parents[1] / "peers/kafka"
VERSION = os.environ.get("KAFKA_VERSION", "4.3.0")
# These programs live for a second: C2 and a parallel collector would only cost.
ENVIRONMENT = dict(os.environ, KAFKA_HEAP="256m", JDK_JAVA_OPTIONS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


def name_of(program):
    return program if program.startswith("kafka.") else f"org.apache.kafka.tools.{program}"


def run(program, *arguments, input=None, check=True, seconds=90, temporary=None):
    env = dict(ENVIRONMENT)
    if temporary:
        env["JDK_JAVA_OPTIONS"] += f" -Djava.io.tmpdir={temporary}"
    done = subprocess.run([str(PEER), "tool", name_of(program), *arguments], input=input, stdin=subprocess.DEVNULL if input is None else None,
                          capture_output=True, text=True, timeout=seconds, env=env)
    done.stderr = re.sub(r"NOTE: Picked up JDK_JAVA_OPTIONS.*\n", "", done.stderr)
    if check and done.returncode != 0:
        said = (done.stderr + done.stdout).strip()
        why = [line for line in said.splitlines() if re.search(r"(Exception|Error)\b.*: ", line)] or [said]
        raise AssertionError(f"{program}: exit {done.returncode}: {why[-1][-300:]}")
    return done
