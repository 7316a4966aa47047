"""Each header compiles on its own.

A header whose x.cc includes it first is proved by that file's own compilation. Every other one gets a translation unit
of one line. What compiled once is remembered by the hash of everything it includes from the project, in the build folder.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess

import layers
import project

COMPILER = os.environ.get("CXX", "g++")


def first_include(name, root):
    found = layers.INCLUDE.search(project.text(name, root) or "")
    return found.group(2) if found else None


def closure(name, root, build, seen):
    """The project's and the generated files that a header includes, itself among them."""
    if name in seen:
        return
    for base in (root, build / "generated"):
        path = base / name
        if path.is_file():
            data = path.read_text(errors="replace")
            seen[name] = data
            for _, header in layers.INCLUDE.findall(data):
                closure(header, root, build, seen)
            return


def compile_header(name, root, build):
    command = [COMPILER, "-std=c++20", "-fsyntax-only", "-w", "-x", "c++", "-I", str(root), "-I", str(build / "generated"), "-"]
    done = subprocess.run(command, input=f'#include "{name}"\n#include "{name}"\n', text=True, capture_output=True,
                          cwd=root)
    return done.returncode == 0, done.stderr


def check(root=project.ROOT, build=None):
    build = pathlib.Path(build or root / "build/dev")
    names = project.files(root)
    known = set(names)
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True).stdout.splitlines()[:1]
    cache_path = build / "structure-headers.json"
    try:
        cache = set(json.loads(cache_path.read_text()))
    except (OSError, ValueError):
        cache = set()
    todo = {}
    kept = set()
    headers = [name for name in names if name.endswith(".h") and not name.startswith("examples/") and "/compile_fail/" not in name]
    proved = 0
    for name in headers:
        source = name[:-2] + ".cc"
        if source in known and first_include(source, root) == name:
            proved += 1
            continue
        parts = {}
        closure(name, root, build, parts)
        key = hashlib.sha256(repr((version, name, sorted(parts.items()))).encode()).hexdigest()
        if key in cache:
            kept.add(key)
        else:
            todo[name] = key
    problems = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, (good, errors) in zip(todo, pool.map(lambda n: compile_header(n, root, build), todo)):
            if good:
                kept.add(todo[name])
            else:
                shown = "\n    ".join(errors.splitlines()[:4])
                problems.append(f"{name} does not compile on its own:\n    {shown}")
    build.mkdir(parents=True, exist_ok=True)
    cache_path.write_text(json.dumps(sorted(kept)))
    print(f"{len(headers)} headers: {proved} proved by their own .cc, {len(todo)} compiled now, {len(kept)} known good")
    return problems
