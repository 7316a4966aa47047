"""The checks must catch what they are for: each is run on a small project with a planted fault, and on one without."""

import pathlib
import shutil
import tempfile

import check
import headers
import layers
import tables

GOOD = {
    "README.md": "# A project\nSee [the docs](docs/README.md#index).\n",
    "LICENSE": "text\n", "CHANGELOG.md": "# Changes\n", "CONTRIBUTING.md": "# How\n", ".ci/run": "#!/usr/bin/env bash\ntrue\n",
    ".clang-format": "BasedOnStyle: Google\n",
    "docs/README.md": "# Index\n",
    "docs/invariants.md": "| n | rule | tests |\n|---|---|---|\n" + "".join(
        f"| {n} | rule | {'`Log.Keeps`' if n == 3 else 'not built yet: why'} |\n" for n in tables.INVARIANTS),
    "docs/planted-bugs.md": "| bug | suite |\n|---|---|\n| reply before commit | `Log.Keeps` |\n"
                            "| dedup window lost | `Log` |\n| outbox entry deleted too early | `Log.*` |\n",
    "base/README.md": "x\n", "log/README.md": "x\n", "store/README.md": "x\n",
    "base/ids.h": "#pragma once\n#include <cstdint>\nusing Number = std::int64_t;\n",
    "store/rocks.cc": '#include <rocksdb/db.h>\n\n#include "base/ids.h"\n',
    "log/internal/part.h": "#pragma once\n#include \"base/ids.h\"\n",
    "log/log.h": '#pragma once\n#include "log/internal/part.h"\nNumber end();\n',
    "log/log_test.cc": '#include <gtest/gtest.h>\n// Invariant 3\nTEST(Log, Keeps) {}\n',
}

# what is planted -> (check, file, text, words of the complaint)
PLANTED = [
    ("layers", "base/up.h", '#pragma once\n#include "log/log.h"\n', "may not use log/"),
    ("layers", "log/rocks.h", "#pragma once\n#include <rocksdb/db.h>\n", "rocksdb is not for log/"),
    ("layers", "log/quoted.h", '#pragma once\n#include "rocksdb/db.h"\n', "rocksdb is not for log/"),
    ("layers", "log/actor.cc", "#include <caf/all.hpp>\n", "caf is not for log/"),
    ("layers", "region/rpc.cc", '#include "afdg/v1/data.grpc.pb.h"\n', "gRPC is not for region/"),
    ("layers", "catalog/rpc.cc", "#include <grpcpp/grpcpp.h>\n", "grpc is not for catalog/"),
    ("layers", "client/all.cc", '#include "server/main.h"\n', "no path"),
    ("layers", "store/peek.cc", '#include "store/../log/log.h"\n', "no path"),
    ("layers", "region/peek.cc", '#include "log/internal/part.h"\n', "internal/ is for log/"),
    ("layers", "log/test_in_code.cc", "#include <gtest/gtest.h>\n", "gtest is not for log/"),
    ("layers", "log/odd.cc", "#include <curl/curl.h>\n", "belongs to no library"),
    ("layers", "extra/new.cc", "int x;\n", "does not know"),
    ("layers", "log/beside.cc", '#include "part.h"\n', "no path"),
    ("layers", "log/spaced.cc", '  #  include  <caf/all.hpp>\n', "caf is not for log/"),
    ("headers", "log/needy.h", "#pragma once\nstd::string name();\n", "does not compile"),
    ("headers", "log/twice.h", "struct Twice {};\n", "does not compile"),
    ("format", "log/ugly.cc", "int  main( ) {return 0 ;}\n", "not formatted"),
    ("links", "docs/a.md", "[gone](nowhere.md)\n", "leads nowhere"),
    ("links", "docs/a.md", "[gone](README.md#nothing)\n", "names no heading"),
    ("text", "docs/a.md", "see /wo" + "rk/main\n", "one machine"),
    ("text", "docs/a.md", "get it from https:" + "//registry.invalid/x\n", "is not in the list"),
    ("text", "log/a.cc", "// TO" + "DO later\n", "unfinished"),
    ("text", "log/long.cc", "\n" * 901, "the limit is"),
    ("text", "log/run.sh", "#!/bin/sh\nif true; then\n", "syntax error"),
    ("text", "log/run.py", "def broken(:\n", "invalid syntax"),
    ("text", "catalog/a.cc", "int x;\n", "catalog/ has no README.md"),
    ("invariants", "log/b_test.cc", "// Invariant 5\nTEST(Log, Five) {}\n", "not fresh"),
    ("invariants", "log/log_test.cc", "TEST(Log, Keeps) {}\n", "no test holds the marker"),
    ("planted_bugs", "log/log_test.cc", "TEST(Other, Name) {}\n", "neither a test"),
    ("planted_bugs", "docs/planted-bugs.md", "| bug | suite |\n|---|---|\n", "no row for the bug"),
]

RUN = {
    "layers": lambda root: layers.check(root),
    "headers": lambda root: headers.check(root, root / "build"),
    "format": check.check_format,
    "links": check.check_links,
    "text": check.check_text,
    "invariants": tables.check_invariants,
    "planted_bugs": tables.check_planted_bugs,
}


def lay(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if text.startswith("#!"):
            path.chmod(0o755)


def run():
    problems = []
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory) / "good"
        lay(root, GOOD)
        for name, function in RUN.items():
            for complaint in function(root):
                problems.append(f"{name} complains about the good project: {complaint}")
        for number, (name, path, text, words) in enumerate(PLANTED):
            root = pathlib.Path(directory) / str(number)
            lay(root, GOOD | {path: text})
            complaints = RUN[name](root)
            if not any(words in complaint for complaint in complaints):
                problems.append(f"{name} did not catch the planted {path} ('{words}'): {complaints}")
            shutil.rmtree(root)
    print(f"{len(PLANTED)} planted faults")
    return problems
