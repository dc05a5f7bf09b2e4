import { drive, percentilesOf, type Subject } from './driver.ts'
import { type OperationName, operations } from './operations.ts'
import type { Worker } from './worker.ts'

/** How long token requests take, one at a time, while people keep signing in. Times are in milliseconds. */
export interface Storm {
  name: OperationName
  p50: number
  p95: number
  p99: number
  signInsPerSecond: number
  failed: number
  error: string | undefined
}

const peopleAtOnce = 16

export const storm = async (subject: Subject, name: OperationName, milliseconds: number): Promise<Storm> => {
  await subject.server.ask({ ask: 'hash', on: false })
  const people = await many(subject, 'sign_in', peopleAtOnce)
  const tokens = await many(subject, name, 1)
  await subject.server.ask({ ask: 'hash', on: true })
  const signIns = emptyTally()
  const requests = emptyTally()
  await drive(people, milliseconds / 4, emptyTally())
  await Promise.all([drive(people, milliseconds, signIns), drive(tokens, milliseconds, requests)])
  await Promise.all([...people, ...tokens].map(({ close }) => close()))
  return {
    name,
    ...percentilesOf(requests.latencies),
    signInsPerSecond: (signIns.latencies.length / signIns.elapsed) * 1000,
    failed: signIns.failed + requests.failed,
    error: signIns.error ?? requests.error,
  }
}

const emptyTally = () => ({
  latencies: [] as number[],
  failed: 0,
  error: undefined as string | undefined,
  elapsed: 0,
})

const many = async (subject: Subject, name: OperationName, count: number): Promise<Worker[]> => {
  const workers: Worker[] = []
  for (let n = 0; n < count; n += 1) workers.push(await operations[name](subject, n, count))
  return workers
}
