"""The tables in docs/ that promise tests: docs/planted-bugs.md and docs/invariants.md."""

import json
import pathlib
import re
import subprocess

import project

TEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\s*\(\s*(\w+)\s*,\s*(\w+)")
MARKER = re.compile(r"(?://|#)\s*Invariants?\s+(\d+(?:\s*(?:,|and|, and)\s*\d+)*)\b")
INVARIANTS = range(1, 15)
NOT_BUILT = "not built yet"
# What the project has promised to plant: words that a row's first cell must hold.
PLANTED = (("reply", "commit"), ("dedup", "window"), ("outbox", "early"))


def is_test_source(name):
    return name.endswith(("_test.cc", "_fuzz.cc")) or (
        name.endswith((".cc", ".h", ".py", ".sh")) and ("/testing/" in name or name.startswith(("tests/", "examples/")))
        and not name.startswith("tests/structure/"))


def tests_in(source):
    """(line number, Suite.Test) of each test in a source."""
    lines = source.splitlines()
    out = []
    for number, line in enumerate(lines):
        found = TEST.match(line + (lines[number + 1].strip() if number + 1 < len(lines) and line.rstrip().endswith(("(", ",")) else ""))
        if found:
            out.append((number, f"{found.group(1)}.{found.group(2)}"))
    return out


def markers(name, source):
    """(invariant, test) for each marker: the test right below it, or the one that it stands in; a script names itself."""
    tests = tests_in(source)
    for number, line in enumerate(source.splitlines()):
        found = MARKER.search(line)
        if not found:
            continue
        below = [test for at, test in tests if number < at <= number + 6 and not source.splitlines()[number][:1].isspace()]
        inside = [test for at, test in tests if at <= number]
        test = below[0] if below else inside[-1] if inside else name
        for value in re.findall(r"\d+", found.group(1)):
            yield int(value), test


def invariant_tests(root=project.ROOT):
    """invariant -> sorted list of (test, file)."""
    out = {number: set() for number in INVARIANTS}
    for name in project.files(root):
        if is_test_source(name):
            for number, test in markers(name, project.text(name, root) or ""):
                if number in out:
                    out[number].add((test, name))
    return {number: sorted(tests) for number, tests in out.items()}


def rows(text):
    """The cells of each row of the tables in a Markdown text, headings left out."""
    previous = None
    for line in text.splitlines():
        if not line.startswith("|"):
            previous = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if set("".join(cells)) <= set("-: "):
            previous = True
            continue
        if previous:
            yield cells


def check_invariants(root=project.ROOT, build=None):
    problems = []
    path = root / "docs/invariants.md"
    seen = {}
    for cells in rows(path.read_text()):
        if cells[0].isdigit():
            seen[int(cells[0])] = cells[-1]
    for number, tests in invariant_tests(root).items():
        if number not in seen:
            problems.append(f"docs/invariants.md has no row for invariant {number}")
        elif tests and any(f"`{test}`" not in seen[number] for test, _ in tests):
            problems.append(f"docs/invariants.md, invariant {number}: not fresh; run tools/dev docs")
        elif not tests and not seen[number].startswith(NOT_BUILT):
            problems.append(f"docs/invariants.md, invariant {number}: no test holds the marker '// Invariant {number}'")
        named = set(re.findall(r"`([^`]+)`", seen.get(number, "")))
        for extra in named - {test for test, _ in tests}:
            problems.append(f"docs/invariants.md, invariant {number}: '{extra}' is no test with that marker; run tools/dev docs")
    return problems


def ctest_names(build):
    done = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"], capture_output=True, text=True)
    if done.returncode != 0:
        return None
    return {test["name"] for test in json.loads(done.stdout).get("tests", [])}


def check_planted_bugs(root=project.ROOT, build=None):
    problems = []
    known = set()
    for name in project.files(root):
        if name.endswith((".cc", ".h")):
            known |= {test for _, test in tests_in(project.text(name, root) or "")}
    suites = {test.split(".")[0] for test in known}
    ctests = ctest_names(build) if build and pathlib.Path(build).is_dir() else None
    first_cells = []
    for cells in rows((root / "docs/planted-bugs.md").read_text()):
        first_cells.append(cells[0].lower())
        named = re.findall(r"`([^`]+)`", cells[-1])
        if not named:
            problems.append(f"docs/planted-bugs.md: '{cells[0]}' names no suite")
        for test in named:
            bare = re.sub(r"^(?:\w+/)|(?:/[\w*]+)$", "", test).removesuffix(".*")
            if bare in known or bare in suites or ctests is None and "." not in bare or ctests and test in ctests:
                continue
            problems.append(f"docs/planted-bugs.md: '{cells[0]}' names {test}, which is neither a test nor a ctest name")
    for words in PLANTED:
        if not any(all(word in cell for word in words) for cell in first_cells):
            problems.append(f"docs/planted-bugs.md: no row for the bug with the words {' and '.join(words)}")
    return problems
