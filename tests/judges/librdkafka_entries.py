"""The kept list: every entry of librdkafka 2.0.2's test suite that is not local, with how it is run or why it is not.

Left out: the entries with TEST_F_LOCAL, which talk to no broker or to the suite's own mock.
"""
SSL = "needs TLS, and this build and the node have none"
SASL = "needs a broker that asks for SASL"
ACLS = "needs access control lists"
TRANSACTIONS = "needs transactions, which are not spoken"
BROKERS = "needs three brokers"
KNOWN = "librdkafka's own list of known issues has it"
DELETED = "waits for ever when a subscribed topic is deleted: fails on the real Kafka 4.3, too"
ZOOKEEPER = "awaits an answer of ZooKeeper's days: fails on the real Kafka 4.3 and 3.9.1, too"

RUN = """
0001_multiobj 0002_unkpart 0003_msgmaxsize 0005_order 0007_autotopic 0008_reqacks 0011_produce_batch 0012_produce_consume 0013_null_msgs
0014_reconsume_191 0015_offsets_seek 0016_client_swname 0017_compression 0018_cgrp_term 0019_list_groups 0020_destroy_hang 0021_rkt_destroy
0022_consume_batch 0026_consume_pause 0029_assign_offset 0030_offset_commit 0031_get_offsets 0033_regex_subscribe 0034_offset_reset 0035_api_version
0036_partial_fetch 0038_performance 0039_event_dr 0040_io_event 0041_fetch_max_bytes 0042_many_topics 0044_partition_cnt 0045_subscribe_update
0048_partitioner 0049_consume_conn_close 0050_subscribe_adds 0051_assign_adds 0053_stats 0054_offset_time
0056_balanced_group_mt 0057_invalid_topic 0059_bsearch 0060_op_prio 0063_clusterid 0064_interceptors 0065_yield 0067_empty_topic
0068_produce_timeout 0069_consumer_add_parts 0070_null_empty 0073_headers 0075_retry 0076_produce_retry 0082_fetch_max_bytes 0083_cb_event
0084_destroy_flags 0085_headers 0086_purge_remote 0088_produce_metadata_timeout 0089_max_poll_interval 0090_idempotence
0091_max_poll_interval_timeout 0093_holb_consumer 0094_idempotence_msg_timeout 0099_commit_metadata 0102_static_group_rebalance 0110_batch_size
0112_assign_unknown_part 0114_sticky_partitioning 0118_commit_rebalance 0122_buffer_cleaning_after_rebalance
0123_connections_max_idle 0125_immediate_flush 0130_store_offsets 0132_strategy_ordering 0137_barrier_batch_consume
""".split()

# Entries of which only these parts can pass on the real Kafka, or here.
PARTS = {
    "0055_producer_latency": ["standard settings", "low linger.ms", "no acks (0ms)", "idempotence (10ms)"],
    "0061_consumer_lag": ["Test consumer lag without transactions"],
    "0081_admin": """do_test_DescribeConfigs do_test_DeleteRecords do_test_DeleteGroups do_test_DescribeConsumerGroups do_test_ListConsumerGroups
        do_test_DeleteConsumerGroupOffsets do_test_AlterConsumerGroupOffsets do_test_ListConsumerGroupOffsets do_test_unclean_destroy""".split(),
    "0113_cooperative_rebalance": """a_assign_tests b_subscribe_with_cb_test c_subscribe_no_cb_test d_change_subscription_add_topic
        e_change_subscription_remove_topic f_assign_call_cooperative g_incremental_assign_call_eager k_add_partition m_unsubscribe_2
        s_subscribe_when_rebalancing t_max_poll_interval_exceeded v_commit_during_rebalance x_incremental_rebalances""".split()
    + ["subscription_variation: 0"],
}

# Entries for a broker that makes no topic by being asked for it. The runner selects by number, the part then leaves out the number's other entries.
NO_AUTO_CREATE = {"0045_subscribe_update_non_exist_and_partchange": "do_test_non_exist"}

# Entries that run once more with idempotent producers (the runner's -P).
IDEMPOTENT = """0001_multiobj 0002_unkpart 0003_msgmaxsize 0005_order 0011_produce_batch 0012_produce_consume 0013_null_msgs 0017_compression
0036_partial_fetch 0048_partitioner 0070_null_empty 0073_headers 0085_headers 0114_sticky_partitioning""".split()

NOT_RUN = {
    "0028_long_topicnames": KNOWN,
    "0045_subscribe_update_topic_remove": DELETED,
    "0047_partial_buf_tmout": KNOWN,
    "0052_msg_timestamps": "needs Produce 1, which Kafka dropped with 4.0: fails on the real Kafka 4.3, too, and passes on 3.9.1",
    "0055_producer_latency transactions (35ms)": TRANSACTIONS,
    "0061_consumer_lag Test consumer lag with transactions": TRANSACTIONS,
    "0077_compaction": "wants segment.bytes=10000: passes on Kafka 3.9.1; less than 1 MiB is refused since 4.0 (KIP-1030), and here",
    "0081_admin do_test_CreateTopics": ZOOKEEPER,
    "0081_admin do_test_DeleteTopics": ZOOKEEPER,
    "0081_admin do_test_CreatePartitions": ZOOKEEPER,
    "0081_admin do_test_AlterConfigs": "sets a setting that Kafka 4.3 and 3.9.1 do not know: fails there, too",
    "0081_admin do_test_CreateAcls, do_test_DescribeAcls, do_test_DeleteAcls": ACLS,
    "0092_mixed_msgver": "sets message.format.version of a topic: refused by the real Kafka 4.3 and 3.9.1, too",
    "0097_ssl_verify": SSL,
    "0098_consumer_txn": TRANSACTIONS,
    "0101_fetch_from_follower": BROKERS,
    "0103_transactions": TRANSACTIONS,
    "0107_topic_recreate": BROKERS,
    "0109_auto_create_topics": ACLS,
    "0111_delay_create_topics": BROKERS,
    "0115_producer_auth": ACLS,
    "0119_consumer_auth": ACLS,
    "0113_cooperative_rebalance h_delete_topic, i_delete_topic_2, j_delete_topic_no_rb_callback, n_wildcard": DELETED,
    "0113_cooperative_rebalance l_unsubscribe": "counts on a broker that delays a group's first rebalance: fails on the real Kafka (4.3 and 3.9.1) that does not",
    "0113_cooperative_rebalance o_java_interop": "builds a Java program of the suite's own",
    "0113_cooperative_rebalance subscription_variation: 1, 2": "a minute each, and variation 0 is run",
    "0126_oauthbearer_oidc": SASL,
    "0129_fetch_aborted_msgs": TRANSACTIONS,
    "0135_sasl_credentials": SASL,
    "8000_idle": "to be started by hand: it waits for ever",
}
