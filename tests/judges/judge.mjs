// What the judges written in JavaScript share; judge.py says what the tasks are.
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

const tasks = /^TASKS = \(([^)]*)\)/ms.exec(readFileSync(new URL('judge.py', import.meta.url), 'utf8'))[1].match(/\w+/g)

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

export function equal(found, wanted, what) {
  const [came, due] = [found, wanted].map(one => JSON.stringify(one, (_, value) => typeof value === 'bigint' ? Number(value) : value))
  if (came !== due) throw new Error(`${what}: ${came}, not ${due}`)
}

/** Waits until it holds; tells what did not, after so many seconds. */
export async function until(what, condition, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; !await condition(); await sleep(50)) {
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`)
  }
}

/** What an error and those inside it say. */
const words = error => [`${error.name} ${error.type ?? error.apiId ?? ''} ${error.message}`, ...[...error.errors ?? [], error.cause].filter(Boolean).map(words)].join('; ')

/** Fails unless the call is refused with what the pattern says. */
export async function refused(call, pattern) {
  try {
    await call()
  } catch (error) {
    if (!pattern.test(words(error))) throw new Error(`refused with: ${words(error)}`)
    return
  }
  throw new Error(`it was not refused with ${pattern}`)
}

/** Runs the tasks that there are, in their order. */
export async function main(client, version, address, judged) {
  let failed = false
  const unknown = Object.keys(judged).filter(name => !tasks.includes(name))
  if (unknown.length) throw new Error(`no task is called ${unknown}`)
  for (const task of tasks.filter(name => name in judged && (process.env.JUDGE_TASK ?? name).split(';').includes(name))) {
    let result = 'ok'
    let reason = ''
    const begun = Date.now()
    try {
      reason = await judged[task]() ?? ''
    } catch (error) {
      if (process.env.JUDGE_TRACE) console.error(error)
      result = error instanceof Skip ? 'skipped' : 'failed'
      reason = result === 'skipped' ? error.message : `${error.name}: ${error.message}`.slice(0, 400)
      failed ||= result === 'failed'
    }
    console.error(`${client} ${version} ${task}: ${(Date.now() - begun) / 1000} s`)
    console.log(JSON.stringify({ client, version, task, result, reason }))
  }
  process.exit(failed ? 1 : 0)
}
