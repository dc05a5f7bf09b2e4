import { isIPv6 } from 'node:net'
import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Hot } from '../db/hot.ts'
import type { Charge } from '../db/work.ts'

/** How many failures, or messages, each counter bears in its window; security.md 15–22, 29. Windows are in seconds. */
const limits = {
  account: { points: 10, window: 900 },
  // Somebody who knows the password is let guess no further than this, which no new window opens again (security.md 15).
  'second factor': { points: 100, window: 30 * 24 * 3600 },
  notice: { points: 1, window: 3600 },
  // A browser that its user is known in has tries of its own, so that nobody else uses them up (security.md 19).
  'known device': { points: 10, window: 900 },
  // How many accounts may fail from one network; its people at known devices are not asked (security.md 22).
  network: { points: 100, window: 900 },
  'message test': { points: 10, window: 3600 },
  'sign-in notice': { points: 5, window: 3600 },
  'refusal notice': { points: 1, window: 3600 },
  address: { points: 1500, window: 900 },
  pool: { points: 50_000, window: 900 },
  sender: { points: 2000, window: 3600 },
  'sender to recipient': { points: 20, window: 3600 },
  recipient: { points: 60, window: 3600 },
  'sender of texts': { points: 200, window: 3600 },
  'sender of texts to recipient': { points: 5, window: 3600 },
  'recipient of texts': { points: 10, window: 3600 },
  'messages of account': { points: 60, window: 3600 },
  country: { points: 500, window: 3600 },
  'requests of account': { points: 10, window: 3600 },
  // Codes of devices that are typed, right or wrong (docs/device.md has the arithmetic).
  'user codes of address': { points: 30, window: 900 },
  'user codes of network': { points: 300, window: 900 },
  'user codes': { points: 5000, window: 900 },
  // Clients that register themselves; a workspace says how many.
  'registrations of address': { points: 10, window: 3600 },
  registrations: { points: 100, window: 3600 },
  // Addresses that are asked for a document, whatever comes of it: nobody is to fetch by us at will.
  'client documents of address': { points: 60, window: 3600 },
  'client documents of network': { points: 600, window: 3600 },
  'client documents': { points: 2000, window: 3600 },
} as const
export type LimitKind = keyof typeof limits

/** One counter: who or what is counted, within which pool or workspace. */
export interface Counter {
  kind: LimitKind
  scope: string
  who: string
  /** Where a pool sets how much it bears. */
  points?: number
}

/** The person at the door as the counters know them. An IPv6 client owns its whole /64 (security.md 18). */
export const addressKey = (ip: string): string => {
  if (!isIPv6(ip)) return ip
  const mapped = ip.match(/^::ffff:(\d+\.\d+\.\d+\.\d+)$/i)?.[1]
  if (mapped) return mapped
  const [head = '', tail] = ip.split('::')
  const left = head.split(':').filter(Boolean)
  const right = (tail ?? '').split(':').filter(Boolean)
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const words = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right]
  return words
    .slice(0, 4)
    .map((word) => Number.parseInt(word, 16).toString(16))
    .join(':')
}

/**
 * Counts one more on each counter, before what is counted is done. Answers false where any of them is used up. One
 * atomic statement: fifty at once count fifty.
 */
export const take = async (db: Db, at: Date, counters: readonly Counter[]): Promise<boolean> => {
  const taken = counters
    .map((one) => ({ key: keyOf(one), resets_at: resetOf(one, at) }))
    .sort((one, other) => (one.key < other.key ? -1 : 1))
  const { rows } = await sql<{ key: string; points: number }>`
    insert into limits as l (key, points, resets_at)
    select key, 1, resets_at
    from jsonb_to_recordset(${JSON.stringify(taken)}::jsonb) as x (key text, resets_at timestamptz)
    on conflict (key) do update set
      points = case when l.resets_at <= ${at} then 1 else l.points + 1 end,
      resets_at = case when l.resets_at <= ${at} then excluded.resets_at else l.resets_at end
    returning key, points`.execute(db)
  return withinAll(counters, rows, 0)
}

/** Counters as they stand. */
export interface Standing {
  /** Whether one more failure may still happen on each of these. */
  isOpen(counters: readonly Counter[]): boolean
  points(counter: Counter): number
}

/**
 * Looks how counters stand; nothing is counted. Failures are charged when they are known, so that twenty people who
 * share an account may come in at once: what can be guessed meanwhile is bounded by the queue of hashes.
 */
export const look = async (hot: Hot, at: Date, counters: readonly Counter[]): Promise<Standing> => {
  const rows = await hot.points([...new Set(counters.map(keyOf))], at)
  const points = new Map(rows.map((row) => [row.key, row.points]))
  return {
    isOpen: (some) => {
      const keys = new Set(some.map(keyOf))
      return withinAll(
        some,
        rows.filter(({ key }) => keys.has(key)),
        1,
      )
    },
    points: (counter) => points.get(keyOf(counter)) ?? 0,
  }
}

const withinAll = (counters: readonly Counter[], rows: { key: string; points: number }[], more: number): boolean => {
  const most = new Map(counters.map((one) => [keyOf(one), one.points ?? limits[one.kind].points]))
  return rows.every(({ key, points }) => points + more <= (most.get(key) ?? 0))
}

/** A failure to be counted with whatever else its request writes. */
export const charge = (counter: Counter, at: Date): Charge => ({
  key: keyOf(counter),
  at,
  resetsAt: resetOf(counter, at),
})

/** Forgets the failures of an account that got a new password. */
export const forgive = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await db
    .deleteFrom('limits')
    .where('key', 'in', [
      keyOf({ kind: 'account', scope: poolId, who: userId }),
      keyOf({ kind: 'second factor', scope: poolId, who: userId }),
    ])
    .execute()
}

/** How long a used-up counter stays closed at most, in minutes. */
export const windowMinutes = (kind: LimitKind): number => limits[kind].window / 60

export const keyOf = ({ kind, scope, who }: Counter): string => `${kind}:${scope}:${who}`

const resetOf = ({ kind }: Counter, at: Date): Date => new Date(at.getTime() + limits[kind].window * 1000)
