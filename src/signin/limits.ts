import { isIPv6 } from 'node:net'
import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Charge } from '../db/work.ts'

/** How many failures each counter bears in its window; security.md 15–22. Windows are in seconds. */
const limits = {
  account: { points: 10, window: 900 },
  address: { points: 1500, window: 900 },
  pool: { points: 50_000, window: 900 },
  recipient: { points: 8, window: 3600 },
  sender: { points: 2000, window: 3600 },
  registrations: { points: 2000, window: 3600 },
} as const
export type LimitKind = keyof typeof limits

/** One counter: who or what is counted, within which pool or workspace. */
export interface Counter {
  kind: LimitKind
  scope: string
  who: string
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
 * Counts one try on each of `count` before it is made, and looks at `watch` without counting. Answers false where any
 * of them is used up. One atomic statement: fifty at once count fifty.
 */
export const take = async (
  db: Db,
  at: Date,
  count: readonly Counter[],
  watch: readonly Counter[],
): Promise<boolean> => {
  const taken = JSON.stringify(
    count.map((one) => ({ key: keyOf(one), resets_at: resetOf(one, at) })).sort((a, b) => (a.key < b.key ? -1 : 1)),
  )
  const { rows } = await sql<{ key: string; points: number }>`
    with counted as (
      insert into limits as l (key, points, resets_at)
      select key, 1, resets_at from jsonb_to_recordset(${taken}::jsonb) as x (key text, resets_at timestamptz)
      on conflict (key) do update set
        points = case when l.resets_at <= ${at} then 1 else l.points + 1 end,
        resets_at = case when l.resets_at <= ${at} then excluded.resets_at else l.resets_at end
      returning key, points
    )
    select key, points from counted
    union all
    select key, points + 1 from limits where key = any(${watch.map(keyOf)}) and resets_at > ${at}`.execute(db)
  const most = new Map([...count, ...watch].map((one) => [keyOf(one), limits[one.kind].points]))
  return rows.every(({ key, points }) => points <= (most.get(key) ?? 0))
}

/** A failure to be counted with whatever else its request writes. */
export const charge = (counter: Counter, at: Date): Charge => ({
  key: keyOf(counter),
  at,
  resetsAt: resetOf(counter, at),
})

/** How long a used-up counter stays closed at most, in minutes. */
export const windowMinutes = (kind: LimitKind): number => limits[kind].window / 60

export const keyOf = ({ kind, scope, who }: Counter): string => `${kind}:${scope}:${who}`

const resetOf = ({ kind }: Counter, at: Date): Date => new Date(at.getTime() + limits[kind].window * 1000)
