import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { type Identifier, readIdentifier } from '../directory/identifiers.ts'
import { post } from '../directory/outbox.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import * as challenges from './challenges.ts'
import { identifierError, type Word } from './form.ts'
import { forgive, take } from './limits.ts'
import { refusePassword } from './passwords.ts'
import type { Scene } from './scene.ts'
import { maySend } from './sending.ts'

/** What a recovery is bound to besides the account: the browser that began it. */
type Browser = string

/** Begins a recovery. The answer, its time and the page are the same whether anybody goes by the identifier or not. */
export const begin = async (
  scene: Scene,
  pool: Pool,
  typed: string,
  browser: Browser,
): Promise<{ identifier: Identifier; challenge: string } | { error: Word } | { alert: Word }> => {
  const { services } = scene
  const identifier = readIdentifier(typed, pool.settings.identifiers)
  if (!identifier) return { error: identifierError(typed, pool.settings.identifiers) }
  if (!(await maySend(scene, pool, identifier.value))) return { alert: { key: 'alert.resend_wait' } }
  const found = await users.findByIdentifier(services.db, pool.id, identifier)
  const user = found?.status === 'active' ? found : undefined
  const address = user?.identifiers.find(
    ({ kind, value }) => kind === 'email' && (identifier.kind !== 'email' || value === identifier.value),
  )
  return services.db.transaction().execute(async (trx) => {
    const wanted = {
      purpose: 'recover',
      boundTo: boundTo(scene, identifier, browser),
      userId: user?.id,
      data: { address: address?.value ?? null },
      link: true,
    } as const
    const { id, code, token } = await challenges.issue(trx, services, pool, wanted)
    const link = `${services.config.publicUrl}/w/${scene.workspace.slug}/recover?token=${token}`
    const minutes = Math.round(pool.settings.code_policy.lifetime_seconds / 60)
    const values = { code, link, minutes }
    await post(trx, scene, address && { to: address.value, channel: 'email', template: 'recover', values })
    return { identifier, challenge: id }
  })
}

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
  const who = services.keyring.hmac('recipient', address.value)
  if (!(await take(db, services.clock.now(), [{ kind: 'recipient', scope: pool.id, who }])))
    throw new Problem('too_many_requests', { retryAfter: 3600 })
  const data = { address: address.value }
  const wanted = { purpose: 'recover', boundTo: ['operator'], userId: user.id, data, link: true } as const
  const { token } = await challenges.issue(db, services, pool, wanted)
  const link = `${services.config.publicUrl}/w/${workspace.slug}/recover?token=${token}`
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
  { code, newPassword }: { code: string; newPassword: string },
): Promise<'done' | 'wrong' | 'over' | { weak: Word }> => {
  const { services } = scene
  const weak = refusePassword(newPassword, pool, [recovery.identifier.value])
  if (weak) return { weak }
  const passwordHash = await services.passwords.hash(newPassword)
  const boundHere = boundTo(scene, recovery.identifier, browser)
  const tried = { id: recovery.challenge, purpose: 'recover', boundTo: boundHere, code } as const
  const answered = await challenges.answer(services.db, services, pool.id, tried)
  if (answered.is !== 'right') return answered.is
  if (answered.userId === undefined) return 'over'
  await reset(scene, pool.id, answered.userId, answered.data, passwordHash)
  return 'done'
}

/** Sets a new password by the link of the mail, on any device. */
export const completeByLink = async (
  scene: Scene,
  pool: Pool,
  token: string,
  newPassword: string,
): Promise<'done' | 'over' | { weak: Word }> => {
  const { services } = scene
  const weak = refusePassword(newPassword, pool, [])
  if (weak) return { weak }
  const passwordHash = await services.passwords.hash(newPassword)
  const consumed = await challenges.consumeToken(services.db, services, 'recover', token)
  if (!consumed?.userId) return 'over'
  await reset(scene, consumed.poolId, consumed.userId, consumed.data, passwordHash)
  return 'done'
}

const reset = (
  scene: Scene,
  poolId: string,
  userId: string,
  { address }: Record<string, unknown>,
  passwordHash: string,
): Promise<void> =>
  scene.services.db.transaction().execute(async (trx) => {
    const now = scene.services.clock.now()
    const user = await users.findById(trx, userId)
    const proven = user?.identifiers.find(({ kind, value }) => kind === 'email' && value === address)
    if (user?.status !== 'active' || !proven) return
    // Whatever was added before anybody proved this address may be a hijacker's; it does not survive (security.md A03–A05).
    if (!proven.verified) await credentials.removeAll(trx, poolId, userId)
    await users.verifyIdentifier(trx, now, poolId, proven)
    await credentials.setPassword(trx, now, poolId, userId, passwordHash)
    await users.endEverything(trx, poolId, userId)
    await challenges.endAll(trx, now, poolId, userId)
    await forgive(trx, poolId, userId)
    const about = { workspaceId: scene.workspace.id, poolId, userId, clientId: scene.client?.id }
    await audit.record(trx, now, about, { type: 'user.recovered', data: {} })
    await post(trx, scene, { to: proven.value, channel: 'email', template: 'password-changed', values: {} })
  })

const boundTo = ({ client, workspace }: Scene, { value }: Identifier, browser: Browser) => [
  value,
  browser,
  workspace.id,
  client?.id,
]
