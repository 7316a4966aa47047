"""The files of the project, as the checks see them."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = {"build", ".git", ".cache", "__pycache__"}


def files(root=ROOT):
    """Every file that is tracked or would be, relative to root, sorted. Without git: every file but the build's."""
    try:
        out = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
            check=True, capture_output=True).stdout.decode()
        names = [name for name in out.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    names = [name for name in names if not SKIPPED & set(pathlib.PurePath(name).parts)]
    return sorted(name for name in set(names) if (root / name).is_file())


def text(name, root=ROOT):
    """The file's text, or None when it is not text."""
    data = (root / name).read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def is_cpp(name):
    return name.endswith((".h", ".cc"))


def is_test_code(name):
    """Code that is never part of a program that users run."""
    return name.endswith(("_test.cc", "_fuzz.cc", "_bench.cc")) or "/testing/" in name or name.startswith(
        ("tests/", "bench/"))
