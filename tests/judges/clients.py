"""Where each client comes from and which command lets it judge. What is not on the machine comes from the registry of its language into build/judges."""
import dataclasses
import os
import pathlib
import shutil
import subprocess
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "build/judges"
INSTALLING = 600  # seconds for one step
installing_until = None  # the time (monotonic) when nothing is to be installed any more
CODECS = ("python-snappy==0.7.3", "lz4==4.4.5", "zstandard", "crc32c==2.9.post0")


class Missing(Exception):
    """Why a client cannot be had."""


def installing(*command, cwd=None, **env):
    left = INSTALLING if installing_until is None else min(INSTALLING, installing_until - time.monotonic())
    if left <= 0:
        raise Missing("the time for installing is used up: run tests/judges/run once without --quick")
    try:
        done = subprocess.run(command, cwd=cwd, env=dict(os.environ, **env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=left)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise Missing(f"'{' '.join(command[:4])}' failed: {' '.join(lines[-2:])[:200]}")
    return done.stdout


def package_of(*packages, what):
    """Installs packages of the distribution, for something that is missing."""
    if os.environ.get("AFDG_NO_INSTALL") or os.geteuid() != 0:
        raise Missing(f"{what} is not installed (apt-get install {' '.join(packages)})")
    installing("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, DEBIAN_FRONTEND="noninteractive")


def program(name, *packages):
    """The program, installed from the distribution if need be."""
    if not shutil.which(name):
        package_of(*packages, what=name)
    return shutil.which(name)


def python_with(folder, *packages):
    """The Python of a virtual environment that has these packages."""
    home = CACHE / folder
    mark = home / ".installed"
    wanted = " ".join(packages)
    if not mark.exists() or mark.read_text() != wanted:
        if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], capture_output=True).returncode != 0:
            program("no-such-program", "python3-venv")
        installing("/usr/bin/python3", "-m", "venv", "--clear", str(home))
        installing(str(home / "bin/pip"), "install", "-q", *packages)
        mark.write_text(wanted)
    return str(home / "bin/python")


def node_with(folder, script, *packages, oldest=12):
    """The command that runs a script of ours where Node finds these packages."""
    node = program("node", "nodejs")
    version = installing(node, "--version").strip()
    if int(version[1:].split(".")[0]) < oldest:
        raise Missing(f"it needs Node {oldest}; this machine has {version}")
    home = CACHE / folder
    mark = home / ".installed"
    wanted = " ".join(packages)
    if not mark.exists() or mark.read_text() != wanted:
        npm = program("npm", "npm", "nodejs")
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')
        installing(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages, cwd=home)
        mark.write_text(wanted)
    return ["env", f"JUDGE_MODULES={home}", node, str(HERE / script)]


def kcat():
    program("kcat", "kcat")
    return ["/usr/bin/python3", str(HERE / "kcat.py")]


def kafka_python(version):
    return [python_with(f"kafka-python-{version}", f"kafka-python=={version}", *CODECS), str(HERE / "kafka_python.py")]


def confluent():
    return [python_with("confluent-kafka", "confluent-kafka==2.16.1"), str(HERE / "confluent.py")]


def kafkajs():
    return node_with("kafkajs", "kafkajs.mjs", "kafkajs@2.2.4", "kafkajs-snappy@1.1.0", "@platformatic/wasm-utils@0.2.1", "@bokuweb/zstd-wasm@0.0.27")


def platformatic():
    return node_with("platformatic", "platformatic.mjs", "@platformatic/kafka@1.35.0", oldest=20)


def java(script):
    program("java", "default-jdk-headless")
    program("mvn", "maven", "default-jdk-headless")
    installing(str(ROOT / "tests/peers/kafka"), "fetch")
    return ["/usr/bin/python3", str(HERE / script)]


def go(name):
    """A program of tests/judges/go, with the modules that its go.mod and go.sum pin."""
    tool = program("go", "golang-go")
    built = CACHE / "go" / name
    installing(tool, "build", "-mod=readonly", "-p", "2", "-o", str(built), f"./{name}", cwd=HERE / "go", GOTOOLCHAIN="local", GOFLAGS="")
    return [str(built)]


def streams():
    command = java("streams.py")
    version = os.environ.get("KAFKA_VERSION", "4.3.0")
    home = CACHE / f"streams-{version}"
    if not (home / ".done").exists():
        installing("mvn", "-q", "-B", "-f", str(HERE / "streams/pom.xml"), f"-Dkafka.version={version}", "dependency:copy-dependencies", f"-DoutputDirectory={home}/libs")
        (home / ".done").touch()
    return ["env", f"JUDGE_STREAMS={home / 'libs'}", *command]


def librdkafka(*arguments):
    """librdkafka's suite, built from the distribution's source package; its lists of sources are kept apart from the machine's own."""
    java("librdkafka.py")  # some entries start Kafka's kafka-topics.sh
    home = CACHE / "librdkafka"
    built = home / "sources/tests/test-runner"
    if not built.exists():
        for header, package in (("rapidjson/document.h", "rapidjson-dev"), ("zlib.h", "zlib1g-dev"), ("zstd.h", "libzstd-dev"), ("lz4.h", "liblz4-dev")):
            if not pathlib.Path("/usr/include", header).exists():
                package_of(package, what=header)
        program("dpkg-source", "dpkg-dev")
        shutil.rmtree(home, ignore_errors=True)
        (home / "lists/partial").mkdir(parents=True)
        (home / "parts").mkdir()
        binary = [file for file in pathlib.Path("/etc/apt/sources.list.d").glob("*.sources")]
        if not binary:
            raise Missing("the distribution's sources are not described in the deb822 format")
        for file in binary:
            (home / "parts" / file.name).write_text(file.read_text().replace("Types: deb\n", "Types: deb-src\n"))
        apart = ["-o", "Dir::Etc::SourceList=/dev/null", "-o", f"Dir::Etc::SourceParts={home}/parts", "-o", f"Dir::State::Lists={home}/lists",
                 "-o", f"Dir::Cache={home}", "-o", "APT::Sandbox::User=root"]
        installing("apt-get", *apart, "-q", "update")
        installing("apt-get", *apart, "-q", "source", "--download-only", "librdkafka=2.0.2-1", cwd=home)
        installing("dpkg-source", "--no-check", "-x", "librdkafka_2.0.2-1.dsc", "sources", cwd=home)
        installing("./configure", "--disable-sasl", "--disable-ssl", "--disable-curl", cwd=home / "sources")
        installing("make", "-j2", "libs", cwd=home / "sources")
        installing("make", "-j2", "-C", "tests", "test-runner", cwd=home / "sources")
    return ["env", f"JUDGE_LIBRDKAFKA={home / 'sources'}", "/usr/bin/python3", str(HERE / "librdkafka.py"), *arguments]


def rust():
    """The program of tests/judges/rust. It is built outside the tree: its lock file would name the registry."""
    home = CACHE / "rust"
    (home / "src").mkdir(parents=True, exist_ok=True)
    for file in ("Cargo.toml", "src/main.rs"):
        if not (home / file).exists() or (home / file).read_text() != (HERE / "rust" / file).read_text():
            (home / file).write_text((HERE / "rust" / file).read_text())
    installing(program("cargo", "cargo"), "build", "-q", "-j2", cwd=home)
    return [str(home / "target/debug/judge-rskafka")]


@dataclasses.dataclass(frozen=True)
class Client:
    command: typing.Callable  # how to get the command that lets it judge; the broker's address is its last argument
    quick: tuple = ()  # the tasks of the quick part; EVERY: all
    auto_create: bool = True  # its broker makes a topic that is asked for
    prepared: typing.Callable = lambda: True  # whether it is built here; the quick part does not build what takes minutes


EVERY = ("every task",)
SHORT = ("metadata", "create", "produce_none", "produce_gzip", "produce_snappy", "produce_lz4", "produce_zstd", "consume", "group", "delete")
PROGRAMS = ("BrokerApiVersionsCommand", "TopicCommand", "VerifiableProducer", "VerifiableConsumer", "ConsumerGroupCommand", "TopicCommand --delete")
ENTRIES = ("0012_produce_consume", "0017_compression", "0018_cgrp_term", "0030_offset_commit", "0090_idempotence", "0130_store_offsets")


def has(path):
    return lambda: (CACHE / path).exists()


CLIENTS = {
    "kcat": Client(kcat, quick=EVERY),
    "kafka-python-2.0.2": Client(lambda: kafka_python("2.0.2"), quick=EVERY),
    "kafka-python-3.0.12": Client(lambda: kafka_python("3.0.12"), quick=EVERY),
    "confluent-kafka": Client(confluent, quick=EVERY),
    "kafkajs": Client(kafkajs, quick=SHORT),
    "platformatic": Client(platformatic, quick=SHORT),
    "franz-go": Client(lambda: go("franz"), quick=SHORT),
    "sarama": Client(lambda: go("sarama"), quick=SHORT),
    "rskafka": Client(rust, quick=SHORT, prepared=has("rust/target/debug/judge-rskafka")),
    "java-clients": Client(lambda: java("java_programs.py"), quick=SHORT),
    "kafka-programs": Client(lambda: java("java_tools.py"), quick=PROGRAMS),
    "kafka-streams": Client(streams),
    "librdkafka": Client(librdkafka, quick=ENTRIES, prepared=has("librdkafka/sources/tests/test-runner")),
    "librdkafka-no-auto-create": Client(lambda: librdkafka("--no-auto-create"), auto_create=False),
}
