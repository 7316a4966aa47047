// sarama judges a broker. usage: sarama HOST:PORT
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "judges/judge"

	"github.com/IBM/sarama"
)

// Older records would be taken by retention.
var start = time.Now().UnixMilli() - 3_600_000

var (
	at            = Address()
	topic, single = NewTopic(), NewTopic()
	groupName     = NewTopic()
	sent          []Record
	timed         = Records("time", 100)
	admin         sarama.ClusterAdmin
	client        sarama.Client
)

func config() *sarama.Config {
	out := sarama.NewConfig()
	out.ClientID = "judge"
	out.Version = sarama.MaxVersion
	out.Producer.RequiredAcks = sarama.WaitForAll
	out.Producer.Return.Successes = true
	out.Producer.Flush.Frequency = 5 * time.Millisecond
	out.Consumer.Offsets.Initial = sarama.OffsetOldest
	out.Consumer.Group.Session.Timeout = 10 * time.Second
	out.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	out.Metadata.AllowAutoTopicCreation = false
	return out
}

func send(name string, some []Record, change func(*sarama.Config), each func(int, *sarama.ProducerMessage)) {
	settings := config()
	if change != nil {
		change(settings)
	}
	producer, err := sarama.NewSyncProducer([]string{at}, settings)
	Must(err)
	defer producer.Close()
	var messages []*sarama.ProducerMessage
	for index, one := range some {
		message := &sarama.ProducerMessage{Topic: name, Key: sarama.StringEncoder(one.Key), Value: sarama.StringEncoder(one.Value)}
		for head, text := range one.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(head), Value: []byte(text)})
		}
		if each != nil {
			each(index, message)
		}
		messages = append(messages, message)
	}
	Must(producer.SendMessages(messages))
}

func plain(one *sarama.ConsumerMessage) Record {
	headers := map[string]string{}
	for _, header := range one.Headers {
		headers[string(header.Key)] = string(header.Value)
	}
	return Record{string(one.Key), string(one.Value), headers}
}

// take reads a partition from an offset until so many records came, or none comes for a while.
func take(name string, partition int32, offset int64, count int) []*sarama.ConsumerMessage {
	consumer, err := sarama.NewConsumer([]string{at}, config())
	Must(err)
	defer consumer.Close()
	reader, err := consumer.ConsumePartition(name, partition, offset)
	Must(err)
	defer reader.Close()
	var out []*sarama.ConsumerMessage
	for len(out) < count {
		select {
		case one := <-reader.Messages():
			out = append(out, one)
		case <-time.After(10 * time.Second):
			return out
		}
	}
	return out
}

func end(name string, partition int32) int64 {
	offset, err := client.GetOffset(name, partition, sarama.OffsetNewest)
	Must(err)
	return offset
}

func produce(codec string, compression sarama.CompressionCodec) func() string {
	return func() string {
		some := Records(codec, 1000)
		send(topic, some, func(settings *sarama.Config) { settings.Producer.Compression = compression }, nil)
		sent = append(sent, some...)
		return ""
	}
}

func metadata() string {
	var err error
	client, err = sarama.NewClient([]string{at}, config())
	Must(err)
	admin, err = sarama.NewClusterAdmin([]string{at}, config())
	Must(err)
	brokers, controller, err := admin.DescribeCluster()
	Must(err)
	Equal([]int{len(brokers), int(controller)}, []int{1, int(brokers[0].ID())}, "brokers and the controller")
	return ""
}

func create() string {
	Must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false))
	Must(admin.CreateTopic(single, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false))
	Is(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false), sarama.ErrTopicAlreadyExists)
	found, err := admin.DescribeTopics([]string{topic})
	Must(err)
	Equal(len(found[0].Partitions), 3, "partitions")
	return ""
}

func consume() string {
	var found []Record
	for partition := int32(0); partition < 3; partition++ {
		for _, one := range take(topic, partition, sarama.OffsetOldest, int(end(topic, partition))) {
			found = append(found, plain(one))
		}
	}
	Same(found, sent)
	return ""
}

func fromOffset() string {
	send(single, timed, nil, func(index int, message *sarama.ProducerMessage) {
		message.Timestamp = time.UnixMilli(start + int64(index)*1000)
	})
	var found []Record
	for index, one := range take(single, 0, 37, 63) {
		Equal(one.Offset, int64(37+index), "offset")
		found = append(found, plain(one))
	}
	Same(found, timed[37:])
	return ""
}

func fromTime() string {
	offset, err := client.GetOffset(single, 0, start+41_500)
	Must(err)
	Equal(offset, int64(42), "offset")
	Equal(take(single, 0, offset, 1)[0].Timestamp.UnixMilli(), int64(start+42_000), "timestamp")
	return ""
}

func idempotent() string {
	some := Records("idempotent", 1000)
	send(topic, some, func(settings *sarama.Config) {
		settings.Producer.Idempotent = true
		settings.Net.MaxOpenRequests = 1
	}, nil)
	sent = append(sent, some...)
	return consume()
}

func unknownTopic() string {
	Is(admin.DeleteTopic(NewTopic()), sarama.ErrUnknownTopicOrPartition)
	return "on delete"
}

// member notes what comes to it.
type member struct {
	lock  *sync.Mutex
	found map[string]Record
	owned *int
}

func (m member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	*m.owned = len(session.Claims()[topic])
	return nil
}
func (m member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case one, more := <-claim.Messages():
			if !more {
				return nil
			}
			m.lock.Lock()
			m.found[fmt.Sprint(one.Partition, ":", one.Offset)] = plain(one)
			m.lock.Unlock()
			session.MarkMessage(one, "")
		case <-session.Context().Done():
			return nil
		}
	}
}

// join runs so many members until it holds, and lets them leave.
func join(count int, what string, holds func(found map[string]Record, owned []int) bool) []Record {
	var lock sync.Mutex
	found, owned := map[string]Record{}, make([]int, count)
	stop, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	var groups []sarama.ConsumerGroup
	for index := range owned {
		group, err := sarama.NewConsumerGroup([]string{at}, groupName, config())
		Must(err)
		groups = append(groups, group)
		done.Add(1)
		go func() {
			defer done.Done()
			for stop.Err() == nil {
				if group.Consume(stop, []string{topic}, member{&lock, found, &owned[index]}) != nil {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
	}
	defer func() {
		cancel()
		done.Wait()
		for _, group := range groups {
			Must(group.Close())
		}
	}()
	Until(what, func() bool {
		lock.Lock()
		defer lock.Unlock()
		return holds(found, owned)
	})
	var out []Record
	for _, one := range found {
		out = append(out, one)
	}
	return out
}

func group() string {
	found := join(2, "both members have partitions, and all records", func(found map[string]Record, owned []int) bool {
		return owned[0] > 0 && owned[1] > 0 && owned[0]+owned[1] == 3 && len(found) >= len(sent)
	})
	Same(found, sent)
	some := Records("after", 20)
	send(topic, some, nil, nil)
	sent = append(sent, some...)
	Same(join(1, "what came since", func(found map[string]Record, _ []int) bool { return len(found) >= 20 }), some)
	return ""
}

func groupAdmin() string {
	listed, err := admin.ListConsumerGroups()
	Must(err)
	Equal(listed[groupName], "consumer", "protocol type")
	described, err := admin.DescribeConsumerGroups([]string{groupName})
	Must(err)
	Equal([]string{described[0].State, fmt.Sprint(len(described[0].Members))}, []string{"Empty", "0"}, "described")
	committed := func() map[int32]int64 {
		answer, err := admin.ListConsumerGroupOffsets(groupName, map[string][]int32{topic: {0, 1, 2}})
		Must(err)
		out := map[int32]int64{}
		for partition, block := range answer.Blocks[topic] {
			out[partition] = block.Offset
		}
		return out
	}
	Equal(committed(), map[int32]int64{0: end(topic, 0), 1: end(topic, 1), 2: end(topic, 2)}, "committed")
	Must(admin.DeleteConsumerGroupOffset(groupName, topic, 1))
	Equal(committed()[1], int64(-1), "deleted")
	Must(admin.DeleteConsumerGroup(groupName))
	Is(admin.DeleteConsumerGroup(groupName), sarama.ErrGroupIDNotFound)
	return ""
}

func configs() string {
	described := func() map[string]sarama.ConfigEntry {
		entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: single})
		Must(err)
		out := map[string]sarama.ConfigEntry{}
		for _, one := range entries {
			out[one.Name] = one
		}
		return out
	}
	before := described()
	Equal([]any{before["cleanup.policy"].Value, before["cleanup.policy"].Source}, []any{"delete", sarama.SourceDefault}, "cleanup.policy")
	alter := func(value string) error {
		return admin.IncrementalAlterConfig(sarama.TopicResource, single, map[string]sarama.IncrementalAlterConfigsEntry{
			"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false)
	}
	Must(alter("7200000000"))
	now := described()["retention.ms"]
	Equal([]any{now.Value, now.Source}, []any{"7200000000", sarama.SourceTopic}, "retention.ms")
	Is(alter("soon"), sarama.ErrInvalidConfig)
	replaced := "3600000"
	Must(admin.AlterConfig(sarama.TopicResource, single, map[string]*string{"segment.ms": &replaced}, false))
	after := described()
	Equal([]any{after["segment.ms"].Value, after["retention.ms"].Source == sarama.SourceTopic}, []any{"3600000", false}, "AlterConfigs replaces all")
	return fmt.Sprintf("%d settings of a topic listed", len(before))
}

func morePartitions() string {
	Must(admin.CreatePartitions(single, 3, nil, false))
	found, err := admin.DescribeTopics([]string{single})
	Must(err)
	Equal(len(found[0].Partitions), 3, "partitions")
	Is(admin.CreatePartitions(single, 2, nil, false), sarama.ErrInvalidPartitions)
	return ""
}

func deleteRecords() string {
	Must(admin.DeleteRecords(single, map[int32]int64{0: 10}))
	offset, err := client.GetOffset(single, 0, sarama.OffsetOldest)
	Must(err)
	Equal(offset, int64(10), "start")
	return ""
}

func remove() string {
	Must(admin.DeleteTopic(topic))
	Must(admin.DeleteTopic(single))
	left, err := admin.ListTopics()
	Must(err)
	_, first := left[topic]
	_, second := left[single]
	Equal([]bool{first, second}, []bool{false, false}, "left")
	Must(admin.Close())
	return ""
}

func main() {
	Main("sarama", ModuleVersion("github.com/IBM/sarama"), []Task{
		{"metadata", metadata}, {"create", create},
		{"produce_none", produce("none", sarama.CompressionNone)}, {"produce_gzip", produce("gzip", sarama.CompressionGZIP)},
		{"produce_snappy", produce("snappy", sarama.CompressionSnappy)}, {"produce_lz4", produce("lz4", sarama.CompressionLZ4)},
		{"produce_zstd", produce("zstd", sarama.CompressionZSTD)},
		{"consume", consume}, {"from_offset", fromOffset}, {"from_time", fromTime}, {"idempotent", idempotent}, {"unknown_topic", unknownTopic},
		{"group", group}, {"group_admin", groupAdmin}, {"configs", configs}, {"more_partitions", morePartitions}, {"delete_records", deleteRecords},
		{"delete", remove},
	})
}
