#!/usr/bin/python3
"""docs/kafka.md, as a reader follows it: its commands and programs run as they stand there, but for ports, folders and the name of a machine; and
its list of what is missing holds every API key and version that Kafka has and the node has not."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import zipfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "judges")]
import clients
import harness

PAGE = harness.ROOT / "docs/kafka.md"
KAFKA = "4.3.0"
JARS = pathlib.Path(os.environ.get("AFDG_PEERS", pathlib.Path.home() / ".cache/afdg-peers")) / f"kafka-{KAFKA}/libs"

# What each command of the page prints: the first pattern that its text matches says so. One that nobody expects fails the test.
EXPECTED = (
    (r"kcat .*-P -t", r"\A\Z"),
    (r"kcat .*-[CG] ", r"(?m)^hello$"),
    (r"kcat .*-L", r"broker 1 at 127\.0\.0\.2:{port}\b"),
    (r"afdg topic create orders", r"orders"),
    (r"afdg topic produce orders", r"\A\d@1\n\Z"),  # behind the record that kcat put there, so it is the same partition
    (r"afdg grid create shop", r"shop"),
    (r"afdg -g shop agent show", r"(?s)(?=.*name.*Ada)(?=.*visits.*{visits})"),
)
IN_A_PROGRAM = """import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;
public class Snippet {{
  public static void main(String[] args) throws Exception {{
    try (var producer = new KafkaProducer<>(java.util.Map.<String, Object>of("bootstrap.servers", "127.0.0.1:9092"), new StringSerializer(), new StringSerializer())) {{
      {}
    }}
  }}
}}
"""


def blocks(text):
    """[(language, code)] of a page; what is indented is shell."""
    out, language = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            language = None if language else line[3:] or "text"
            if language:
                out.append((language, ""))
        elif language:
            out[-1] = (language, out[-1][1] + line + "\n")
        elif line.startswith("    "):
            if not out or out[-1][0] != "sh" or not previous.startswith("    "):
                out.append(("sh", ""))
            out[-1] = ("sh", out[-1][1] + line[4:] + "\n")
        previous = line
    return out


class Reader:
    """Who follows the page."""

    def __init__(self, folder):
        self.folder, self.port, self.server, self.visits = folder, harness.free_port(), None, 0
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "afdg").symlink_to(harness.BIN / "afdg")
        self.env = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}")

    def here(self, text):
        for written, meant in ((r"\b(127\.0\.0\.1|0\.0\.0\.0):9092", rf"\1:{self.port}"), (r"log\.example\.net:9092", f"127.0.0.2:{self.port}"),
                               (r"/var/lib/afdg\b", str(self.folder / "data"))):
            text = re.sub(written, meant, text)
        return text

    def start(self, line):
        words = self.here(line).split()
        assert words[0] == "afdgd" and words[1:3] == ["--data", str(self.folder / "data")] and words[-1] == "&", line
        if self.server:
            assert self.server.stop() == 0, self.server.output()
        self.server = harness.Server(self.folder / "data", *words[3:-1])
        if "--kafka" not in words:
            self.server.kafka = f"127.0.0.1:{self.port}"
        else:
            self.server.kafka = self.server.extra.pop(self.server.extra.index("--kafka") + 1)
            self.server.extra.remove("--kafka")
        self.server.start()
        self.env["AFDG_SERVER"] = self.server.address

    def command(self, line):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", self.here(line)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=self.env)
        assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def shell(self, line):
        if line.startswith("afdgd "):
            return self.start(line)
        wanted = next((pattern for command, pattern in EXPECTED if re.search(command, line)), None)
        assert wanted is not None, f"the test does not say what this prints: {line}"
        self.visits += "afdg-message=Increment" in line
        wanted = wanted.replace("{port}", str(self.port)).replace("{visits}", str(self.visits))
        end = time.monotonic() + (15 if "agent show" in line else 0)  # a message takes effect a moment after it is stored
        while not re.search(wanted, out := self.command(line)):
            assert time.monotonic() < end, f"{line}\nprints {out!r}, which lacks '{wanted}'"
            time.sleep(0.1)
        print(f"         $ {line}", flush=True)

    def program(self, command, file, code, wanted):
        (self.folder / file).write_text(self.here(code))
        done = subprocess.run([*command, str(self.folder / file)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0 and re.search(wanted, done.stdout), f"{file}: exit {done.returncode}\n{done.stdout}{done.stderr[-2000:]}"
        print(f"         {file}", flush=True)


def walk(folder):
    """every command and program of the page does what it says"""
    try:
        clients.program("kcat", "kcat")
    except clients.Missing as reason:
        raise harness.Skip(reason) from reason
    reader, seen = Reader(folder), []
    try:
        for language, code in blocks(PAGE.read_text()):
            seen.append(language)
            try:
                if language == "sh":
                    for line in code.splitlines():
                        reader.shell(line)
                elif language == "python":
                    python = clients.python_with("confluent-kafka", "confluent-kafka==2.16.1")
                    reader.program([python], "greetings.py", code, r"(?s)on the disk: greetings \[0\] @ \d+.*hello from Python")
                elif language == "java":
                    clients.java("java.py")
                    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", f"-Dlog4j2.configurationFile={JARS.parent}/log4j2.properties"]
                    if "class" in code:
                        reader.program(command, "Greetings.java", code, r"(?s)on the disk: greetings-0@\d+.*java: hello from Java")
                    else:
                        reader.program(command, "Snippet.java", IN_A_PROGRAM.format(code), r"")
                        reader.visits += 1
                        reader.shell("afdg -g shop agent show entity/ada")
                else:
                    raise AssertionError(f"nobody runs what the page shows in {language}")
            except clients.Missing as reason:
                print(f"         SKIPPED: {language}: {reason}", flush=True)
        assert seen.count("sh") >= 4 and seen.count("java") == 2 and seen.count("python") == 1, seen
        assert reader.server.stop() == 0, reader.server.output()
        code, text = reader.server.verify()
        assert code == 0, text
    finally:
        if reader.server and reader.server.process.poll() is None:
            reader.server.kill()


def numbers(text):
    """The numbers of '24 to 28, 65': {24, 25, 26, 27, 28, 65}"""
    out = set()
    for first, last in re.findall(r"(\d+)(?: to (\d+))?", text):
        out |= set(range(int(first), int(last or first) + 1))
    return out


def spoken():
    """{name: (key, highest version)}, of kafka/api.def"""
    found = re.findall(r"^AFDG_KAFKA_API\((\w+), (\d+), \d+, \d+, (\d+),", (harness.ROOT / "kafka/api.def").read_text(), re.M)
    return {name: (int(key), int(highest)) for name, key, highest in found}


def real():
    """The same of the real Kafka: its clients' own description of the protocol."""
    jar = JARS / f"kafka-clients-{KAFKA}.jar"
    if not jar.exists():
        raise harness.Skip(f"Kafka's clients are not here: run tests/peers/kafka fetch ({jar})")
    out = {}
    with zipfile.ZipFile(jar) as files:
        for file in files.namelist():
            if file.endswith("Request.json"):
                one = json.loads(re.sub(r"(?m)^\s*//.*$", "", files.read(file).decode()))
                versions = re.findall(r"\d+", one["validVersions"])
                out[one["name"].removesuffix("Request")] = (one["apiKey"], int(versions[-1]) if versions else -1)
    return out


def the_list(_):
    """what the page says is missing is what Kafka's protocol has and the node has not"""
    text = PAGE.read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text[text.index("## What is missing yet"):].splitlines() if line.startswith("| ")]
    missing = set()
    for row in rows[1:]:
        assert len(row) == 3 and not missing & numbers(row[1]), row
        missing |= numbers(row[1])
    ours = spoken()
    assert len(ours) > 30 and not missing & {key for key, _ in ours.values()}, "a key is said to be missing that is spoken"
    older = {}
    versions = next(row[0] for row in rows if row[0].startswith("Produce 12"))
    for part in versions.split(";"):
        for name in re.findall(r"[A-Z]\w+", part):
            older[name] = numbers(re.search(r"\d.*", part)[0])
    for name, newer in older.items():
        assert min(newer) == ours[name][1] + 1, f"{name}: {min(newer)} is said to be missing, and {ours[name][1]} is the highest that is spoken"
    theirs = real()
    assert missing | {key for key, _ in ours.values()} == {key for key, _ in theirs.values()}, missing ^ {key for key, _ in theirs.values()}
    behind = {name: set(range(ours[name][1] + 1, highest + 1)) for name, (_, highest) in theirs.items() if name in ours and highest > ours[name][1]}
    assert older == behind, f"the page says {older}, and it is {behind}"


if __name__ == "__main__":
    sys.exit(harness.run_cases(the_list, walk))
