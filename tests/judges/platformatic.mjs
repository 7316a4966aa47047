// @platformatic/kafka judges a broker. usage: JUDGE_MODULES=FOLDER node platformatic.mjs HOST:PORT
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import zlib from 'node:zlib'
import { equal, main, newTopic, records, refused, same, skip, sleep, until } from './judge.mjs'

const require = createRequire(process.env.JUDGE_MODULES + '/')
const { Admin, Consumer, Producer, ConfigResourceTypes, IncrementalAlterConfigOperationTypes, MessagesStreamModes, stringDeserializers, stringSerializers } =
  await import(pathToFileURL(require.resolve('@platformatic/kafka')))
const { version } = JSON.parse(readFileSync(process.env.JUDGE_MODULES + '/node_modules/@platformatic/kafka/package.json', 'utf8'))
const base = { clientId: 'judge', bootstrapBrokers: [process.argv[2]], retries: 3, timeout: 10000 }
const admin = new Admin(base)
const topic = newTopic()
const single = newTopic()
const group = newTopic()
const sent = []
const start = Date.now() - 3_600_000 // older records would be taken by retention
const timed = records('time', 100)

async function send(name, compression, some, options = {}, more = () => ({})) {
  const producer = new Producer({ ...base, serializers: stringSerializers, autocreateTopics: false, ...options })
  try {
    const messages = some.map(([key, value, headers], index) => ({ topic: name, key, value, headers, ...more(index) }))
    return await producer.send({ messages, acks: -1, compression })
  } finally {
    await producer.close()
  }
}

const reader = (groupId = newTopic()) =>
  new Consumer({ ...base, groupId, deserializers: stringDeserializers, autocommit: false, sessionTimeout: 10000, heartbeatInterval: 500, maxWaitTime: 500 })
const plain = ({ key, value, headers }) => [key, value, Object.fromEntries(headers)]

/** Reads until `count` messages came. */
async function consumed(topics, count, options, consumer = reader()) {
  const found = []
  let broken
  try {
    const stream = await consumer.consume({ topics, mode: MessagesStreamModes.EARLIEST, ...options })
    stream.on('data', message => found.push(message))
    stream.on('error', error => { broken = error })
    for (const end = Date.now() + 20000; !broken && found.length < count && Date.now() < end;) await sleep(20)
    if (broken) throw broken
    await stream.close()
  } finally {
    await consumer.close(true)
  }
  return found
}

async function offsets(name, partitions, timestamp) {
  const [found] = await admin.listOffsets({ topics: [{ name, partitions: partitions.map(partitionIndex => ({ partitionIndex, timestamp })) }] })
  return Object.fromEntries(found.partitions.map(({ partitionIndex, offset }) => [partitionIndex, Number(offset)]))
}

const produce = codec => async () => {
  const some = records(codec)
  await send(topic, codec, some)
  sent.push(...some)
}

await main('platformatic/kafka', version, process.argv[2], {
  async metadata() {
    const found = await admin.metadata({ topics: [] })
    if (!found.id || !found.brokers.size) throw new Error('no cluster id or no brokers')
  },
  async create() {
    const [made] = await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 })
    equal([made.name, made.partitions, made.replicas], [topic, 3, 1], 'made')
    await admin.createTopics({ topics: [single], partitions: 1, replicas: 1 })
    await refused(() => admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 }), /TOPIC_ALREADY_EXISTS|already exists/)
    const found = await admin.metadata({ topics: [topic], forceUpdate: true })
    equal(found.topics.get(topic).partitionsCount, 3, 'partitions')
  },
  produce_none: produce('none'),
  produce_gzip: produce('gzip'),
  produce_snappy: produce('snappy'),
  produce_lz4: produce('lz4'),
  async produce_zstd() {
    if (!zlib.zstdCompressSync) skip(`it takes zstd from Node, and ${process.version} has none`)
    await produce('zstd')()
  },
  async consume() {
    same((await consumed([topic], sent.length)).map(plain), sent)
  },
  async from_offset() {
    await send(single, 'none', timed, {}, index => ({ timestamp: BigInt(start + index * 1000) }))
    const found = await consumed([single], 63, { mode: MessagesStreamModes.MANUAL, offsets: [{ topic: single, partition: 0, offset: 37n }] })
    equal(found.map(({ offset }) => offset), Array.from({ length: 63 }, (_, index) => 37 + index), 'offsets')
    same(found.map(plain), timed.slice(37))
  },
  async from_time() {
    equal(await offsets(single, [0], BigInt(start + 41_500)), { 0: 42 }, 'offset of a time')
    equal([await offsets(single, [0], -2n), await offsets(single, [0], -1n)], [{ 0: 0 }, { 0: 100 }], 'ends')
  },
  async idempotent() {
    const some = records('idempotent')
    await send(topic, 'none', some, { idempotent: true })
    sent.push(...some)
    same((await consumed([topic], sent.length)).map(plain), sent)
  },
  async unknown_topic() {
    await refused(() => admin.deleteTopics({ topics: [newTopic()] }), /UNKNOWN_TOPIC_OR_PARTITION|does not host/)
    return 'on delete'
  },
  async group() {
    // Two members share the partitions and commit; one that comes later finds only what came since.
    const members = [reader(group), reader(group)]
    const found = []
    const streams = []
    try {
      for (const member of members) {
        const stream = await member.consume({ topics: [topic], mode: MessagesStreamModes.COMMITTED, fallbackMode: 'earliest', autocommit: true })
        stream.on('data', message => found.push(message))
        stream.on('error', () => {})
        streams.push(stream)
      }
      const shares = () => members.map(member => (member.assignments ?? []).flatMap(({ partitions }) => partitions))
      await until('both members have partitions', () => shares().every(share => share.length) && shares().flat().sort().join() === '0,1,2')
      await until('all records', () => new Set(found.map(one => `${one.partition}:${one.offset}`)).size === sent.length)
      await sleep(300)
    } finally {
      for (const stream of streams) await stream.close()
      for (const member of members) await member.close(true)
    }
    same([...new Map(found.map(one => [`${one.partition}:${one.offset}`, one])).values()].map(plain), sent)
    const some = records('after', 20)
    await send(topic, 'none', some)
    sent.push(...some)
    same((await consumed([topic], 20, { mode: MessagesStreamModes.COMMITTED, fallbackMode: 'fail' }, reader(group))).map(plain), some)
  },
  async group_admin() {
    const listed = (await admin.listGroups()).get(group)
    equal([listed.state, listed.protocolType], ['EMPTY', 'consumer'], 'listed')
    const described = (await admin.describeGroups({ groups: [group] })).get(group)
    equal([described.state, described.members.size], ['EMPTY', 0], 'described')
    const committed = async () => {
      const [{ topics: [{ partitions } = { partitions: [] }] }] = await admin.listConsumerGroupOffsets({ groups: [group] })
      return Object.fromEntries(partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)]))
    }
    await admin.alterConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionOffsets: [{ partition: 1, offset: 5n }] }] })
    equal((await committed())[1], 5, 'set')
    await admin.deleteConsumerGroupOffsets({ groupId: group, topics: [{ name: topic, partitionIndexes: [1] }] })
    equal(1 in await committed(), false, 'deleted')
    await admin.deleteGroups({ groups: [group] })
    await refused(() => admin.deleteGroups({ groups: [group] }), /GROUP_ID_NOT_FOUND|group id does not exist/)
  },
  async configs() {
    const described = async () => {
      const [{ configs }] = await admin.describeConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: single }], includeSynonyms: true, includeDocumentation: false })
      return Object.fromEntries(configs.map(({ name, value, configSource }) => [name, [value, configSource]]))
    }
    const before = await described()
    equal(before['cleanup.policy'], ['delete', 5], 'cleanup.policy')
    const alter = (name, value) => admin.incrementalAlterConfigs({ resources: [{
      resourceType: ConfigResourceTypes.TOPIC, resourceName: single, configs: [{ name, configOperation: IncrementalAlterConfigOperationTypes.SET, value }]
    }] })
    await alter('retention.ms', '7200000000')
    equal((await described())['retention.ms'], ['7200000000', 1], 'retention.ms')
    await refused(() => alter('retention.ms', 'soon'), /INVALID_CONFIG/)
    return `${Object.keys(before).length} settings of a topic listed`
  },
  async more_partitions() {
    await admin.createPartitions({ topics: [{ name: single, count: 3, assignments: null }] })
    equal((await admin.metadata({ topics: [single], forceUpdate: true })).topics.get(single).partitionsCount, 3, 'partitions')
    await refused(() => admin.createPartitions({ topics: [{ name: single, count: 2, assignments: null }] }), /INVALID_PARTITIONS/)
  },
  async delete_records() {
    const [{ partitions: [{ lowWatermark }] }] = await admin.deleteRecords({ topics: [{ name: single, partitions: [{ partition: 0, offset: 10n }] }] })
    equal([lowWatermark, await offsets(single, [0], -2n)], [10, { 0: 10 }], 'start')
  },
  async delete() {
    await admin.deleteTopics({ topics: [topic, single] })
    const left = (await admin.listTopics()).filter(name => name === topic || name === single)
    await admin.close()
    equal(left, [], 'left')
  }
})
