import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { issuerOf } from '../directory/address.ts'
import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { type Identifier, readIdentifier } from '../directory/identifiers.ts'
import { hostOf, type Note, post } from '../directory/outbox.ts'
import { passwordPolicyOf } from '../directory/pool-settings.ts'
import { type Pool, staysElsewhere } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { identifier as identifierSchema } from './attempt.ts'
import * as challenges from './challenges.ts'
import { identifierError, type Word } from './form.ts'
import { knowDevice } from './known-device.ts'
import { forgive } from './limits.ts'
import { told } from './methods/sent-code.ts'
import { type Outsider, outsider } from './outsider.ts'
import { heldBy, refusePassword, refuseUsed } from './passwords.ts'
import { openPool } from './pools/index.ts'
import type { Scene } from './scene.ts'
import { allow, countMail, isNumber, sendsTexts, sendsTo, sentTooOften } from './sending.ts'
import { findSummoned } from './summons.ts'
import { passwordElsewhere } from './verdicts.ts'

/** What a recovery is bound to besides the account: the browser that began it. */
type Browser = string

interface Chosen {
  newPassword: string
  /** Whether they were told that it is known from a leak. */
  warned: boolean
}

/** Begins a recovery. The answer, its time and the page are the same whether anybody goes by the identifier or not. */
export const begin = async (
  scene: Scene,
  pool: Pool,
  typed: string,
  browser: Browser,
): Promise<{ identifier: Identifier; challenge: string } | { error: Word } | { alert: Word }> => {
  const { services } = scene
  const identifier = readIdentifier(typed, pool.settings.identifiers, pool.settings.default_country)
  if (!identifier) return { error: identifierError(typed, pool.settings.identifiers) }
  if (staysElsewhere(pool)) return { alert: passwordElsewhere }
  const found = await users.findByIdentifier(services.db, pool.id, identifier)
  const user = found?.status === 'active' && mayBeReset(pool, found) ? found : undefined
  const guest = await openPool(pool, services).seek(identifier, found, scene.ip)
  const known = user?.identifiers ?? (guest && told(guest))
  const channel = isTexted(services, pool, identifier) ? 'sms' : 'email'
  const address = known && addressOf(services, pool, known, identifier)
  const wanted = { channel, asked: identifier.value, to: address, userId: user?.id } as const
  const allowed = await allow(scene, pool, wanted)
  if (!allowed) return { alert: sentTooOften }
  const challenge = await send(scene, pool, { identifier, browser, userId: user?.id, guest, to: allowed.to })
  return { identifier, challenge }
}

/** While a source is only observed, nobody who lives there still is given a password here: it would move them over. */
const mayBeReset = ({ source }: Pool, { authority }: users.User): boolean =>
  !(source?.observe === true && authority === 'linked')

/** Whether a code for what was typed goes out as a text message, whoever goes by it. */
export const isTexted = (
  services: Scene['services'],
  pool: Pool,
  { kind, value }: Pick<Identifier, 'kind' | 'value'>,
): boolean => kind === 'mobile' && takesTexts(services, pool) && sendsTo(pool, value)

/** A phone that sets the password and is the second factor as well would be both (security.md 34, 40). */
const takesTexts = (services: Scene['services'], { settings }: Pool): boolean =>
  settings.identifiers.includes('mobile') &&
  sendsTexts(services) &&
  (settings.second_factor === 'off' || !settings.second_factors.includes('sms_code'))

/**
 * Where somebody's code goes: to the address or number that was typed, else to a mailbox of the account, else to its
 * number. Only to what is proven, unless nothing of the account is: then the mailbox decides whose it is.
 */
const addressOf = (
  services: Scene['services'],
  pool: Pool,
  known: readonly Pick<users.User['identifiers'][number], 'kind' | 'value' | 'verified'>[],
  asked: Identifier,
): string | undefined => {
  const reached = known.filter(({ kind }) => kind !== 'username')
  const proven = reached.filter(({ verified }) => verified)
  const mails = (proven.length > 0 ? proven : reached).filter(({ kind }) => kind === 'email')
  const numbers = proven.filter((one) => isTexted(services, pool, one))
  const typed = ({ value }: Pick<Identifier, 'value'>) => value === asked.value
  if (asked.kind === 'email') return mails.find(typed)?.value
  if (isTexted(services, pool, asked)) return numbers.find(typed)?.value
  return (mails[0] ?? (asked.kind === 'username' ? numbers[0] : undefined))?.value
}

interface Sending {
  identifier: Identifier
  browser: Browser
  userId: string | undefined
  /** Whom only the pool's source knows. */
  guest: Outsider | undefined
  to: string | undefined
}

const send = (scene: Scene, pool: Pool, { identifier, browser, userId, guest, to }: Sending): Promise<string> =>
  scene.services.db.transaction().execute(async (trx) => {
    const { services, workspace } = scene
    const wanted = {
      purpose: 'recover',
      boundTo: boundTo(scene, identifier, browser),
      userId,
      data: { address: to ?? null, ...(guest ? { guest, identifier } : {}) },
      link: true,
    } as const
    const { id, code, token } = await challenges.issue(trx, services, pool, wanted)
    const link = `${issuerOf(services.config, workspace)}/recover?token=${token}`
    const minutes = Math.round(pool.settings.code_policy.lifetime_seconds / 60)
    await post(trx, scene, to === undefined ? undefined : codeNote(scene, to, { code, link, minutes }))
    return id
  })

/** The code by mail with its link, or by text without one: no link goes where another may read along. */
const codeNote = (
  { services }: Scene,
  to: string,
  { link, ...values }: { code: string; link: string; minutes: number },
): Note =>
  isNumber(to)
    ? { to, channel: 'sms', template: 'recover', host: hostOf(services), values }
    : { to, channel: 'email', template: 'recover', values: { ...values, link } }

/**
 * Sends somebody a link to set a new password, because an operator asked. There is no browser that a code could belong
 * to, so none is sent. Answers false where no link can go anywhere. Throws `too_many_requests`.
 */
export const sendLink = async (
  db: Db,
  { services, workspace, lang }: Pick<Scene, 'services' | 'workspace' | 'lang'>,
  pool: Pool,
  user: users.User,
): Promise<boolean> => {
  const known = user.identifiers.filter(({ kind }) => kind === 'email')
  const address = known.find(({ verified }) => verified) ?? known[0]
  if (!address || user.status !== 'active') return false
  await countMail({ ...services, db }, pool.id, address.value)
  const data = { address: address.value }
  const wanted = { purpose: 'recover', boundTo: ['operator'], userId: user.id, data, link: true } as const
  const { token } = await challenges.issue(db, services, pool, wanted)
  const link = `${issuerOf(services.config, workspace)}/recover?token=${token}`
  const minutes = Math.round(pool.settings.code_policy.lifetime_seconds / 60)
  const note = { to: address.value, channel: 'email', template: 'reset', values: { link, minutes } } as const
  await post(db, { services, workspace, lang }, note)
  return true
}

/** Sets a new password by code, in the browser that began. It never signs in (security.md 34). */
export const completeByCode = async (
  scene: Scene,
  pool: Pool,
  recovery: { identifier: Identifier; challenge: string },
  browser: Browser,
  { code, ...chosen }: Chosen & { code: string },
): Promise<'done' | 'wrong' | 'over' | { weak: Word }> => {
  const { services } = scene
  const wanted = { password: chosen.newPassword, context: [recovery.identifier.value], warned: chosen.warned }
  const weak = await refusePassword(services, pool, wanted)
  if (weak) return { weak }
  const passwordHash = await services.passwords.hash(chosen.newPassword)
  const boundHere = boundTo(scene, recovery.identifier, browser)
  const tried = { id: recovery.challenge, purpose: 'recover', boundTo: boundHere, code } as const
  const answered = await challenges.answer(services.db, services, pool.id, tried)
  if (answered.is !== 'right') return answered.is
  const userId = answered.userId ?? (await comeOver(scene, pool, answered.data))
  if (userId === undefined) return 'over'
  const used = await refuseUsedBy(scene, pool, userId, chosen)
  if (used) {
    // Only the code proves who may hear of it; they get it back, with one try less.
    await challenges.reopen(services.db, pool.id, recovery.challenge, answered.at)
    return { weak: used }
  }
  await reset(scene, pool, userId, answered.data, passwordHash)
  return 'done'
}

/** Sets a new password by the link of the mail, on any device. */
export const completeByLink = async (
  scene: Scene,
  pool: Pool,
  token: string,
  chosen: Chosen,
): Promise<'done' | 'over' | { weak: Word }> => {
  const { services } = scene
  const found = await challenges.findByToken(services.db, services, 'recover', token)
  if (!found || !isSomebodys(found) || found.poolId !== pool.id) return 'over'
  const context = typeof found.data.address === 'string' ? [found.data.address] : []
  const wanted = { password: chosen.newPassword, context, warned: chosen.warned }
  const bad = await refusePassword(services, pool, wanted)
  if (bad) return { weak: bad }
  const whose = await ownerOf(services, pool, found)
  const weak = whose.userId ? await refuseUsedBy(scene, pool, whose.userId, chosen) : undefined
  if (weak) return { weak }
  const passwordHash = await services.passwords.hash(chosen.newPassword)
  const consumed = await challenges.consumeToken(services.db, services, 'recover', token)
  const userId = whose.userId ?? (consumed && (await comeOver(scene, pool, whose.data)))
  if (!consumed || userId === undefined) return 'over'
  await reset(scene, pool, userId, consumed.data, passwordHash)
  return 'done'
}

/** Whether a link is anybody's: a user's, or somebody's whom only the pool's source knows. */
export const isSomebodys = ({ userId, data }: { userId: string | null; data: Record<string, unknown> }): boolean =>
  userId !== null || data.guest !== undefined || data.summoned !== undefined

const summons = z.object({ summoned: identifierSchema, address: z.string() })

/** Whose a link is. A link that was good for days says nothing of who is at the source: that is asked as it is followed. */
const ownerOf = async (
  services: Scene['services'],
  pool: Pool,
  { userId, data }: { userId: string | null; data: Record<string, unknown> },
): Promise<{ userId: string | undefined; data: Record<string, unknown> }> => {
  const read = summons.safeParse(data)
  if (userId !== null || !read.success) return { userId: userId ?? undefined, data }
  const { summoned: identifier, address } = read.data
  if (staysElsewhere(pool)) return { userId: undefined, data: {} }
  const found = await findSummoned(services, pool, { identifier, address })
  if (!found) return { userId: undefined, data: {} }
  return 'userId' in found
    ? { userId: found.userId, data }
    : { userId: undefined, data: { ...found, identifier, address } }
}

const kept = z.object({ guest: outsider, identifier: identifierSchema, address: z.string() })

/** Makes a user of whom only the pool's source knew, and who has just proven an address of theirs. */
const comeOver = async (
  { services }: Scene,
  pool: Pool,
  data: Record<string, unknown>,
): Promise<string | undefined> => {
  const read = kept.safeParse(data)
  if (!read.success) return undefined
  const { guest, identifier: asked, address } = read.data
  const subject = { is: 'guest', identifier: asked, outsider: guest } as const
  const user = await openPool(pool, services).settle(subject, { arrival: { outsider: guest, proven: address } })
  return user?.id
}

/** A pool that remembers passwords lets nobody go back to one. */
const refuseUsedBy = async (
  { services }: Scene,
  pool: Pool,
  userId: string,
  { newPassword }: Chosen,
): Promise<Word | undefined> => {
  if (passwordPolicyOf(pool.settings).history === 0) return undefined
  const user = await users.findById(services.db, userId)
  return user && refuseUsed(services, pool, heldBy(user), newPassword)
}

const reset = (
  scene: Scene,
  { id: poolId, settings }: Pool,
  userId: string,
  { address }: Record<string, unknown>,
  passwordHash: string,
): Promise<void> =>
  scene.services.db.transaction().execute(async (trx) => {
    const now = scene.services.clock.now()
    const user = await users.findById(trx, userId)
    const proven = user?.identifiers.find(({ kind, value }) => kind !== 'username' && value === address)
    if (user?.status !== 'active' || !proven) return
    if (proven.kind === 'mobile' && !proven.verified) return
    // Whatever was added before anybody proved this address may be a hijacker's; it does not survive (security.md A03–A05).
    if (!proven.verified) await credentials.removeAll(trx, poolId, userId)
    await users.verifyIdentifier(trx, now, poolId, proven)
    const { history } = passwordPolicyOf(settings)
    await credentials.setPassword(trx, now, poolId, userId, passwordHash, { history })
    await users.takeOver(trx, now, poolId, userId)
    await users.endEverything(trx, poolId, userId)
    await challenges.endAll(trx, now, poolId, userId)
    await forgive(trx, poolId, userId)
    // Whoever reads the owner's mail here is not turned away from here for being new (docs/risk.md).
    knowDevice(scene, { id: poolId }, { id: userId, era: user.era + 1 })
    const about = { workspaceId: scene.workspace.id, poolId, userId, clientId: scene.client?.id }
    await audit.record(trx, now, about, { type: 'user.recovered', data: {} })
    await post(trx, scene, changedNote(scene, user, proven))
  })

/** Tells of the new password in the mailbox where there is one: whoever holds the phone may have stolen it. */
const changedNote = ({ services }: Scene, { identifiers }: users.User, { kind, value: to }: Identifier): Note => {
  const mailbox = kind === 'email' ? to : identifiers.find((one) => one.kind === 'email' && one.verified)?.value
  if (mailbox !== undefined) return { to: mailbox, channel: 'email', template: 'password-changed', values: {} }
  return { to, channel: 'sms', template: 'password-changed', host: hostOf(services), values: {} }
}

const boundTo = ({ client, workspace }: Scene, { value }: Identifier, browser: Browser) => [
  value,
  browser,
  workspace.id,
  client?.id,
]
