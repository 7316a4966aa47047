#!/usr/bin/python3
"""Kafka's own programs judge a broker, each a task. usage: [JUDGE_DATA=FOLDER] java_tools.py HOST:PORT

JUDGE_DATA names the folder where the broker keeps its data; without it DumpLogSegments is skipped.
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import time

import java
import judge

at = judge.address()
where = ("--bootstrap-server", at)
topic = judge.new_topic()
group = judge.new_topic()
GROUPS = "consumer.group.ConsumerGroupCommand"
SENT = 2000


def offsets(name, time=-1):
    said = java.run("GetOffsetShell", *where, "--topic", name, "--time", str(time)).stdout
    return {int(line.split(":")[1]): int(line.split(":")[2]) for line in said.splitlines() if line.startswith(name + ":")}


def events(text):
    """{name: [event]} of what a Verifiable program printed."""
    out = {}
    for line in text.splitlines():
        if line.startswith("{"):
            out.setdefault(json.loads(line)["name"], []).append(json.loads(line))
    return out


def has(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text), f"'{pattern}' is not in: {text.strip()[-300:]}"


def api_versions():
    said = java.run("BrokerApiVersionsCommand", *where).stdout
    has(said, r"Produce\(0\): .*usable: \d+", r"Fetch\(1\): .*usable: \d+", r"ApiVersions\(18\): .*usable: 4")
    lines = [line.strip() for line in said.splitlines() if "(" in line and ":" in line and "UNSUPPORTED" not in line]
    return f"{len(lines) - 1} APIs"


def cluster():
    has(java.run("ClusterTool", "cluster-id", *where).stdout, r"Cluster ID: \S+")
    has(java.run("ClusterTool", "list-endpoints", *where).stdout, re.escape(at.rsplit(":", 1)[1]))


def topics():
    java.run("TopicCommand", *where, "--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=86400000")
    again = java.run("TopicCommand", *where, "--create", "--topic", topic, check=False)
    assert again.returncode == 1 and "already exists" in again.stdout, again.stdout
    refused = java.run("TopicCommand", *where, "--create", "--topic", topic + "x", "--config", "no.such.setting=1", check=False)
    assert refused.returncode == 1 and "no.such.setting" in refused.stdout, refused.stdout
    refused = java.run("TopicCommand", *where, "--create", "--topic", topic + "x", "--replication-factor", "3", check=False)
    assert refused.returncode == 1 and "InvalidReplicationFactorException" in refused.stderr, refused.stdout + refused.stderr
    said = java.run("TopicCommand", *where, "--describe", "--topic", topic).stdout
    has(said, r"PartitionCount: 2\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=86400000", r"Partition: 1\s+Leader: 1\s+Replicas: 1\s+Isr: 1")
    assert topic in java.run("TopicCommand", *where, "--list").stdout.split()
    java.run("TopicCommand", *where, "--alter", "--topic", topic, "--partitions", "3")
    has(java.run("TopicCommand", *where, "--describe", "--topic", topic).stdout, "PartitionCount: 3")
    fewer = java.run("TopicCommand", *where, "--alter", "--topic", topic, "--partitions", "2", check=False)
    assert fewer.returncode == 1 and "currently has 3 partition" in fewer.stdout, fewer.stdout


def no_topics_yet():
    """The tasks after `topics` need its topic, whatever came of that one."""
    if topic not in java.run("TopicCommand", *where, "--list").stdout.split():
        java.run("TopicCommand", *where, "--create", "--topic", topic, "--partitions", "3")


def configs():
    no_topics_yet()
    command = "kafka.admin.ConfigCommand"
    every = java.run(command, *where, "--describe", "--all", "--topic", topic).stdout
    has(every, r"cleanup\.policy=delete sensitive=false synonyms=", r"max\.message\.bytes=\d+ ", r"compression\.type=producer ", r"segment\.bytes=\d+ ")
    java.run(command, *where, "--alter", "--topic", topic, "--add-config", "retention.ms=7200000,max.message.bytes=200000")
    said = java.run(command, *where, "--describe", "--topic", topic).stdout
    has(said, r"retention\.ms=7200000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention\.ms=7200000", r"max\.message\.bytes=200000 ")
    big = java.run("ConsoleProducer", *where, "--topic", topic, "--command-property", "max.request.size=2000000", input="x" * 300000 + "\n", check=False)
    has(big.stdout + big.stderr, "RecordTooLargeException")
    java.run(command, *where, "--alter", "--topic", topic, "--delete-config", "max.message.bytes")
    assert "max.message.bytes=200000" not in java.run(command, *where, "--describe", "--topic", topic).stdout
    for wrong, why in (("no.such.setting=1", "no.such.setting"), ("retention.ms=soon", "retention.ms"), ("cleanup.policy=burn", "cleanup.policy")):
        refused = java.run(command, *where, "--alter", "--topic", topic, "--add-config", wrong, check=False)
        assert refused.returncode == 1 and "InvalidConfigurationException" in refused.stderr and why in refused.stderr, refused.stdout + refused.stderr[:300]
    has(java.run(command, *where, "--describe", "--broker", "1", "--all").stdout, r"message\.max\.bytes=\d+ ", r"log\.retention\.(ms|hours)=\S+ ")
    lines = sum(" synonyms=" in line for line in every.splitlines())
    return f"{lines} settings of a topic listed"


def verifiable_producer():
    said = java.run("VerifiableProducer", *where, "--topic", topic, "--max-messages", str(SENT), "--acks", "-1", "--repeating-keys", "50").stdout
    seen = events(said)
    assert len(seen.get("producer_send_success", ())) == SENT and "producer_send_error" not in seen, said[-300:]
    assert (seen["tool_data"][0]["sent"], seen["tool_data"][0]["acked"]) == (SENT, SENT), seen["tool_data"]
    places = {(one["partition"], one["offset"]) for one in seen["producer_send_success"]}
    assert len(places) == SENT, f"{len(places)} places of {SENT} records"


def offset_shell():
    assert sum(offsets(topic).values()) == SENT, offsets(topic)
    assert set(offsets(topic, -2).values()) == {0}, offsets(topic, -2)
    latest = offsets(topic, -3)  # the record with the newest time, so one that is there
    assert any(latest.values()) and all(offset < offsets(topic)[partition] for partition, offset in latest.items()), latest
    said = java.run("GetOffsetShell", *where, "--topic-partitions", f"{topic}:0-2", "--exclude-internal-topics").stdout
    assert sum(line.startswith(topic) for line in said.splitlines()) == 2, said


def verifiable_consumer():
    said = java.run("VerifiableConsumer", *where, "--topic", topic, "--group-id", group, "--max-messages", str(SENT), "--verbose").stdout
    seen = events(said)
    values = [int(one["value"]) for one in seen.get("record_data", ())]
    assert sorted(values) == list(range(SENT)), f"{len(values)} of {SENT} records"
    committed = {one["partition"]: one["offset"] for event in seen["offsets_committed"] for one in event["offsets"] if event["success"]}
    assert committed == offsets(topic), (committed, offsets(topic))


def rebalance(strategy):
    """Two members share the partitions, one is killed, the other reads on; what came is everything, and each partition's offsets were committed."""
    name, members = judge.new_topic(), judge.new_topic()
    java.run("TopicCommand", *where, "--create", "--topic", name, "--partitions", "4")
    arguments = (*where, "--topic", name, "--group-id", members, "--session-timeout", "6000", "--verbose",
                 "--assignment-strategy", f"org.apache.kafka.clients.consumer.{strategy}")
    with contextlib.ExitStack() as clean, tempfile.TemporaryDirectory() as folder:
        def member(index):
            path = pathlib.Path(folder) / str(index)
            with open(path, "w") as out:
                process = java.subprocess.Popen([str(java.PEER), "tool", java.name_of("VerifiableConsumer"), *arguments], stdin=java.subprocess.DEVNULL,
                                                stdout=out, stderr=java.subprocess.DEVNULL, env=java.ENVIRONMENT, start_new_session=True)
            clean.callback(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
            return process, lambda: events(path.read_text().rpartition("\n")[0])

        def until(what, condition, seconds=45):
            end = time.monotonic() + seconds
            while not condition():
                assert time.monotonic() < end, f"{what}: not within {seconds} s"
                time.sleep(0.2)

        def owned(said):
            """The partitions that a member has, as its assignments and revocations say."""
            mine = set()
            for line in (event for event in sorted((one for some in said().values() for one in some), key=lambda one: one["timestamp"])):
                named = {one["partition"] for one in line.get("partitions", ()) if "partition" in one}
                mine = mine | named if line["name"] == "partitions_assigned" else mine - named if line["name"] == "partitions_revoked" else mine
            return mine

        first, first_said = member(1)
        until("the first member gets all partitions", lambda: owned(first_said) == {0, 1, 2, 3})
        second, second_said = member(2)
        until("each member gets half", lambda: len(owned(first_said)) == len(owned(second_said)) == 2 and owned(first_said) | owned(second_said) == {0, 1, 2, 3})
        java.run("VerifiableProducer", *where, "--topic", name, "--max-messages", "1000", "--acks", "-1")
        read = lambda: [int(one["value"]) for said in (first_said, second_said) for one in said().get("record_data", ())]  # noqa: E731
        until("1000 records", lambda: len(set(read())) == 1000)
        os.killpg(second.pid, signal.SIGKILL)
        second.wait()
        until("the first member gets the dead one's partitions", lambda: owned(first_said) == {0, 1, 2, 3})
        java.run("VerifiableProducer", *where, "--topic", name, "--max-messages", "500", "--acks", "-1", "--value-prefix", "1")
        until("500 more records", lambda: sum("." in str(one["value"]) for one in first_said().get("record_data", ())) == 500)
        os.killpg(first.pid, signal.SIGTERM)
        first.wait(30)
        committed = {}
        for said in (second_said, first_said):
            for event in said().get("offsets_committed", ()):
                assert event["success"], event
                committed.update({one["partition"]: one["offset"] for one in event["offsets"]})
        wanted = {partition: end for partition, end in offsets(name).items() if end}
        assert {partition: end for partition, end in committed.items() if end} == wanted, (committed, wanted)


def groups():
    has(java.run(GROUPS, *where, "--list", "--state").stdout, rf"{group}\s+Empty")
    has(java.run("GroupsCommand", *where, "--list").stdout, rf"{group}\s+Classic\s+consumer")
    has(java.run(GROUPS, *where, "--describe", "--group", group, "--state").stdout, rf"{group}\s.*\sEmpty\s+0")
    said = java.run(GROUPS, *where, "--describe", "--group", group).stdout
    ends = offsets(topic)
    for partition, end in ends.items():
        has(said, rf"{group}\s+{topic}\s+{partition}\s+{end}\s+{end}\s+0\s")
    busy = max(ends, key=ends.get)
    has(java.run(GROUPS, *where, "--group", group, "--topic", f"{topic}:{busy}", "--reset-offsets", "--to-offset", "2", "--execute").stdout, rf"{topic}\s+{busy}\s+2")
    has(java.run(GROUPS, *where, "--describe", "--group", group).stdout, rf"{topic}\s+{busy}\s+2\s+{ends[busy]}\s+{ends[busy] - 2}\s")
    has(java.run(GROUPS, *where, "--group", group, "--topic", topic, "--reset-offsets", "--to-datetime", "2001-01-01T00:00:00.000", "--execute").stdout, rf"{topic}\s+{busy}\s+0")
    has(java.run(GROUPS, *where, "--group", group, "--delete-offsets", "--topic", f"{topic}:{busy}").stdout, "Successful")
    assert not re.search(rf"{topic}\s+{busy}\s+\d", java.run(GROUPS, *where, "--describe", "--group", group).stdout)
    has(java.run(GROUPS, *where, "--delete", "--group", group).stdout, "was successful")
    has(java.run(GROUPS, *where, "--delete", "--group", group, check=False).stdout, "GroupIdNotFoundException|group id does not exist")


def producer_performance():
    before = sum(offsets(topic).values())
    said = java.run("ProducerPerformance", "--topic", topic, "--num-records", "20000", "--record-size", "500", "--throughput", "-1", "--command-property",
                    f"bootstrap.servers={at}", "acks=all").stdout
    has(said, r"20000 records sent, [\d.]+ records/sec", r"ms 99\.9th")
    assert sum(offsets(topic).values()) == before + 20000


def consumer_performance():
    total = sum(offsets(topic).values())
    said = java.run("ConsumerPerformance", *where, "--topic", topic, "--num-records", str(total), "--timeout", "20000", "--hide-header").stdout
    assert said.split(",")[4].strip() == str(total), said


def latency():
    name = judge.new_topic()
    java.run("TopicCommand", *where, "--create", "--topic", name)
    said = java.run("EndToEndLatency", *where, "--topic", name, "--num-records", "500", "--producer-acks", "all", "--record-size", "100").stdout
    has(said, r"Avg latency: [\d.]+ ms", r"Percentiles: 50th = \d+, 99th = \d+")
    with_key = java.run("EndToEndLatency", *where, "--topic", name, "--num-records", "100", "--producer-acks", "1", "--record-size", "100", "--record-key-size", "20",
                        "--num-headers", "3", "--record-header-key-size", "5", "--record-header-size", "10").stdout
    has(with_key, r"Avg latency: [\d.]+ ms")
    assert sum(offsets(name).values()) == 600, offsets(name)


def delete_records():
    ends = offsets(topic)
    busy = max(ends, key=ends.get)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as wanted:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": busy, "offset": 3}]}, wanted)
        wanted.flush()
        has(java.run("DeleteRecordsCommand", *where, "--offset-json-file", wanted.name).stdout, rf"partition: {topic}-{busy}\s+low_watermark: 3")
    assert offsets(topic, -2)[busy] == 3, offsets(topic, -2)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as wanted:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": busy, "offset": 10 ** 9}]}, wanted)
        wanted.flush()
        has(java.run("DeleteRecordsCommand", *where, "--offset-json-file", wanted.name).stdout, "OffsetOutOfRangeException")


def log_dirs():
    said = java.run("LogDirsCommand", *where, "--describe", "--topic-list", topic).stdout
    found = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    sizes = {one["partition"]: one["size"] for folder in found["brokers"][0]["logDirs"] for one in folder["partitions"]}
    assert sorted(sizes) == [f"{topic}-{partition}" for partition in sorted(offsets(topic))] and sum(sizes.values()) > 500 * 20000, sizes


def log_cleaner():
    with tempfile.TemporaryDirectory() as folder:  # it leaves what it produced and consumed
        done = java.run("LogCompactionTester", *where, "--messages", "3000", "--percent-deletes", "10", "--sleep", "5", check=False, temporary=folder)
    has(done.stdout, "3000 rows of data produced", r"Validated \d+ values, 0 mismatches")
    return re.search(r"Validated \d+ values, 0 mismatches", done.stdout)[0]


def compaction():
    """A compacted topic loses what is overwritten, keeps the newest of each key, and offsets stay."""
    name = judge.new_topic()
    settings = ("cleanup.policy=compact", "segment.bytes=1048576", "min.cleanable.dirty.ratio=0.01", "min.compaction.lag.ms=0")
    java.run("TopicCommand", *where, "--create", "--topic", name, "--partitions", "1", *(part for one in settings for part in ("--config", one)))
    newest = {}
    for turn in range(3):
        some = [(f"key-{index % 50}", f"{turn}-{index}-" + "x" * 1000) for index in range(1500)]
        newest.update(some)
        java.run("ConsoleProducer", *where, "--topic", name, "--reader-property", "parse.key=true", input="".join(f"{key}\t{value}\n" for key, value in some))
    end = time.monotonic() + 90
    while True:
        said = java.run("consumer.ConsoleConsumer", *where, "--topic", name, "--partition", "0", "--offset", "earliest", "--timeout-ms", "3000", "--formatter-property",
                        "print.key=true", "--formatter-property", "print.offset=true").stdout
        found = [line.split("\t") for line in said.splitlines()]
        places = [int(place.split(":")[1]) for place, _, _ in found]
        assert places == sorted(set(places)), "offsets are not in order"
        assert {key: value for _, key, value in found} == newest, "the newest values are not there"
        if len(found) < 2500:
            break
        assert time.monotonic() < end, f"not compacted: {len(found)} of 4500 records are there after 90 s"
        time.sleep(1)
    assert offsets(name) == {0: 4500}, offsets(name)
    return f"{len(found)} of 4500 records are left"


def compatibility():
    if "newtopic" in java.run("TopicCommand", *where, "--list").stdout.split():  # its name cannot be chosen
        java.run("TopicCommand", *where, "--delete", "--topic", "newtopic")
    said = java.run("ClientCompatibilityTest", *where, "--topic", judge.new_topic(), "--offsets-for-times-supported", "true", "--cluster-id-supported", "true",
                    "--expect-record-too-large-exception", "false", "--num-cluster-nodes", "1", "--create-topics-supported", "true", "--describe-acls-supported", "true",
                    "--describe-configs-supported", "true", "--idempotent-producer-supported", "true", check=False)
    assert said.returncode == 0, [line for line in said.stdout.splitlines() if "FAILED" in line or "Exception" in line][:2] or said.stderr[-300:]
    has(said.stdout, "SUCCESS")


def segments():
    """The segments that the broker wrote: every batch is valid, and every record comes up."""
    data = os.environ.get("JUDGE_DATA")
    if not data:
        raise judge.Skip("the broker's folder is not known: set JUDGE_DATA")
    batches = records = 0
    for file in sorted(pathlib.Path(data).rglob(f"{topic}-*/*.log")):
        said = java.run("DumpLogSegments", "--files", str(file), "--deep-iteration", "--print-data-log").stdout
        lines = [line for line in said.splitlines() if line.startswith("baseOffset:")]
        assert all("isvalid: true" in line for line in lines), f"{file}: {[line for line in lines if 'isvalid: true' not in line][:2]}"
        batches += len(lines)
        records += sum(line.startswith("| offset:") for line in said.splitlines())
    wanted = sum(offsets(topic).values())
    assert wanted - 3 <= records <= wanted, f"{records} records in the files, {wanted} produced"  # delete_records took 3 of them at most
    for file in sorted(pathlib.Path(data).rglob(f"{topic}-*/*.index")) + sorted(pathlib.Path(data).rglob(f"{topic}-*/*.timeindex")):
        said = java.run("DumpLogSegments", "--files", str(file), "--verify-index-only")
        assert not re.search("Mismatches|out of order|Found", said.stdout), f"{file}: {said.stdout[-300:]}"
    offsets_seen = groups_seen = 0
    for file in sorted(pathlib.Path(data).rglob("__consumer_offsets-*/*.log")):
        if file.stat().st_size:
            said = java.run("DumpLogSegments", "--files", str(file), "--offsets-decoder").stdout
            offsets_seen += len(re.findall(rf'"group":"{group}","topic":"{topic}"', said))
            groups_seen += len(re.findall(rf'"group":"{group}"}}', said))
    assert offsets_seen and groups_seen, f"of the group {offsets_seen} offsets and {groups_seen} states are in __consumer_offsets"
    return f"{batches} batches, {records} records, {offsets_seen} offsets and {groups_seen} states of a group"


def delete():
    java.run("TopicCommand", *where, "--delete", "--topic", topic)
    assert topic not in java.run("TopicCommand", *where, "--list").stdout.split()
    again = java.run("TopicCommand", *where, "--delete", "--topic", topic, check=False)
    assert again.returncode == 1 and "does not exist" in again.stdout, again.stdout


tasks = {"BrokerApiVersionsCommand": api_versions, "ClusterTool": cluster, "TopicCommand": topics, "ConfigCommand": configs,
         "VerifiableProducer": verifiable_producer, "GetOffsetShell": offset_shell, "VerifiableConsumer": verifiable_consumer,
         "VerifiableConsumer, range assignor, a member dies": lambda: rebalance("RangeAssignor"),
         "VerifiableConsumer, cooperative, a member dies": lambda: rebalance("CooperativeStickyAssignor"),
         "ConsumerGroupCommand": groups, "ProducerPerformance": producer_performance, "ConsumerPerformance": consumer_performance,
         "EndToEndLatency": latency, "DeleteRecordsCommand": delete_records, "LogDirsCommand": log_dirs, "LogCompactionTester": log_cleaner,
         "ConsoleConsumer of a compacted topic": compaction,
         "ClientCompatibilityTest": compatibility, "DumpLogSegments": segments, "TopicCommand --delete": delete}
sys.exit(judge.main("Kafka's programs", java.VERSION, tasks, order=list(tasks)))
