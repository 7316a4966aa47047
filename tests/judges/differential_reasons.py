"""Why we answer otherwise than Kafka: each case of differential_cases.py that differs, under the sentence that gives the reason."""

REASONS = {}


def because(reason, *cases):
    for name in cases:
        assert name not in REASONS, name
        REASONS[name] = reason


because("The node has no transactions.",
        "Produce: a transactional id", "Produce: a transactional batch without an id", "InitProducerId: an empty transactional id",
        "InitProducerId: a transactional id, timeout 0", "InitProducerId: a transactional id, timeout of 2147483647", "FindCoordinator: an empty transactional id")
because("Kafka's UNKNOWN_SERVER_ERROR makes clients write the batch again; a code of its own says that it never fits.",
        "Produce: codec 7", "Produce: gzip of nonsense", "Produce: snappy of nonsense", "Produce: lz4 of nonsense", "Produce: zstd of nonsense, version 7",
        "Produce: records of nonsense", "Produce: length of 2 GiB")
because("Nothing is dropped unsaid: bytes behind the batch are refused, where Kafka acknowledges the request and forgets them.",
        "Produce: a batch and half of one more", "Produce: bytes after the batch")
because("What ends before it is whole was damaged on its way, so the client may send it again, as after a wrong CRC.",
        "Produce: a batch cut short", "Produce: fewer bytes than a header")
because("No format above 2 is known, and sending it again, as CORRUPT_MESSAGE makes a client do, does not change that.", "Produce: magic 3")
because("Kafka fails inside and never answers; the request is refused.", "Produce: null records", "AlterConfigs: a resource twice")
because("The node gives every batch its base offset, so the one that came is not looked at: fetched batches can be produced as they are.", "Produce: a base offset that is not 0")
because("Half of an idempotent producer's identity would be taken without a check of its sequence, which is not what the producer asked for.", "Produce: an id without an epoch")
because("A limit below 0 is taken as 0: the first batch comes whole (KIP-74) instead of an unknown error.", "Fetch: max bytes -1", "Fetch: partition max bytes -1")
because("Without transactions both isolation levels read the same, so the field is not looked at.", "Fetch: isolation level 7", "ListOffsets: isolation level 7")
because("Kafka may name a record that was removed; the greatest timestamp here is that of a record that can be read.",
        "ListOffsets: greatest timestamp (-3) of a topic cut by DeleteRecords")
because("There are no fetch sessions: a client was told id 0, and what epoch it counts for it does not matter.", "Fetch: session 0 in epoch 5")
because("No broker follows this one through Kafka's protocol: who says that it is a broker is served as a consumer.", "Fetch: as broker 77")
because("A request that names something twice gets an answer for each.",
        "DeleteTopics: an unknown one twice", "DeleteGroups: unknown one twice")
because("An answer does not grow with how often something is named: a group is described once, and its offsets come once.",
        "OffsetFetch: a group twice, version 8", "DescribeGroups: one twice")
because("The request says what is wanted well enough to be answered: from the start, of what comes after that name, by that id.",
        "Metadata: by id, version 11", "DescribeTopicPartitions: from partition -1 on",
        "DescribeTopicPartitions: from a topic on that is not asked for")
because("The limit is the node's own, and the code names what is wrong.", "CreateTopics: 2147483647 partitions", "CreatePartitions: 2147483647")
because("A setting that would not act is refused by name: every append is synced as it is, whatever flush.messages says.", "CreateTopics: flush.messages=1")
because("A node's settings are flags of its program, and its log has no levels to set: see configuration.md.",
        "DescribeConfigs: a broker's loggers", "AlterConfigs: a setting of the broker", "IncrementalAlterConfigs: a setting of the broker")
because("Only the new group protocol (KIP-848) has settings of groups, and it is not spoken.", "DescribeConfigs: a group")
because("The groups' own topic keeps its settings: another retention would lose offsets.",
        "AlterConfigs: the settings of __consumer_offsets", "IncrementalAlterConfigs: the settings of __consumer_offsets")
because("Older admin clients send null for the default, so the node takes it for that.", "AlterConfigs: a null value")
because("Kafka has only an unknown error for it.", "Metadata: neither name nor id", "IncrementalAlterConfigs: operation 9", "IncrementalAlterConfigs: operation -1")
because("The values are delete, compact or both: no policy at all would keep everything for ever, which retention.ms=-1 says better.", "IncrementalAlterConfigs: subtract from a list")
because("A key that no topic has is a mistake, also when its value is taken away.", "IncrementalAlterConfigs: delete an unknown key")
because("A length that cannot be is a broken request and ends the connection; Kafka reads any negative one as null.", "Metadata: an array of -5", "InitProducerId: a text of -2")
because("Offsets of a topic or partition that is no more can be deleted, too; one that was never committed is deleted already.",
        "OffsetDelete: unknown topic", "OffsetDelete: partition 99")
