"""What the generators of docs/ share."""

import sys


def write_or_check(target, wanted, source, arguments):
    """Writes the file, or with --check says whether it is fresh; the exit code."""
    if "--check" not in arguments:
        target.write_text(wanted)
        return 0
    if target.is_file() and target.read_text() == wanted:
        return 0
    print(f"docs/{target.name} is not what {source} gives: run tools/dev docs", file=sys.stderr)
    return 1
