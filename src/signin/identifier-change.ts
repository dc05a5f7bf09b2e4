import { z } from 'zod'
import { type Identifier, type IdentifierKind, readIdentifier } from '../directory/identifiers.ts'
import { hostOf, type Note, post } from '../directory/outbox.ts'
import { isKeptElsewhere, type Pool } from '../directory/pools.ts'
import * as changes from '../directory/user-changes.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import * as challenges from './challenges.ts'
import { identifierError, type Word } from './form.ts'
import { changeOwn } from './own-change.ts'
import type { Scene } from './scene.ts'
import { allow, provable, sendsTo, sentTooOften } from './sending.ts'

const pending = z.object({
  kind: z.enum(['email', 'mobile']),
  value: z.string(),
  typed: z.string(),
  /** What it takes the place of, itself where it is only proven; null where it is one more. */
  from: z.string().nullable(),
})

/** A change that waits for the code that was sent to the new address. */
export type Pending = z.infer<typeof pending>

/** Who changes what they go by, and in which session: the code is good in that one only. */
export interface Changing {
  scene: Scene
  pool: Pool
  user: users.User
  session: string
}

/** What somebody wants to go by, in the place of what. */
export interface Wish {
  kind: 'email' | 'mobile'
  typed: string
  from: string | undefined
}

/** What a person may change here: whatever of the pool's a code can be sent to, and nothing that is kept elsewhere. */
export const changeable = ({ scene, pool, user }: Pick<Changing, 'scene' | 'pool' | 'user'>): Pending['kind'][] =>
  (isKeptElsewhere(pool, user) ? [] : provable(scene.services, pool)).filter((kind) => kind !== 'username')

/**
 * Sends a code to what somebody wants to go by. Whether another goes by it already shows only to whoever reads the code:
 * the page, its time and the message are the same.
 */
export const begin = async (
  at: Changing,
  { kind, typed, from }: Wish,
): Promise<'sent' | { error: Word } | { alert: Word }> => {
  const { scene, pool, user } = at
  const identifier = readIdentifier(typed, [kind], pool.settings.default_country)
  if (!identifier) return { error: identifierError(typed, [kind]) }
  if (kind === 'mobile' && !sendsTo(pool, identifier.value)) return { error: { key: 'error.country' } }
  if (user.identifiers.some(({ value, verified }) => value === identifier.value && verified))
    return { error: { key: 'error.identifier_same' } }
  const channel = kind === 'mobile' ? 'sms' : 'email'
  const { value } = identifier
  const allowed = await allow(scene, pool, { channel, asked: value, to: value, userId: user.id })
  if (!allowed) return { alert: sentTooOften }
  await send(at, { kind, value, typed: identifier.typed, from: from ?? null }, allowed.to)
  return 'sent'
}

const send = ({ scene, pool, user, session }: Changing, data: Pending, to: string | undefined): Promise<void> =>
  scene.services.db.transaction().execute(async (trx) => {
    const { services } = scene
    const boundTo = bindingOf({ scene, user, session })
    const { code } = await challenges.issue(trx, services, pool, { purpose: 'change', boundTo, userId: user.id, data })
    const values = { code, minutes: Math.round(pool.settings.code_policy.lifetime_seconds / 60) }
    await post(trx, scene, to === undefined ? undefined : noteTo(scene, data.kind, to, values))
  })

const noteTo = (
  { services }: Scene,
  kind: IdentifierKind,
  to: string,
  values: { code: string; minutes: number },
): Note =>
  kind === 'mobile'
    ? { to, channel: 'sms', template: 'identifier-code', host: hostOf(services), values }
    : { to, channel: 'email', template: 'identifier-code', values }

/** The change that waits in this session, if one does. */
export const findPending = async (at: Changing): Promise<(Pending & { challenge: string }) | undefined> => {
  const { scene, pool, user } = at
  const wanted = { purpose: 'change', boundTo: bindingOf(at), userId: user.id } as const
  const row = await challenges.findOpen(scene.services.db, scene.services, pool.id, wanted)
  const read = pending.safeParse(row?.data)
  return row && read.success ? { ...read.data, challenge: row.id } : undefined
}

/** Takes the code: the new address is theirs from now on. Of twenty answers at once, one changes it. */
export const complete = async (
  at: Changing,
  challenge: string,
  code: string,
): Promise<'changed' | 'wrong' | 'over' | 'taken'> => {
  const { scene, pool, user } = at
  const { services } = scene
  const tried = { id: challenge, purpose: 'change', boundTo: bindingOf(at), code } as const
  const answer = await challenges.answer(services.db, services, pool.id, tried)
  if (answer.is !== 'right') return answer.is
  const wanted = pending.parse(answer.data)
  // Whoever reads what is sent to an address may know that it is somebody's: it is theirs.
  return changeOwn(services, user, async (trx, { identifiers: _, ...record }) => {
    const before = await users.findById(trx, user.id)
    if (!before) throw new Problem('expired')
    if (isOvertaken(before, wanted)) return 'over'
    const now = services.clock.now()
    const kept = before.identifiers.filter(({ value }) => value !== wanted.from && value !== wanted.value)
    const identifiers = [...kept, { ...identifierIn(wanted), verified: true }]
    const { status, profile, metadata } = record
    const known = { ...record, identifiers: before.identifiers }
    await changes.update(trx, now, known, { status, profile, metadata, identifiers }, { kind: 'person', id: user.id })
    await challenges.endAll(trx, now, pool.id, user.id)
    await tell(trx, at, before, wanted)
    return 'changed' as const
  }).catch((error: unknown) => {
    if (error instanceof Problem && error.code === 'conflict') return 'taken'
    throw error
  })
}

/** Whether what was to be changed was changed elsewhere meanwhile, or somebody has such an address by now. */
const isOvertaken = ({ identifiers }: users.User, { kind, value, from }: Pending): boolean =>
  from === null
    ? identifiers.some((one) => one.kind === kind && one.value !== value)
    : !identifiers.some((one) => one.value === from)

/** Tells both ends of an email's change; of a number's, whoever reads the account's mail. */
const tell = async (
  trx: Parameters<typeof post>[0],
  { scene }: Changing,
  { identifiers }: users.User,
  { kind, value, typed, from }: Pending,
): Promise<void> => {
  const gone = identifiers.find((one) => one.value === from)
  const mails = identifiers.filter((one) => one.kind === 'email' && one.verified).map((one) => one.value)
  const told = kind === 'email' ? [value, ...(from === null || from === value ? mails : [from])] : mails.slice(0, 1)
  const values = { added: typed, gone: gone && gone.value !== value ? gone.typed : 'none' }
  for (const to of new Set(told))
    await post(trx, scene, { to, channel: 'email', template: 'identifier-changed', values })
}

const identifierIn = ({ kind, value, typed }: Pending): Identifier => ({ kind, value, typed })

const bindingOf = ({ scene, user, session }: Pick<Changing, 'scene' | 'user' | 'session'>) => [
  'account',
  user.id,
  session,
  scene.workspace.id,
]
