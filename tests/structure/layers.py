"""Who may include what: layers.toml, applied to every #include of the project."""

import pathlib
import re
import tomllib

import project

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
GENERATED = re.compile(r"(.*\.)?(grpc\.)?pb\.h$")
TABLE = pathlib.Path(__file__).with_name("layers.toml")


class Table:
    def __init__(self, path=TABLE):
        raw = tomllib.loads(path.read_text())
        self.libraries = {name: re.compile(f"(?:{pattern})$") for name, pattern in raw["libraries"].items()}
        self.test_libraries = set(raw["test_code"]["libraries"])
        self.folders = raw["folders"]
        for name, row in self.folders.items():
            unknown = set(row["folders"]) - set(self.folders) | set(row["libraries"]) - set(self.libraries)
            if unknown:
                raise SystemExit(f"layers.toml: [folders.{name}] names unknown entries: {sorted(unknown)}")

    def row_of(self, name):
        """The most exact row for a file: catalog/etcd before catalog."""
        parts = pathlib.PurePath(name).parts
        for length in range(len(parts) - 1, 0, -1):
            key = "/".join(parts[:length])
            if key in self.folders:
                return key
        return None

    def library_of(self, header):
        return next((name for name, pattern in self.libraries.items() if pattern.match(header)), None)


def check_include(table, name, kind, header, exists):
    """None when the include is allowed, else why not. exists(path) tells whether the project has that file."""
    row = table.row_of(name)
    if row is None:
        return "is in a folder that tests/structure/layers.toml does not know"
    may = table.folders[row]
    own = row.split("/")[0]
    generated = GENERATED.match(header)
    if kind == "<" or table.library_of(header) not in (None, "std") and not exists(header):
        library = table.library_of(header)
        if library is None:
            return f"includes <{header}>, which belongs to no library of layers.toml"
        if library == "std" or library in may["libraries"]:
            return None
        if project.is_test_code(name) and library in table.test_libraries:
            return None
        return f"includes <{header}>: {library} is not for {row}/"
    if header.endswith(".grpc.pb.h") and "grpc" not in may["libraries"] and own not in ("tests", "bench"):
        return f'includes "{header}": gRPC is not for {row}/'
    if generated:
        if own == "base":
            return f'includes "{header}": generated messages are not for base/'
        if own in ("proto", "examples", "tests", "bench") or "proto" in may["folders"]:
            return None
        return f'includes "{header}": generated messages are not for {row}/'
    beside = str(pathlib.PurePath(name).parent / header)
    if not exists(header):
        if own == "examples" and exists(beside):
            return None  # a user's program has its own headers beside it
        return f'includes "{header}", which is no path from the root of the project'
    target = header.split("/")[0]
    if target != own and target not in may["folders"]:
        return f'includes "{header}": {row}/ may not use {target}/'
    if "/internal/" in header and target != own and own != "bench":
        return f'includes "{header}": internal/ is for {target}/ alone'
    if "/testing/" in header and not project.is_test_code(name) and own != "examples":
        return f'includes "{header}": testing/ is for test code alone'
    return None


def check(root=project.ROOT):
    table = Table()
    names = project.files(root)
    known = set(names)
    problems = []
    for name in names:
        if not project.is_cpp(name) and not name.endswith(".def"):
            continue
        if "/compile_fail/" in name:
            continue
        source = COMMENT.sub("", project.text(name, root) or "")
        found = INCLUDE.findall(source)
        if not found and table.row_of(name) is None:
            problems.append(f"{name} is in a folder that tests/structure/layers.toml does not know")
        for kind, header in found:
            why = check_include(table, name, kind, header, known.__contains__)
            if why:
                problems.append(f"{name} {why}")
    return problems
