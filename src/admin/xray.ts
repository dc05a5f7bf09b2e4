import type { EventRecord } from '../directory/events.ts'
import type { Check, Refusal } from '../directory/traces.ts'
import type { Level } from '../signin/risk.ts'
import type { Trodden } from '../signin/trail.ts'

/** One thing that happened on the way, as operators are told. */
export interface Stride {
  at: string
  trace: string | null
  did: string
  ok: boolean
  why: string | null
  next: string | null
  sent: boolean
  risk: { level: Level; reasons: string[] } | null
  subject: 'user' | 'inactive' | 'stranger' | 'new' | null
  user_id: string | null
}

/** Answers, refused requests and what a consent page was told, in order. */
export const stridesOf = (trail: readonly Trodden[], refusals: readonly Refusal[], events: readonly EventRecord[]) =>
  [...trail.map(strideOf), ...refusals.map(refusedStride), ...events.flatMap(consentStride)].sort((one, other) =>
    one.at < other.at ? -1 : one.at > other.at ? 1 : 0,
  )

const nothing = { why: null, next: null, sent: false, risk: null, subject: null, user_id: null }

const strideOf = ({ at, trace, did, ok, why, next, sent, risk, subject, user }: Trodden): Stride => ({
  at: new Date(at).toISOString(),
  trace: trace ?? null,
  did,
  ok,
  why: why ?? null,
  next,
  sent: sent ?? false,
  risk: risk ?? null,
  subject: subject ?? null,
  user_id: user ?? null,
})

const refusedStride = ({ at, trace, route, code }: Refusal): Stride => ({
  ...nothing,
  at: at.toISOString(),
  trace,
  did: `request:${route}`,
  ok: false,
  why: code,
})

const consentStride = ({ type, at, trace, userId }: EventRecord): Stride[] => {
  if (type !== 'consent.given' && type !== 'consent.denied') return []
  const ok = type === 'consent.given'
  const why = ok ? null : 'denied'
  return [{ ...nothing, at: at.toISOString(), trace, did: 'consent', ok, why, subject: 'user', user_id: userId }]
}

/** What was looked at: by the refused request itself, and by each step as it was last answered. */
export const checksOf = (trail: readonly Trodden[], refusal: Refusal | undefined): Check[] => {
  const last = new Map(trail.map((one) => [one.did, one]))
  const subject = trail.findLast((one) => one.subject !== undefined)?.subject
  return [
    ...(refusal?.checks ?? []),
    ...(subject ? [{ name: 'account', ok: subject === 'user' || subject === 'new', detail: accounts[subject] }] : []),
    ...[...last.values()].map((one) => ({ name: one.did, ok: one.ok, detail: detailOf(trail, one) })),
  ]
}

const accounts = {
  user: 'an active user of the pool',
  new: 'registering, not active yet',
  inactive: 'a user of the pool who is not active',
  stranger: 'nobody of the pool goes by what was typed',
}

const detailOf = (trail: readonly Trodden[], { did, why }: Trodden): string | null => {
  const failures = trail.filter((one) => one.did === did && !one.ok).length
  if (failures === 0) return null
  return `${why ?? 'taken in the end'}; refused ${failures} ${failures === 1 ? 'time' : 'times'}`
}
