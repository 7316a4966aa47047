"""Where each client comes from and which command lets it judge. What is not on the machine comes from the registry of its language into build/judges."""
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "build/judges"
INSTALLING = 600  # seconds for one step
CODECS = ("python-snappy==0.7.3", "lz4==4.4.5", "zstandard", "crc32c==2.9.post0")


class Missing(Exception):
    """Why a client cannot be had."""


def installing(*command, cwd=None, **env):
    try:
        done = subprocess.run(command, cwd=cwd, env=dict(os.environ, **env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALLING)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise Missing(f"'{' '.join(command[:4])}' failed: {' '.join(lines[-2:])[:200]}")
    return done.stdout


def program(name, *packages):
    """The program, installed from the distribution if need be."""
    if not shutil.which(name):
        if os.environ.get("AFDG_NO_INSTALL") or os.geteuid() != 0:
            raise Missing(f"{name} is not installed (apt-get install {' '.join(packages)})")
        installing("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, DEBIAN_FRONTEND="noninteractive")
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


def rust():
    """The program of tests/judges/rust. It is built outside the tree: its lock file would name the registry."""
    home = CACHE / "rust"
    (home / "src").mkdir(parents=True, exist_ok=True)
    for file in ("Cargo.toml", "src/main.rs"):
        if not (home / file).exists() or (home / file).read_text() != (HERE / "rust" / file).read_text():
            (home / file).write_text((HERE / "rust" / file).read_text())
    installing(program("cargo", "cargo"), "build", "-q", "-j2", cwd=home)
    return [str(home / "target/debug/judge-rskafka")]


# name: (how to get its command, whether it belongs to the quick part)
CLIENTS = {
    "kcat": (kcat, True),
    "kafka-python-2.0.2": (lambda: kafka_python("2.0.2"), True),
    "kafka-python-3.0.12": (lambda: kafka_python("3.0.12"), True),
    "confluent-kafka": (confluent, True),
    "kafkajs": (kafkajs, False),
    "platformatic": (platformatic, False),
    "franz-go": (lambda: go("franz"), False),
    "sarama": (lambda: go("sarama"), False),
    "rskafka": (rust, False),
    "java-clients": (lambda: java("java_programs.py"), False),
    "kafka-programs": (lambda: java("java_tools.py"), False),
}
