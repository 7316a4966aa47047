// What the judges written in JavaScript share; judge.py says what the tasks are.
import { randomUUID } from 'node:crypto'

const tasks = ['metadata', 'create', 'produce_none', 'produce_gzip', 'produce_snappy', 'produce_lz4', 'produce_zstd', 'consume', 'from_offset', 'from_time',
  'idempotent', 'unknown_topic', 'group', 'programs', 'delete']

class Skip extends Error {}
export function skip(reason) { throw new Skip(reason) }
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
export const newTopic = () => 'judge-' + randomUUID().replaceAll('-', '').slice(0, 10)
export const records = (codec, count = 1000) =>
  Array.from({ length: count }, (_, index) => [`key-${index % 50}`, `${codec}-${index}-` + 'x'.repeat(index % 100), { codec, n: String(index) }])

/** Both hold the same records, each as often, in whatever order. */
export function same(found, wanted) {
  const sorted = some => some.map(([key, value, headers]) => JSON.stringify([key, value, Object.entries(headers).sort()])).sort()
  const came = sorted(found)
  const sent = sorted(wanted)
  const missing = sent.findIndex((one, index) => one !== came[index])
  if (came.length !== sent.length || missing >= 0) throw new Error(`${came.length} records came, ${sent.length} were sent; one is ${sent[missing]}`)
}

/** Runs the tasks that there are, in their order. */
export async function main(client, version, address, judged) {
  let failed = false
  for (const task of tasks.filter(name => name in judged)) {
    let result = 'ok'
    let reason = ''
    try {
      if (task === 'group' && process.env.JUDGE_SKIP_GROUP) skip(process.env.JUDGE_SKIP_GROUP)
      reason = await judged[task]() ?? ''
    } catch (error) {
      result = error instanceof Skip ? 'skipped' : 'failed'
      reason = result === 'skipped' ? error.message : `${error.name}: ${error.message}`.slice(0, 400)
      failed ||= result === 'failed'
    }
    console.log(JSON.stringify({ client, version, task, result, reason }))
  }
  process.exit(failed ? 1 : 0)
}
