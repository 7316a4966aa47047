#!/usr/bin/python3
"""The tables in docs/kafka-support.md can be read back, and a run that found something else says so."""
import judge
import table


def line(client, version, task, result="ok", reason=""):
    return {"client": client, "version": version, "task": task, "result": result, "reason": reason}


found = [line("one", "1.0", task) for task in judge.TASKS[:5]] + [line("one", "2.0", "metadata"), line("one", "2.0", "produce_zstd", "skipped", "no zstd"),
         line("Programs", "4.3", "Tool, with | and --option"), line("Programs", "4.3", "Other tool", "failed", "why | not"), line("absent", "", "all", "skipped", "no network")]
page = table.render(found)
assert table.differences(found, page) == [], table.differences(found, page)
newer = [dict(one, version={"1.0": "1.1", "4.3": "4.4"}.get(one["version"], one["version"]), reason="another remark") for one in found]
assert table.differences(newer, page) == [], "other versions and remarks are no difference"
assert table.differences(found[:7], page) == [], "a client that could not be had is no difference"
for index, result in ((0, "failed"), (6, "ok"), (8, "ok")):
    changed = [dict(one, result=result) if place == index else one for place, one in enumerate(found)]
    assert len(table.differences(changed, page)) == 1, (index, table.differences(changed, page))
assert len(table.differences(found[1:], page)) == 1, "a task that was not run"
assert len(table.differences(found + [line("new", "1", "metadata")], page)) == 1, "a client without a row"
real = table.stated(table.split(table.TARGET.read_text())[1])
assert len(real) > 8 and len(real["librdkafka test suite"]["2.0.2"]) > 100 and len(real["kafka-python"]) == 2, {client: len(rows) for client, rows in real.items()}
print("good")
