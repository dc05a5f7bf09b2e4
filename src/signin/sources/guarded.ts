import { LRUCache } from 'lru-cache'
import { currentWork } from '../../db/work.ts'
import * as audit from '../../directory/audit.ts'
import type { Identifier } from '../../directory/identifiers.ts'
import { openSettings } from '../../directory/pool-secrets.ts'
import type { Pool } from '../../directory/pools.ts'
import type { Services } from '../../services.ts'
import { storableOutsider } from '../outsider.ts'
import { type Asker, type Breaker, faultsInARow, openBreaker } from './breaker.ts'
import { getSource } from './index.ts'
import { paceOf } from './pace.ts'
import type { Checked, Found, OpenSource, SourceTools, Tried, Trouble } from './source.ts'

/** A call takes at most `callMs`; so many run at once, and so many wait for them. */
const bounds = { callMs: 3_000, calls: 40, queue: 80, againMs: 1_000, listMs: 20_000 }

/** For so long a source that did not answer counts as away. */
const troubledMs = 10_000

/** A pool's source, asked with care: never while it is paused or resting, never by too many at once, never for long. */
export interface GuardedSource {
  check: OpenSource['check']
  /** `ip` is of whoever wants to know; none where Lido itself does. */
  find(asked: Parameters<OpenSource['find']>[0] & { ip?: string }): Promise<Found>
}

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
    { identifier, ip }: { identifier: Identifier; ip?: string },
    run: (open: OpenSource) => Promise<Answer>,
  ): Promise<Answer | Trouble> => {
    const asker = { who: `${identifier.kind}:${identifier.value}`, ip }
    const answer = source.paused ? paused : await guard(opened, services, pool, { call, asker, run })
    if ('detail' in answer) opened.troubledUntil = services.clock.now().getTime() + troubledMs
    services.metrics.source(call, answer.is)
    return answer
  }
  return {
    check: (asked) => ask('check', asked, (open) => open.check(asked)),
    find: (asked) =>
      ask('find', asked, async (open) => {
        const began = performance.now()
        const { identifier } = asked
        const first = await open.find({ identifier })
        const again = first.is === 'unavailable' && performance.now() - began < bounds.againMs
        return again ? open.find({ identifier }) : first
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

/** Whether this node leaves a pool's source alone for somebody, as it did not answer lately; and whether it can list. */
export const stateOf = (pool: Pool, services: Services): { resting: boolean; lists: boolean } => {
  const { open, breaker } = openedOf(pool, services)
  return {
    resting: breaker.isResting(services.clock.now().getTime()),
    lists: !('is' in open) && open.list !== undefined,
  }
}

/**
 * Whether a pool's source does not answer as far as this node knows: it is paused, failed the last time, or lately. It stays
 * so for a moment after an answer, so that nobody learns from it who was asked about.
 */
export const isAway = (pool: Pool, services: Services): boolean => {
  if (pool.source?.paused) return true
  const { open, breaker, troubledUntil } = openedOf(pool, services)
  return 'is' in open || breaker.inARow() > 0 || services.clock.now().getTime() < troubledUntil
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
  breaker: Breaker
  /** Until when it counts as away, in milliseconds. */
  troubledUntil: number
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
    breaker: openBreaker(),
    troubledUntil: 0,
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
  { call, asker, run }: { call: 'check' | 'find'; asker: Asker; run: (open: OpenSource) => Promise<Answer> },
): Promise<Answer | Trouble> => {
  const { open, breaker } = opened
  if ('is' in open) return open
  if (opened.running >= bounds.calls && opened.waiting.length >= bounds.queue) return crowded
  if (!breaker.enter(asker, services.clock.now().getTime())) return resting
  await enter(opened)
  const began = performance.now()
  try {
    const answer = keepable(await inTime(run(open)))
    paceOf(pool.id, call).saw(performance.now() - began)
    note(breaker, services, pool, asker, answer)
    return answer
  } finally {
    leave(opened)
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

/** Tells the breaker of an answer. A limit that only holds for somebody is no fault of the source. */
const note = (breaker: Breaker, services: Services, pool: Pool, asker: Asker, answer: Checked | Found): void => {
  const isFault = answer.is === 'unavailable' || answer.is === 'misconfigured'
  const wasAway = breaker.inARow() >= faultsInARow
  breaker.saw(asker, services.clock.now().getTime(), isFault)
  const source = pool.source?.type ?? ''
  if (isFault && !wasAway && breaker.inARow() === faultsInARow)
    tell(services, pool, { type: 'source.unavailable', data: { source, why: answer.is, detail: detailOf(answer) } })
  if (!isFault && wasAway) tell(services, pool, { type: 'source.recovered', data: { source } })
}

const detailOf = (answer: object): string => ('detail' in answer ? String(answer.detail).slice(0, 300) : '')

const tell = ({ clock, log }: Services, pool: Pool, happening: audit.Happening): void => {
  currentWork()?.events.push(audit.event(clock.now(), { poolId: pool.id }, happening))
  log.warn({ pool: pool.slug, event: happening.type }, 'a source changed how it answers')
}
