#!/usr/bin/python3
"""The rules that the sources keep, each as a check: check.py NAME [--build DIR]. Prints what breaks the rule; exit 1."""

import argparse
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import headers  # noqa: E402
import layers  # noqa: E402
import project  # noqa: E402
import tables  # noqa: E402

LINES_MAX = 900
TEXT_SUFFIXES = (".h", ".cc", ".def", ".proto", ".py", ".sh", ".md", ".cmake", ".toml", ".txt", ".service", ".json")
URL_HOSTS = {
    "localhost", "127.0.0.1", "example.com", "www.apache.org", "kafka.apache.org", "cwiki.apache.org", "github.com",
    "datatracker.ietf.org", "www.rfc-editor.org", "grpc.io", "protobuf.dev", "www.w3.org", "json-schema.org",
    "www.transtats.bts.gov", "llvm.org", "ourairports.com",
}
URL = re.compile(r"\b(?:https?|git|ftp)://(?:[^/@\s]*@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+\.[A-Za-z0-9-]+|localhost)")
MACHINE = re.compile(r"(?<![\w.$}{>)*-])/(?:work|root|home|tmp|mnt|Users)/[\w.$-]|\bissues[ ]show\b|\.\./shared/")
UNDONE = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
# Folders of data and of generated files need no page of their own; every other top folder does.
NO_README = {".ci", ".github", "build"}


def check_format(root=project.ROOT, build=None):
    names = [name for name in project.files(root) if project.is_cpp(name)]
    problems = []
    for start in range(0, len(names), 40):
        done = subprocess.run(["clang-format-14", "--style=file", "--dry-run", "--ferror-limit=1", *names[start:start + 40]],
                              cwd=root, capture_output=True, text=True)
        if done.stderr:
            bad = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "-Wclang-format-violations" in line})
            problems += [f"{name} is not formatted: run tools/dev fmt" for name in bad]
            if not bad:
                problems.append(done.stderr.strip())
    return problems


def check_generated(root=project.ROOT, build=None):
    problems = []
    for generator in ("gen_errors.py", "gen_kafka.py", "gen_settings.py"):
        done = subprocess.run([sys.executable, str(root / "tools" / generator), "--check"], capture_output=True, text=True)
        if done.returncode != 0:
            problems.append(done.stderr.strip())
    return problems


def anchors(text):
    out = set()
    code = False
    for line in text.splitlines():
        if line.startswith("```"):
            code = not code
        if line.startswith("#") and not code:
            title = line.lstrip("#").strip().lower()
            out.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return out


def check_links(root=project.ROOT, build=None):
    problems = []
    for name in project.files(root):
        if not name.endswith(".md"):
            continue
        text = re.sub(r"```.*?```", "", project.text(name, root) or "", flags=re.DOTALL)
        for plain, image in LINK.findall(text):
            link = plain or image
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (root / name).parent / path if path else root / name
            if path.startswith("/") or not target.exists():
                problems.append(f"{name}: the link {link} leads nowhere")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
                problems.append(f"{name}: {link} names no heading of that page")
    return problems


def check_text(root=project.ROOT, build=None):
    problems = []
    names = project.files(root)
    for name in names:
        text = project.text(name, root) if not name.endswith(".csv") else None
        if text is None:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if UNDONE.search(line):
                problems.append(f"{name}:{number}: an unfinished-work mark; do it, or write it in docs/plan.md")
            if MACHINE.search(line) and not line.startswith("#!"):
                problems.append(f"{name}:{number}: a path or tool of one machine: {line.strip()[:80]}")
            for host in URL.findall(line):
                if host not in URL_HOSTS and name != "LICENSE":
                    problems.append(f"{name}:{number}: the address of {host} is not in the list of check.py")
        lines = text.count("\n")
        if name.endswith(TEXT_SUFFIXES) and lines > LINES_MAX:
            problems.append(f"{name} has {lines} lines; the limit is {LINES_MAX}")
        script = name.endswith(".sh") or text.startswith(("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "#!/usr/bin/bash"))
        if script:
            done = subprocess.run(["bash", "-n", str(root / name)], capture_output=True, text=True)
            if done.returncode != 0:
                problems.append(f"{name}: {done.stderr.strip()}")
        if name.endswith(".py"):
            try:
                compile(text, name, "exec")
            except SyntaxError as error:
                problems.append(f"{name}:{error.lineno}: {error.msg}")
        if text.startswith("#!") and not os.access(root / name, os.X_OK):
            problems.append(f"{name} starts with #! but may not be executed: chmod +x")
    folders = {name.split("/")[0] for name in names if "/" in name} - NO_README
    for folder in sorted(folders):
        if f"{folder}/README.md" not in names:
            problems.append(f"{folder}/ has no README.md")
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".ci/run"):
        if name not in names:
            problems.append(f"{name} is missing")
    return problems


def check_selftest(root=project.ROOT, build=None):
    import selftest
    return selftest.run()


CHECKS = {
    "layers": lambda root, build: layers.check(root),
    "headers": headers.check,
    "format": check_format,
    "generated": check_generated,
    "links": check_links,
    "text": check_text,
    "planted_bugs": tables.check_planted_bugs,
    "invariants": tables.check_invariants,
    "selftest": check_selftest,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(CHECKS))
    parser.add_argument("--build", type=pathlib.Path, help="the build directory, for checks that need one")
    arguments = parser.parse_args()
    problems = CHECKS[arguments.name](project.ROOT, arguments.build)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{arguments.name}: {f'{len(problems)} problems' if problems else 'good'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
