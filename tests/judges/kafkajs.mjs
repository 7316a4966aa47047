// kafkajs judges a broker. usage: JUDGE_MODULES=FOLDER node kafkajs.mjs HOST:PORT
import { createRequire } from 'node:module'
import { main, newTopic, records, same, skip, sleep } from './judge.mjs'

const require = createRequire(process.env.JUDGE_MODULES + '/')
const { Kafka, CompressionTypes, logLevel, Partitioners } = require('kafkajs')
const version = require('kafkajs/package.json').version
const kafka = new Kafka({ clientId: 'judge', brokers: [process.argv[2]], logLevel: logLevel.NOTHING, retry: { retries: 3 } })
const admin = kafka.admin()
const topic = newTopic()
const single = newTopic()
const sent = []
const start = 1_600_000_000_000

async function send(name, codec, some, options = {}, more = () => ({})) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options })
  await producer.connect()
  try {
    const messages = some.map(([key, value, headers], index) => ({ key, value, headers, ...more(index) }))
    await producer.send({ topic: name, acks: -1, compression: CompressionTypes[codec], messages })
  } finally {
    await producer.disconnect()
  }
}

async function consumed(name, count) {
  const consumer = kafka.consumer({ groupId: newTopic() })
  const found = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [name], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) => {
        found.push([String(key), String(value), Object.fromEntries(Object.entries(headers).map(([head, text]) => [head, String(text)]))])
      }
    })
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
    if (topics[0].partitions.length !== 3) throw new Error(JSON.stringify(topics))
  },
  produce_none: produce('None'),
  produce_gzip: produce('GZIP'),
  produce_snappy: () => skip('the codec is a package of its own'),
  produce_lz4: () => skip('the codec is a package of its own'),
  produce_zstd: () => skip('the codec is a package of its own'),
  async from_time() {
    const some = records('time', 100)
    await send(single, 'None', some, {}, index => ({ timestamp: String(start + index * 1000) }))
    const [{ offset }] = await admin.fetchTopicOffsetsByTimestamp(single, start + 41_500)
    if (offset !== '42') throw new Error(`offset ${offset}, not 42`)
    const [{ low, high }] = await admin.fetchTopicOffsets(single)
    if (low !== '0' || high !== '100') throw new Error(`ends ${low} and ${high}`)
  },
  async idempotent() {
    const some = records('idempotent')
    await send(topic, 'None', some, { idempotent: true, maxInFlightRequests: 1 })
    sent.push(...some)
  },
  async unknown_topic() {
    try {
      await admin.deleteTopics({ topics: [newTopic()] })
    } catch (error) {
      if (!/topic-partition/.test(error.message)) throw error
      return 'on delete'
    }
    throw new Error('a topic that is not there was deleted')
  },
  async group() {
    same(await consumed(topic, sent.length), sent)
  },
  async delete() {
    await admin.deleteTopics({ topics: [topic, single] })
    const left = (await admin.listTopics()).filter(name => name === topic || name === single)
    await admin.disconnect()
    if (left.length) throw new Error(left.join())
  }
})
