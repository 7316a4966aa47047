// franz-go judges a broker. usage: franz HOST:PORT
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "judges/judge"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Older records would be taken by retention.
var start = time.Now().UnixMilli() - 3_600_000

var (
	at            = Address()
	topic, single = NewTopic(), NewTopic()
	groupName     = NewTopic()
	sent          []Record
	timed         = Records("time", 100)
	adminClient   = client()
	admin         = kadm.NewClient(adminClient)
	ctx           = context.Background()
)

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(at), kgo.FetchMaxWait(500 * time.Millisecond), kgo.RequestRetries(3), kgo.RetryTimeout(10 * time.Second)}, options...)...)
	Must(err)
	return made
}

func within(seconds int) context.Context {
	out, _ := context.WithTimeout(ctx, time.Duration(seconds)*time.Second) //nolint:govet // it ends by itself
	return out
}

func send(name string, some []Record, each func(int, *kgo.Record), options ...kgo.Opt) {
	producer := client(append(options, kgo.RequiredAcks(kgo.AllISRAcks()))...)
	defer producer.Close()
	var records []*kgo.Record
	for index, one := range some {
		record := &kgo.Record{Topic: name, Key: []byte(one.Key), Value: []byte(one.Value)}
		for head, text := range one.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: head, Value: []byte(text)})
		}
		if each != nil {
			each(index, record)
		}
		records = append(records, record)
	}
	Must(producer.ProduceSync(within(20), records...).FirstErr())
}

func plain(some []*kgo.Record) []Record {
	var out []Record
	for _, one := range some {
		headers := map[string]string{}
		for _, header := range one.Headers {
			headers[header.Key] = string(header.Value)
		}
		out = append(out, Record{string(one.Key), string(one.Value), headers})
	}
	return out
}

// take reads until so many records came, or none comes for a while.
func take(count int, options ...kgo.Opt) []*kgo.Record {
	reader := client(options...)
	defer reader.Close()
	var out []*kgo.Record
	for limit := within(20); len(out) < count && limit.Err() == nil; {
		fetches := reader.PollFetches(limit)
		if limit.Err() == nil {
			Must(fetches.Err())
		}
		out = append(out, fetches.Records()...)
	}
	return out
}

func produce(codec string, options ...kgo.Opt) func() string {
	return func() string {
		some := Records(codec, 1000)
		send(topic, some, nil, options...)
		sent = append(sent, some...)
		return ""
	}
}

func fromStart() kgo.Opt { return kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()) }

func metadata() string {
	found, err := admin.BrokerMetadata(ctx)
	Must(err)
	if found.Cluster == "" || len(found.Brokers) == 0 {
		panic(fmt.Errorf("no cluster id or no brokers: %v", found))
	}
	return ""
}

func create() string {
	_, err := admin.CreateTopic(ctx, 3, 1, nil, topic)
	Must(err)
	_, err = admin.CreateTopic(ctx, 1, 1, nil, single)
	Must(err)
	_, err = admin.CreateTopic(ctx, 3, 1, nil, topic)
	Is(err, kerr.TopicAlreadyExists)
	found, err := admin.ListTopics(ctx, topic)
	Must(err)
	Equal(len(found[topic].Partitions), 3, "partitions")
	return ""
}

func consume() string {
	Same(plain(take(len(sent), kgo.ConsumeTopics(topic), fromStart())), sent)
	return ""
}

func fromOffset() string {
	send(single, timed, func(index int, record *kgo.Record) { record.Timestamp = time.UnixMilli(start + int64(index)*1000) })
	found := take(63, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{single: {0: kgo.NewOffset().At(37)}}))
	for index, one := range found {
		Equal(one.Offset, int64(37+index), "offset")
	}
	Same(plain(found), timed[37:])
	return ""
}

func fromTime() string {
	found, err := admin.ListOffsetsAfterMilli(ctx, start+41_500, single)
	Must(err)
	one, _ := found.Lookup(single, 0)
	Must(one.Err)
	Equal(one.Offset, int64(42), "offset")
	taken := take(58, kgo.ConsumeTopics(single), kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(start+41_500)))
	Same(plain(taken), timed[42:])
	Equal(taken[0].Timestamp.UnixMilli(), int64(start+42_000), "timestamp")
	return ""
}

func idempotent() string {
	produce("idempotent")()
	return consume()
}

func unknownTopic() string {
	_, err := admin.DeleteTopic(ctx, NewTopic())
	Is(err, kerr.UnknownTopicOrPartition)
	return "on delete"
}

// group lets two members share the partitions and commit; one that comes later finds only what came since.
func group() string {
	var lock sync.Mutex
	found := map[string]*kgo.Record{}
	owned := [2]map[int32]bool{{}, {}}
	stop, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	var failure error
	var members []*kgo.Client
	for index := range owned {
		mine := owned[index]
		change := func(has bool) func(context.Context, *kgo.Client, map[string][]int32) {
			return func(_ context.Context, _ *kgo.Client, some map[string][]int32) {
				lock.Lock()
				defer lock.Unlock()
				for _, partition := range some[topic] {
					if mine[partition] = has; !has {
						delete(mine, partition)
					}
				}
			}
		}
		member := client(kgo.ConsumerGroup(groupName), kgo.ConsumeTopics(topic), fromStart(), kgo.DisableAutoCommit(), kgo.SessionTimeout(10*time.Second),
			kgo.HeartbeatInterval(300*time.Millisecond), kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
		members = append(members, member)
		done.Add(1)
		go func() {
			defer done.Done()
			for {
				fetches := member.PollFetches(stop)
				if stop.Err() != nil {
					return
				}
				lock.Lock()
				if err := fetches.Err(); err != nil && failure == nil {
					failure = err
				}
				for _, one := range fetches.Records() {
					found[fmt.Sprint(one.Partition, ":", one.Offset)] = one
				}
				lock.Unlock()
			}
		}()
	}
	locked := func(holds func() bool) func() bool {
		return func() bool {
			lock.Lock()
			defer lock.Unlock()
			return holds()
		}
	}
	defer cancel()
	Until("both members have partitions", locked(func() bool { return len(owned[0]) > 0 && len(owned[1]) > 0 && len(owned[0])+len(owned[1]) == 3 }))
	Until("all records", locked(func() bool { return len(found) >= len(sent) }))
	Must(failure)
	for _, member := range members {
		Must(member.CommitUncommittedOffsets(within(10)))
	}
	cancel()
	done.Wait()
	var all []*kgo.Record
	for _, one := range found {
		all = append(all, one)
	}
	Same(plain(all), sent)
	for _, member := range members {
		member.Close()
	}
	some := Records("after", 20)
	send(topic, some, nil)
	sent = append(sent, some...)
	later := take(20, kgo.ConsumerGroup(groupName), kgo.ConsumeTopics(topic))
	Same(plain(later), some)
	return "cooperative-sticky"
}

func groupAdmin() string {
	listed, err := admin.ListGroups(ctx)
	Must(err)
	Equal(listed[groupName].ProtocolType, "consumer", "protocol type")
	Until("the group is empty", func() bool {
		described, err := admin.DescribeGroups(ctx, groupName)
		Must(err)
		Must(described[groupName].Err)
		return described[groupName].State == "Empty" && len(described[groupName].Members) == 0
	})
	var wanted kadm.Offsets
	wanted.AddOffset(topic, 1, 5, -1)
	stored, err := admin.CommitOffsets(ctx, groupName, wanted)
	Must(err)
	Must(stored.Error())
	found, err := admin.FetchOffsets(ctx, groupName)
	Must(err)
	one, _ := found.Lookup(topic, 1)
	Equal(one.At, int64(5), "set")
	set := kadm.TopicsSet{}
	set.Add(topic, 1)
	gone, err := admin.DeleteOffsets(ctx, groupName, set)
	Must(err)
	Must(gone.Error())
	found, err = admin.FetchOffsets(ctx, groupName)
	Must(err)
	_, there := found.Lookup(topic, 1)
	Equal(there, false, "a deleted offset is there")
	_, err = admin.DeleteGroup(ctx, groupName)
	Must(err)
	_, err = admin.DeleteGroup(ctx, groupName)
	Is(err, kerr.GroupIDNotFound)
	return ""
}

func configs() string {
	described := func() map[string]kadm.Config {
		all, err := admin.DescribeTopicConfigs(ctx, single)
		Must(err)
		one, err := all.On(single, nil)
		Must(err)
		Must(one.Err)
		out := map[string]kadm.Config{}
		for _, config := range one.Configs {
			out[config.Key] = config
		}
		return out
	}
	before := described()
	policy := before["cleanup.policy"]
	Equal([]string{policy.MaybeValue(), policy.Source.String()}, []string{"delete", "DEFAULT_CONFIG"}, "cleanup.policy")
	alter := func(value string) error {
		answers, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &value}}, single)
		Must(err)
		return answers[0].Err
	}
	Must(alter("7200000000"))
	now := described()["retention.ms"]
	Equal([]string{now.MaybeValue(), now.Source.String()}, []string{"7200000000", "DYNAMIC_TOPIC_CONFIG"}, "retention.ms")
	Is(alter("soon"), kerr.InvalidConfig)
	return fmt.Sprintf("%d settings of a topic listed", len(before))
}

func morePartitions() string {
	update := func(count int) error {
		answers, err := admin.UpdatePartitions(ctx, count, single)
		Must(err)
		return answers[single].Err
	}
	Must(update(3))
	found, err := admin.ListTopics(ctx, single)
	Must(err)
	Equal(len(found[single].Partitions), 3, "partitions")
	Is(update(2), kerr.InvalidPartitions)
	return ""
}

func deleteRecords() string {
	var until kadm.Offsets
	until.AddOffset(single, 0, 10, -1)
	answers, err := admin.DeleteRecords(ctx, until)
	Must(err)
	Must(answers.Error())
	one, _ := answers.Lookup(single, 0)
	Equal(one.LowWatermark, int64(10), "low watermark")
	starts, err := admin.ListStartOffsets(ctx, single)
	Must(err)
	first, _ := starts.Lookup(single, 0)
	Equal(first.Offset, int64(10), "start")
	return ""
}

func remove() string {
	answers, err := admin.DeleteTopics(ctx, topic, single)
	Must(err)
	Must(answers.Error())
	left, err := admin.ListTopics(ctx)
	Must(err)
	Equal([]bool{left.Has(topic), left.Has(single)}, []bool{false, false}, "left")
	return ""
}

func main() {
	plainly := kgo.DisableIdempotentWrite()
	Main("franz-go", ModuleVersion("github.com/twmb/franz-go"), []Task{
		{"metadata", metadata}, {"create", create},
		{"produce_none", produce("none", plainly, kgo.ProducerBatchCompression(kgo.NoCompression()))},
		{"produce_gzip", produce("gzip", plainly, kgo.ProducerBatchCompression(kgo.GzipCompression()))},
		{"produce_snappy", produce("snappy", plainly, kgo.ProducerBatchCompression(kgo.SnappyCompression()))},
		{"produce_lz4", produce("lz4", plainly, kgo.ProducerBatchCompression(kgo.Lz4Compression()))},
		{"produce_zstd", produce("zstd", plainly, kgo.ProducerBatchCompression(kgo.ZstdCompression()))},
		{"consume", consume}, {"from_offset", fromOffset}, {"from_time", fromTime}, {"idempotent", idempotent}, {"unknown_topic", unknownTopic},
		{"group", group}, {"group_admin", groupAdmin}, {"configs", configs}, {"more_partitions", morePartitions}, {"delete_records", deleteRecords},
		{"delete", remove},
	})
}
