import type { Fetch } from './fetch.ts'
import type { Log } from './log.ts'
import { type Breaker, openBreaker } from './sandbox/breaker.ts'
import { type Child, startChild } from './sandbox/child.ts'
import { findConfinement } from './sandbox/confinement.ts'
import { openErrands, type Reach } from './sandbox/errands.ts'
import { openNursery } from './sandbox/nursery.ts'
import { readOutput } from './sandbox/output.ts'
import { limits } from './sandbox/runner/limits.ts'
import type { Job, Why } from './sandbox/runner/protocol.ts'
import { supervise } from './sandbox/supervise.ts'
import { openTurns } from './sandbox/turns.ts'

/** A script's run: what it was given is JSON, and what it gives back is, too. */
export interface Run {
  /** Whose run this is, such as a pool or a script: each key fails for itself. */
  key: string
  /** Whose share of the turns it takes, such as a workspace's; the key's own, where this is not said. */
  turnsOf?: string | undefined
  /** JavaScript that defines the function to call; at most 64 KB. */
  code: string
  /** The name of the function, which may be async. */
  call: string
  /** What it is called with; at most 32 KB as JSON. */
  input: unknown
  /** The origins that its `fetch` may reach, and secrets that are put into headers on the way without the script seeing them. */
  fetch?: Reach | undefined
}

/** What became of a run. `logs` is what it printed, at most 8 KB; `ms` what it took, without waiting for its turn. */
export type Outcome = { logs: string; ms: number } & ({ ok: true; output: unknown } | Failure)

/** Why a run gave nothing back. `detail` is for whoever wrote the script: it may hold what the script was given. */
interface Failure {
  ok: false
  why: Why | 'busy'
  detail: string
}

/** Runs operators' code where it can reach nothing (security.md section 5). */
export interface Sandbox {
  /** Runs a script once, in a process of its own. Never throws for what the script does. */
  run(wanted: Run): Promise<Outcome>
  /** Ends every process that was started. */
  close(): Promise<void>
}

interface SandboxOptions {
  fetch: Fetch
  log: Log
  /** Children that are kept ready after the first run. */
  warm?: number
  /** Milliseconds without a run after which none is kept. */
  idleMs?: number
  now?: () => number
  start?: typeof startChild
}

/** Nothing is started before the first run. */
export const openSandbox = ({ fetch, log, start = startChild, now = Date.now, ...keep }: SandboxOptions): Sandbox => {
  const nursery = openNursery(openStart(log, start), { warm: 2, idleMs: 60_000, ...keep })
  const breaker = openBreaker({ failures: 5, restMs: 10_000 }, now)
  const computing = openTurns({ atOnce: 2, perKey: 2, room: 20 })
  // Those that wait for other servers must not keep those waiting that only compute, nor one slow server all the others.
  const fetching = openTurns({ atOnce: 4, perKey: 3, room: 20 })
  let closed = false
  const run = async (wanted: Run): Promise<Outcome> => {
    const job = readJob(wanted)
    if ('ok' in job) return ended(job)
    if (closed) return ended(busy('It is closing'))
    if (!breaker.closed(wanted.key)) return ended(busy('The last five runs failed, so this one was not tried'))
    const release = await (wanted.fetch ? fetching : computing).take(wanted.turnsOf ?? wanted.key)
    if (!release) return ended(busy('Too many runs wait already'))
    try {
      const outcome = await perform(await nursery.take(), job, wanted.fetch && openErrands(fetch, wanted.fetch))
      note(breaker, wanted.key, outcome)
      return outcome
    } finally {
      release()
      nursery.refill()
    }
  }
  return {
    run,
    close: async () => {
      closed = true
      for (const turns of [computing, fetching]) turns.close()
      await nursery.close()
    },
  }
}

/** Starts children shut in as well as this system can, and says so once. */
const openStart = (log: Log, start: typeof startChild) => {
  let told = false
  return async (): Promise<Child> => {
    const confinement = await findConfinement()
    if (!told) log[confinement.network && confinement.limits ? 'info' : 'warn']({ confinement }, 'scripts are shut in')
    told = true
    return start(confinement)
  }
}

const perform = async (
  child: Child | undefined,
  job: Job,
  errands: Parameters<typeof supervise>[2],
): Promise<Outcome> => {
  if (!child) return ended({ ok: false, why: 'crashed', detail: 'No process could be started' })
  const began = performance.now()
  const { verdict, logs } = await supervise(child, job, errands)
  return { ...(verdict.ok ? readOutput(verdict.output) : verdict), logs, ms: performance.now() - began }
}

const ended = (failure: Failure): Outcome => ({ ...failure, logs: '', ms: 0 })

const busy = (detail: string): Failure => ({ ok: false, why: 'busy', detail })

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** What a child is handed; a failure where it is too much. Throws where `call` is no name. */
const readJob = ({ code, call, input, fetch }: Run): Job | Failure => {
  if (!identifier.test(call)) throw new Error(`Not the name of a function: ${call}`)
  const text = JSON.stringify(input) ?? 'null'
  if (Buffer.byteLength(code) > limits.code) return tooLarge('The script is longer than 64 KB')
  if (Buffer.byteLength(text) > limits.input) return tooLarge('What it is given is longer than 32 KB')
  return { code, call, input: text, fetch: fetch !== undefined }
}

const tooLarge = (detail: string): Failure => ({ ok: false, why: 'too_large', detail })

/** Counts what costs us dearly; a script that throws costs little, and its throwing may be up to who signs in. */
const note = (breaker: Breaker, key: string, outcome: Outcome): void => {
  if (outcome.ok) breaker.succeeded(key)
  else if (['timeout', 'memory', 'crashed'].includes(outcome.why)) breaker.failed(key)
}
