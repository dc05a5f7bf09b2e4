import { LRUCache } from 'lru-cache'
import { currentWork } from '../../db/work.ts'
import * as audit from '../../directory/audit.ts'
import { openSettings } from '../../directory/pool-secrets.ts'
import type { Pool } from '../../directory/pools.ts'
import type { Services } from '../../services.ts'
import { storableOutsider } from '../outsider.ts'
import { getSource } from './index.ts'
import { paceOf } from './pace.ts'
import type { Checked, Found, OpenSource, SourceTools, Tried, Trouble } from './source.ts'

/** A call takes at most `callMs`. After `faults` in a row nothing is asked for `restMs`; then one call shows how it is. */
const bounds = { callMs: 3_000, faults: 5, restMs: 10_000, calls: 40, queue: 80, againMs: 1_000, listMs: 20_000 }

/** A pool's source, asked with care: never while it is paused or resting, never by too many at once, never for long. */
export type GuardedSource = Pick<OpenSource, 'check' | 'find'>

/**
 * A pool's source as sign-in may ask it. Whatever is wrong is an answer; it is counted, and an event tells when the source
 * stopped answering and when it does again. Throws where the pool has no source.
 */
export const guardedSource = (pool: Pool, services: Services): GuardedSource => {
  const { source } = pool
  if (!source) throw new Error('Only an external pool has a source.')
  const opened = openedOf(pool, services)
  const ask = async <Answer extends Checked | Found>(
    call: 'check' | 'find',
    run: (open: OpenSource) => Promise<Answer>,
  ): Promise<Answer | Trouble> => {
    const answer = source.paused ? paused : await guard(opened, services, pool, call, run)
    services.metrics.source(call, answer.is)
    return answer
  }
  return {
    check: (asked) => ask('check', (open) => open.check(asked)),
    find: (asked) =>
      ask('find', async (open) => {
        const began = performance.now()
        const first = await open.find(asked)
        const again = first.is === 'unavailable' && performance.now() - began < bounds.againMs
        return again ? open.find(asked) : first
      }),
  }
}

/** Opens a source with its settings, and no guard: for operators who try it out. A fault is a sentence. */
const openSource = (
  { id, source }: Pick<Pool, 'id' | 'source'>,
  { keyring, ...tools }: SourceTools & Pick<Services, 'keyring'>,
): OpenSource | string => {
  const type = source ? getSource(source.type) : undefined
  if (!source || !type) return 'There is no such type of source'
  try {
    const settings = openSettings(keyring, { pool: id, field: 'source' }, source.settings)
    const read = type.settings.safeParse(settings)
    return read.success ? type.open(read.data, tools) : 'Its settings are not complete'
  } catch {
    return 'A secret of its settings cannot be opened with the secrets of this installation'
  }
}

/** Tries a pool's source for an operator; nothing is asked while calls are paused. A fault of the settings is a sentence. */
export const trySource = async (
  pool: Pick<Pool, 'id' | 'source'>,
  services: SourceTools & Pick<Services, 'keyring'>,
): Promise<Tried[] | string> => {
  if (pool.source?.paused) return paused.detail
  const source = openSource(pool, services)
  return typeof source === 'string' ? source : source.test()
}

/** A page of everybody at a pool's source, outside of any sign-in; undefined where its type can list nobody. */
export const listed = async (
  pool: Pool,
  services: Services,
  cursor: string | undefined,
): Promise<Awaited<ReturnType<NonNullable<OpenSource['list']>>> | undefined> => {
  const { open } = openedOf(pool, services)
  if ('is' in open) return open
  if (!open.list) return undefined
  if (pool.source?.paused) return paused
  const page = await inTime(open.list(cursor), bounds.listMs)
  return page.is === 'ok' ? { ...page, users: page.users.flatMap((user) => storableOutsider(user) ?? []) } : page
}

/** Whether a pool's source is left alone by this node for a moment, as it did not answer lately; and whether it can list. */
export const stateOf = (pool: Pool, services: Services): { resting: boolean; lists: boolean } => {
  const { open, faults, restsUntil } = openedOf(pool, services)
  const resting = faults >= bounds.faults && services.clock.now().getTime() < restsUntil
  return { resting, lists: !('is' in open) && open.list !== undefined }
}

const paused: Trouble = { is: 'unavailable', detail: 'Calls to this source are paused' }
const resting: Trouble = { is: 'unavailable', detail: 'It did not answer lately, and is left alone for a moment' }
const crowded: Trouble = { is: 'unavailable', detail: 'Too many calls are waiting for it already' }
const late: Trouble = { is: 'unavailable', detail: `It did not answer within ${bounds.callMs / 1000} seconds` }
const broken: Trouble = { is: 'unavailable', detail: 'Asking it failed' }
const unnamed: Trouble = { is: 'unavailable', detail: 'What it calls somebody has characters that no name may have' }

/** An answer with only what can be kept of whom it tells of. */
const keepable = <Answer extends Checked | Found>(answer: Answer | Trouble): Answer | Trouble => {
  if (!('user' in answer) || answer.user === undefined) return answer
  const user = storableOutsider(answer.user)
  return user ? ({ ...answer, user } as Answer) : unnamed
}

/** A source with what this node remembers of it. */
interface Opened {
  open: OpenSource | Trouble
  /** Faults in a row; when it was left alone since. */
  faults: number
  restsUntil: number
  trying: boolean
  running: number
  waiting: (() => void)[]
}

const all = new LRUCache<string, Opened>({ max: 500 })

// Changed settings begin anew: whoever has put them right need not wait.
const openedOf = (pool: Pool, services: Services): Opened => {
  const key = `${pool.id} ${JSON.stringify(pool.source)}`
  const known = all.get(key)
  if (known) return known
  const open = openSource(pool, services)
  const fresh: Opened = {
    open: typeof open === 'string' ? { is: 'misconfigured', detail: open } : open,
    faults: 0,
    restsUntil: 0,
    trying: false,
    running: 0,
    waiting: [],
  }
  all.set(key, fresh)
  return fresh
}

const guard = async <Answer extends Checked | Found>(
  opened: Opened,
  services: Services,
  pool: Pool,
  call: 'check' | 'find',
  run: (open: OpenSource) => Promise<Answer>,
): Promise<Answer | Trouble> => {
  const { open } = opened
  if ('is' in open) return open
  const now = services.clock.now().getTime()
  if (opened.faults >= bounds.faults && (now < opened.restsUntil || opened.trying)) return resting
  if (opened.running >= bounds.calls && opened.waiting.length >= bounds.queue) return crowded
  opened.trying = opened.faults >= bounds.faults
  await enter(opened)
  const began = performance.now()
  try {
    const answer = keepable(await inTime(run(open)))
    paceOf(pool.id, call).saw(performance.now() - began)
    return note(opened, services, pool, answer)
  } finally {
    leave(opened)
    opened.trying = false
  }
}

const enter = async (opened: Opened): Promise<void> => {
  if (opened.running >= bounds.calls) await new Promise<void>((resolve) => opened.waiting.push(resolve))
  else opened.running += 1
}

// Whoever waits takes the place over, so that nobody comes in between.
const leave = (opened: Opened): void => {
  const next = opened.waiting.shift()
  if (next) next()
  else opened.running -= 1
}

const inTime = <Answer>(asked: Promise<Answer>, ms = bounds.callMs): Promise<Answer | Trouble> => {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<Trouble>((resolve) => {
    timer = setTimeout(() => resolve(late), ms)
  })
  return Promise.race([asked.catch(() => broken), tooLate]).finally(() => clearTimeout(timer))
}

/** Counts a fault, or forgets those before. A limit that only holds for somebody is no fault of the source. */
const note = <Answer extends Checked | Found>(
  opened: Opened,
  services: Services,
  pool: Pool,
  answer: Answer | Trouble,
): Answer | Trouble => {
  const isFault = answer.is === 'unavailable' || answer.is === 'misconfigured'
  const wasAway = opened.faults >= bounds.faults
  opened.faults = isFault ? opened.faults + 1 : 0
  if (isFault && opened.faults >= bounds.faults) opened.restsUntil = services.clock.now().getTime() + bounds.restMs
  const type = pool.source?.type ?? ''
  if (isFault && opened.faults === bounds.faults)
    tell(services, pool, {
      type: 'source.unavailable',
      data: { source: type, why: answer.is, detail: detailOf(answer) },
    })
  if (!isFault && wasAway) tell(services, pool, { type: 'source.recovered', data: { source: type } })
  return answer
}

const detailOf = (answer: object): string => ('detail' in answer ? String(answer.detail).slice(0, 300) : '')

const tell = ({ clock, log }: Services, pool: Pool, happening: audit.Happening): void => {
  currentWork()?.events.push(audit.event(clock.now(), { poolId: pool.id }, happening))
  log.warn({ pool: pool.slug, event: happening.type }, 'a source changed how it answers')
}
