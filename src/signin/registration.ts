import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { type Identifier, readIdentifier } from '../directory/identifiers.ts'
import { hostOf, type Note, post } from '../directory/outbox.ts'
import type { Pool } from '../directory/pools.ts'
import { readProfile } from '../directory/profiles.ts'
import * as users from '../directory/users.ts'
import type { Attempt } from './attempt.ts'
import * as challenges from './challenges.ts'
import { faultWord, identifierError, type Word } from './form.ts'
import type { Outsider } from './outsider.ts'
import { refusePassword } from './passwords.ts'
import { openPool } from './pools/index.ts'
import type { Scene } from './scene.ts'
import { allow, provable, sendsTo, sentTooOften } from './sending.ts'

type Registration = NonNullable<Attempt['registration']>

/** Registers what a form sent as a new user whose address is not proven yet, or says what is wrong with the form. */
export const register = async (
  scene: Scene,
  attempt: Attempt,
  pool: Pool,
  fields: Record<string, string>,
): Promise<{ registration: Registration } | { errors: Record<string, Word> } | { alert: Word }> => {
  const kinds = provable(scene.services, pool)
  const identifier = readIdentifier(fields.identifier ?? '', kinds, pool.settings.default_country)
  const { profile, faults } = await readProfile(pool.settings.user_schema, fields)
  const errors: Record<string, Word> = {}
  for (const fault of faults) errors[fault.property] ??= faultWord(fault)
  if (!identifier) errors.identifier = identifierError(fields.identifier ?? '', kinds)
  else if (identifier.kind === 'mobile' && !sendsTo(pool, identifier.value))
    errors.identifier = { key: 'error.country' }
  const password = fields.password ?? fields.new_password ?? ''
  const wantsPassword = pool.settings.sign_in_methods.includes('password')
  const context = [fields.identifier ?? '', ...Object.values(profile).map(String)]
  const wanted = { password, context, warned: fields.warned !== undefined }
  const weak = wantsPassword ? await refusePassword(scene.services, pool, wanted) : undefined
  if (weak) errors.password = weak
  if (!identifier || Object.keys(errors).length > 0) return { errors }
  if (!(await mayRegister(scene, pool, identifier))) return { alert: sentTooOften }
  const passwordHash = wantsPassword ? await scene.services.passwords.hash(password) : undefined
  return { registration: await begin(scene, attempt, pool, { identifier, profile, passwordHash }) }
}

/** Sends a new code for a registration that is under way; the old one is over. */
export const resend = async (
  scene: Scene,
  attempt: Attempt,
  pool: Pool,
  registration: Registration,
): Promise<Registration | undefined> => {
  if (!(await mayRegister(scene, pool, registration.identifier))) return undefined
  return begin(scene, attempt, pool, registration)
}

/**
 * Takes the code that proves the address: the new user becomes active with exactly what was typed in this attempt, so
 * that nobody else who tried the same address left anything behind (a pre-hijacked account).
 */
export const verify = async (
  scene: Scene,
  attempt: Attempt,
  pool: Pool,
  registration: Registration,
  code: string,
): Promise<'active' | 'wrong' | 'over' | 'repeated'> => {
  const { services } = scene
  const tried = {
    id: registration.challenge,
    purpose: 'register',
    boundTo: boundTo(scene, attempt, registration),
    code,
  } as const
  const { is } = await challenges.answer(services.db, services, pool.id, tried)
  const { userId } = registration
  if (is === 'right' && registration.guest) return comeOver(scene, pool, registration, registration.guest)
  if (is !== 'right' || userId === undefined) return is === 'wrong' ? 'wrong' : 'over'
  return services.db.transaction().execute(async (trx) => {
    const now = services.clock.now()
    const { identifier, profile, passwordHash } = registration
    if (!(await users.activate(trx, now, pool.id, userId, identifier, profile))) return 'repeated'
    await credentials.removeAll(trx, pool.id, userId)
    if (passwordHash) await credentials.setPassword(trx, now, pool.id, userId, passwordHash)
    const about = { workspaceId: scene.workspace.id, poolId: pool.id, userId, clientId: scene.client?.id }
    await audit.record(trx, now, about, { type: 'user.registered', data: { identifier_kind: identifier.kind } })
    return 'active'
  })
}

/** Brings somebody over whom the pool's source knows by the address that they registered with, and have now proven. */
const comeOver = async (
  { services, workspace, client }: Scene,
  pool: Pool,
  { identifier, profile, passwordHash }: Registration,
  outsider: Outsider,
): Promise<'active' | 'over'> => {
  const subject = { is: 'guest', identifier, outsider } as const
  const arrival = { outsider, proven: identifier.value, passwordHash }
  const user = await openPool(pool, services).settle(subject, { arrival })
  if (!user) return 'over'
  const at = services.clock.now()
  const about = { workspaceId: workspace.id, poolId: pool.id, userId: user.id, clientId: client?.id }
  await services.db.transaction().execute(async (trx) => {
    // What their source knows of them goes before what was typed.
    await users.fillProfile(trx, at, pool.id, user.id, profile)
    await audit.record(trx, at, about, { type: 'user.registered', data: { identifier_kind: identifier.kind } })
  })
  return 'active'
}

const begin = async (
  scene: Scene,
  attempt: Attempt,
  pool: Pool,
  wanted: Pick<Registration, 'identifier' | 'profile' | 'passwordHash'>,
): Promise<Registration> => {
  const { services } = scene
  const found = await users.findByIdentifier(services.db, pool.id, wanted.identifier)
  const guest = await openPool(pool, services).seek(wanted.identifier, found, scene.ip)
  return send(scene, attempt, pool, wanted, guest)
}

const send = (
  scene: Scene,
  attempt: Attempt,
  pool: Pool,
  { identifier, profile, passwordHash }: Pick<Registration, 'identifier' | 'profile' | 'passwordHash'>,
  guest: Outsider | undefined,
): Promise<Registration> =>
  scene.services.db.transaction().execute(async (trx) => {
    const { services } = scene
    const now = services.clock.now()
    const made = guest
      ? undefined
      : await users.create(trx, now, pool.id, { identifier, status: 'new', verified: false })
    const owner = made || guest ? undefined : await users.findByIdentifier(trx, pool.id, identifier)
    // Somebody who never proved the address has no claim to it; whoever does first gets it.
    const userId = made ?? (owner?.status === 'new' ? owner.id : undefined)
    const binding = boundTo(scene, attempt, { identifier })
    const { id, code } = await challenges.issue(trx, services, pool, { purpose: 'register', boundTo: binding, userId })
    const minutes = Math.round(pool.settings.code_policy.lifetime_seconds / 60)
    const values: Record<string, string | number> = userId || guest ? { code, minutes } : {}
    const template = userId || guest ? 'register-code' : 'register-taken'
    const to = identifier.value
    const note: Note =
      identifier.kind === 'mobile'
        ? { to, channel: 'sms', template, host: hostOf(services), values }
        : { to, channel: 'email', template, values }
    await post(trx, scene, note)
    return { identifier, profile, passwordHash, userId, guest, challenge: id }
  })

const mayRegister = async (scene: Scene, pool: Pool, { kind, value }: Identifier): Promise<boolean> => {
  const channel = kind === 'mobile' ? 'sms' : 'email'
  return (await allow(scene, pool, { channel, asked: value, to: value, userId: undefined })) !== undefined
}

const boundTo = (scene: Scene, attempt: Attempt, { identifier }: { identifier: Identifier }) => [
  identifier.value,
  attempt.id,
  scene.client?.id,
]
