#!/usr/bin/python3
"""Fills the last column of docs/invariants.md with the tests that hold the marker `// Invariant N`."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/structure"))
sys.dont_write_bytecode = True
import tables  # noqa: E402


def render(text, found):
    out = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            tests = found.get(int(cells[0]), [])
            if tests:
                cells[-1] = ", ".join(sorted({f"`{test}`" for test, _ in tests}))
            elif not cells[-1].startswith(tables.NOT_BUILT):
                cells[-1] = ""
            line = f"| {' | '.join(cells)} |"
        out.append(line)
    return "\n".join(out) + "\n"


def main():
    path = ROOT / "docs/invariants.md"
    path.write_text(render(path.read_text(), tables.invariant_tests(ROOT)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
