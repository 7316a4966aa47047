// kafkajs judges a broker. usage: JUDGE_MODULES=FOLDER node kafkajs.mjs HOST:PORT
import { createRequire } from 'node:module'
import { equal, main, newTopic, records, refused, same, sleep, until } from './judge.mjs'

const require = createRequire(process.env.JUDGE_MODULES + '/')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel, Partitioners } = require('kafkajs')
const { lz4Compress, lz4Decompress } = require('@platformatic/wasm-utils')
const zstd = require('@bokuweb/zstd-wasm')
await zstd.init()
// The codecs that kafkajs leaves to packages.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () =>
  ({ compress: async encoder => Buffer.from(lz4Compress(encoder.buffer)), decompress: async buffer => Buffer.from(lz4Decompress(buffer)) })
CompressionCodecs[CompressionTypes.ZSTD] = () =>
  ({ compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)), decompress: async buffer => Buffer.from(zstd.decompress(buffer)) })

const version = require('kafkajs/package.json').version
const kafka = new Kafka({ clientId: 'judge', brokers: [process.argv[2]], logLevel: logLevel.NOTHING, retry: { retries: 3 } })
const admin = kafka.admin()
const topic = newTopic()
const single = newTopic()
const group = newTopic()
const sent = []
const start = Date.now() - 3_600_000 // older records would be taken by retention
const timed = records('time', 100)

async function send(name, codec, some, options = {}, more = () => ({})) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
  await producer.connect()
  try {
    const messages = some.map(([key, value, headers], index) => ({ key, value, headers, ...more(index) }))
    return await producer.send({ topic: name, acks: -1, compression: CompressionTypes[codec], messages })
  } finally {
    await producer.disconnect()
  }
}

const plain = ({ key, value, headers }) =>
  [String(key), String(value), Object.fromEntries(Object.entries(headers).map(([head, text]) => [head, String(text)]))]

/** Reads a topic as a member of a group until `count` records came; [message], with their partitions. */
async function consumed(name, count, groupId = newTopic(), also = () => {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10000 })
  const found = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [name], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ partition, message }) => { found.push({ partition, ...message }) } })
    also(consumer)
    for (const end = Date.now() + 20000; found.length < count && Date.now() < end;) await sleep(20)
  } finally {
    await consumer.disconnect()
  }
  return found
}

const produce = codec => async () => {
  const some = records(codec.toLowerCase())
  await send(topic, codec, some)
  sent.push(...some)
}

await main('kafkajs', version, process.argv[2], {
  async metadata() {
    await admin.connect()
    const { brokers, clusterId } = await admin.describeCluster()
    if (!brokers.length || !clusterId) throw new Error(JSON.stringify({ brokers, clusterId }))
  },
  async create() {
    if (!await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }, { topic: single, numPartitions: 1, replicationFactor: 1 }] }))
      throw new Error('the topics were there already')
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    equal(topics[0].partitions.length, 3, 'partitions')
    equal(await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 1 }] }), false, 'made twice')
  },
  produce_none: produce('None'),
  produce_gzip: produce('GZIP'),
  produce_snappy: produce('Snappy'),
  produce_lz4: produce('LZ4'),
  produce_zstd: produce('ZSTD'),
  async consume() {
    same((await consumed(topic, sent.length)).map(plain), sent)
  },
  async from_offset() {
    await send(single, 'None', timed, {}, index => ({ timestamp: String(start + index * 1000) }))
    const found = await consumed(single, 63, newTopic(), consumer => consumer.seek({ topic: single, partition: 0, offset: '37' }))
    equal(found.map(one => Number(one.offset)), Array.from({ length: 63 }, (_, index) => 37 + index), 'offsets')
    same(found.map(plain), timed.slice(37))
  },
  async from_time() {
    const [{ offset }] = await admin.fetchTopicOffsetsByTimestamp(single, start + 41_500)
    equal(offset, '42', 'offset')
    const [{ low, high }] = await admin.fetchTopicOffsets(single)
    equal([low, high], ['0', '100'], 'ends')
  },
  async idempotent() {
    const some = records('idempotent')
    await send(topic, 'None', some, { idempotent: true, maxInFlightRequests: 1 })
    sent.push(...some)
  },
  async unknown_topic() {
    await refused(() => admin.deleteTopics({ topics: [newTopic()] }), /topic-partition/)
    return 'on delete'
  },
  async group() {
    // Two members share the partitions; a third one that comes after them finds nothing, for all was committed.
    const members = [0, 1].map(() => kafka.consumer({ groupId: group, sessionTimeout: 10000 }))
    const found = [[], []]
    const owned = [[], []]
    try {
      for (const [index, member] of members.entries()) {
        await member.connect()
        member.on(member.events.GROUP_JOIN, ({ payload }) => { owned[index] = payload.memberAssignment[topic] ?? [] })
        await member.subscribe({ topics: [topic], fromBeginning: true })
        await member.run({ eachMessage: async ({ message }) => { found[index].push(plain(message)) } })
      }
      await until('both members have partitions', () => owned[0].length && owned[1].length && owned[0].length + owned[1].length === 3)
      await until('all records', () => new Set([...found[0], ...found[1]].map(one => one[1])).size === new Set(sent.map(one => one[1])).size)
      await sleep(300)
    } finally {
      for (const member of members) await member.disconnect()
    }
    const values = new Set([...found[0], ...found[1]].map(one => one[1]))
    equal(sent.filter(one => !values.has(one[1])), [], 'missing')
    const some = records('after', 20)
    await send(topic, 'None', some)
    sent.push(...some)
    same((await consumed(topic, 20, group)).map(plain), some)
  },
  async group_admin() {
    const { groups } = await admin.listGroups()
    if (!groups.some(one => one.groupId === group && one.protocolType === 'consumer')) throw new Error(`${group} is not listed`)
    const [described] = (await admin.describeGroups([group])).groups
    equal([described.state, described.members, described.protocolType], ['Empty', [], 'consumer'], 'described')
    const ends = Object.fromEntries((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, high]))
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    equal(Object.fromEntries(partitions.map(({ partition, offset }) => [partition, offset])), ends, 'committed')
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 1, offset: '5' }] })
    const [{ partitions: now }] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    equal(now.find(({ partition }) => partition === 1).offset, '5', 'set')
    await admin.resetOffsets({ groupId: group, topic, earliest: true })
    const [{ partitions: reset }] = await admin.fetchOffsets({ groupId: group, topics: [topic], resolveOffsets: true })
    equal(reset.map(({ offset }) => offset), ['0', '0', '0'], 'reset')
    await admin.deleteGroups([group])
    await refused(() => admin.deleteGroups([group]), /group/i)
  },
  async configs() {
    const described = async () => {
      const { resources: [{ configEntries }] } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: single }] })
      return Object.fromEntries(configEntries.map(({ configName, configValue, isDefault }) => [configName, [configValue, isDefault]]))
    }
    const before = await described()
    equal(before['cleanup.policy'], ['delete', true], 'cleanup.policy')
    const alter = (name, value) => admin.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name: single, configEntries: [{ name, value }] }] })
    await alter('retention.ms', '7200000000')
    equal((await described())['retention.ms'], ['7200000000', false], 'retention.ms')
    await refused(() => alter('retention.ms', 'soon'), /Configuration is invalid|INVALID_CONFIG/)
    return `${Object.keys(before).length} settings of a topic listed`
  },
  async more_partitions() {
    await admin.createPartitions({ topicPartitions: [{ topic: single, count: 3 }] })
    const { topics } = await admin.fetchTopicMetadata({ topics: [single] })
    equal(topics[0].partitions.length, 3, 'partitions')
    await refused(() => admin.createPartitions({ topicPartitions: [{ topic: single, count: 2 }] }), /partition/i)
  },
  async delete_records() {
    await admin.deleteTopicRecords({ topic: single, partitions: [{ partition: 0, offset: '10' }] })
    const first = (await admin.fetchTopicOffsets(single)).find(({ partition }) => partition === 0)
    equal([first.low, first.high], ['10', '100'], 'ends')
  },
  async delete() {
    await admin.deleteTopics({ topics: [topic, single] })
    const left = (await admin.listTopics()).filter(name => name === topic || name === single)
    await admin.disconnect()
    equal(left, [], 'left')
  }
})
