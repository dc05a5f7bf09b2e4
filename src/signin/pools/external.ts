import { currentWork } from '../../db/work.ts'
import * as audit from '../../directory/audit.ts'
import { type Identifier, readIdentifier } from '../../directory/identifiers.ts'
import type { PoolSource } from '../../directory/pool-source.ts'
import type { Pool } from '../../directory/pools.ts'
import * as tombstones from '../../directory/tombstones.ts'
import type { User } from '../../directory/users.ts'
import type { Services } from '../../services.ts'
import type { Outsider } from '../outsider.ts'
import { refusePassword } from '../passwords.ts'
import { guardedSource, isAway } from '../sources/guarded.ts'
import { paced, paceOf } from '../sources/pace.ts'
import type * as source from '../sources/source.ts'
import { adopt } from './adopt.ts'
import { local, passwordHashOf } from './local.ts'
import type { Arrival, Checked, HomePool, Subject } from './pool.ts'

/**
 * A pool whose users live in a source. They are asked for there until they have come over; who has come over, or was made
 * here, never again. What a source does not answer looks like what it is, and like no wrong password.
 */
export const external = (pool: Pool, services: Services): HomePool => {
  const here = local(pool, services)
  const settings = settingsOf(pool)
  return {
    async identify(identifier, found, guest) {
      if (found?.status === 'active') return { is: 'user', identifier, user: found }
      if (found && found.status !== 'new') return { is: 'stranger', identifier, barred: true }
      return guest ? { is: 'guest', identifier, outsider: guest } : { is: 'stranger', identifier }
    },

    seek: (identifier, found, ip) =>
      paced(paceOf(pool.id, 'find'), async () => {
        if (settings.mode === 'sync' || settings.observe || settings.frozen) return undefined
        if (found && found.status !== 'new') return undefined
        if (await wasDeleted(services, pool, identifier)) return undefined
        const answer = await guardedSource(pool, services).find({ identifier, ip })
        if (answer.is === 'ok' && isAbout(pool, answer.user, identifier)) return answer.user
        if (answer.is === 'not_found') return undefined
        const detail = 'detail' in answer ? answer.detail : undefined
        fail(services, pool, answer.is === 'ok' ? 'another_user' : answer.is, detail)
        return undefined
      }),

    async checkPassword(subject, password, ip) {
      const pace = paceOf(pool.id, 'check')
      const isRight = ({ is }: Checked) => is === 'right'
      if (subject.is === 'user' && !livesThere(subject.user)) {
        const checked = await here.checkPassword(subject, password, ip)
        return paced(pace, async () => checked, isRight)
      }
      // Whoever is known here costs a hash, and so everybody does.
      const barred = isBarred(services, pool, subject)
      await services.passwords.verify(undefined, password)
      const isOut = await barred
      return paced(pace, async () => (isOut ? wrong : judge(services, pool, subject, password, ip)), isRight)
    },

    isAway: () => isAway(pool, services),

    async settle(subject, { arrival }) {
      if (!arrival) return here.settle(subject, {})
      // Where nothing is written, who is here stays as they are, and nobody else comes in.
      if (settings.observe) return subject.is === 'user' ? subject.user : undefined
      const { outsider, proven, passwordHash, mustChange, secondFactorDue } = arrival
      const migrates = settings.mode === 'migrate'
      const adopted = await adopt(services, pool, {
        ...{ outsider, proven, secondFactorDue, source: settings.type, mapping: settings.mapping },
        authority: migrates ? 'migrated' : 'linked',
        always: !migrates || settings.mapping.when === 'every_sign_in',
        asked: subject.identifier,
        ...(migrates ? { passwordHash, mustChange } : {}),
      })
      if (adopted.is === 'refused') return fail(services, pool, adopted.why)
      services.metrics.migration(migrates ? 'migrated' : 'synced')
      return adopted.made || (await isTheirs(adopted.user, arrival)) ? adopted.user : fail(services, pool, 'overtaken')
    },

    admit: here.admit,
  }
}

const wrong: Checked = { is: 'wrong' }

const settingsOf = ({ source }: Pool): PoolSource => {
  if (!source) throw new Error('An external pool has a source.')
  return source
}

/** Whether somebody's password is still the source's to know: they are linked, or were brought here without one. */
const livesThere = (user: User): boolean =>
  user.authority === 'linked' ||
  (user.authority === 'local' && user.externalId !== null && passwordHashOf(user) === undefined)

/** Whether nobody asks the source about somebody: they are here and may not come in, or were deleted. */
const isBarred = async (services: Services, pool: Pool, subject: Subject): Promise<boolean> =>
  subject.is !== 'user' &&
  ((subject.is === 'stranger' && subject.barred === true) || wasDeleted(services, pool, subject.identifier))

const wasDeleted = ({ db }: Services, { id }: Pool, { kind, value }: Identifier): Promise<boolean> =>
  tombstones.lies(db, id, [{ kind, value }])

/** Whether a source told of whom it was asked. An answer about anybody else would let one person in as another. */
const isAbout = (
  { settings }: Pool,
  { externalId, identifiers }: Outsider,
  { kind: asked, value: wanted }: Identifier,
): boolean =>
  externalId.length > 0 &&
  externalId.length <= 255 &&
  identifiers.some(
    ({ kind, typed }) => kind === asked && readIdentifier(typed, [kind], settings.default_country)?.value === wanted,
  )

/** Who was first has stored a password: whoever comes a moment later has to have proven the same one, or a mailbox. */
const isTheirs = async (user: User, { fits, proven }: Arrival): Promise<boolean> => {
  const hash = passwordHashOf(user)
  if (fits && hash !== undefined) return fits(hash)
  return proven !== undefined && user.identifiers.some(({ value, verified }) => verified && value === proven)
}

/** Asks the source, and makes of its answer what this pool does with it. */
const judge = async (
  services: Services,
  pool: Pool,
  subject: Subject,
  password: string,
  ip: string,
): Promise<Checked> => {
  const { identifier } = subject
  const settings = settingsOf(pool)
  if (settings.frozen && settings.mode === 'migrate') return wrong
  const answer = await guardedSource(pool, services).check({ identifier, password, ip })
  if (settings.observe) observe(services, pool, answer.is)
  switch (answer.is) {
    case 'ok':
    case 'must_change':
    case 'mfa_required':
      return accept(services, pool, subject, password, answer)
    case 'must_reset':
      fail(services, pool, answer.is)
      return { is: 'wrong', why: answer.is }
    case 'invalid':
    case 'not_found':
      return wrong
    case 'blocked':
      fail(services, pool, answer.is)
      return { is: 'wrong', why: answer.is }
    default:
      fail(services, pool, answer.is, answer.detail)
      return { is: 'closed', why: 'unavailable' }
  }
}

const accept = async (
  services: Services,
  pool: Pool,
  subject: Subject,
  password: string,
  { is, user: outsider }: Extract<source.Checked, { is: 'ok' | 'must_change' | 'mfa_required' }>,
): Promise<Checked> => {
  const settings = settingsOf(pool)
  if (!isAbout(pool, outsider, subject.identifier)) {
    fail(services, pool, 'another_user')
    return { is: 'closed', why: 'unavailable' }
  }
  // Somebody else has the address there now: it is not the person who is known here by it.
  if (subject.is === 'user' && subject.user.externalId !== null && subject.user.externalId !== outsider.externalId) {
    fail(services, pool, 'external_id_changed')
    return wrong
  }
  if (is === 'mfa_required' && settings.second_factor_there === 'refuse') {
    fail(services, pool, is)
    return { is: 'wrong', why: is }
  }
  if (is === 'must_change' && settings.mode === 'sync') return { is: 'closed', why: 'elsewhere' }
  if (settings.observe && subject.is !== 'user') return wrong
  const secondFactorDue = is === 'mfa_required' && settings.second_factor_there === 'require_ours'
  if (settings.mode === 'sync') return { is: 'right', evidence: { arrival: { outsider, secondFactorDue } } }
  const mustChange = is === 'must_change' || (await isWeak(services, pool, outsider, password))
  const passwordHash = await services.passwords.hash(password)
  const fits = (hash: string) => services.passwords.verify(hash, password)
  const arrival = { outsider, secondFactorDue, passwordHash, mustChange, fits }
  return { is: 'right', evidence: { arrival, ...(mustChange && !settings.observe ? { mustChange } : {}) } }
}

const isWeak = async (services: Services, pool: Pool, outsider: Outsider, password: string): Promise<boolean> => {
  if (settingsOf(pool).weak_passwords === 'accept') return false
  const context = outsider.identifiers.map(({ typed }) => typed)
  return (await refusePassword(services, pool, { password, context })) !== undefined
}

const observe = (services: Services, pool: Pool, outcome: string): void => {
  services.metrics.migration('observed')
  tell(services, pool, { type: 'migration.observed', data: { source: settingsOf(pool).type, outcome } })
}

/** Writes down why somebody could not come over, without who it was. */
const fail = (services: Services, pool: Pool, reason: string, detail?: string): undefined => {
  services.metrics.migration('failed')
  const data = { source: settingsOf(pool).type, reason, ...(detail ? { detail: detail.slice(0, 300) } : {}) }
  tell(services, pool, { type: 'migration.failed', data })
}

const tell = ({ clock }: Services, { id: poolId }: Pool, happening: audit.Happening): void => {
  currentWork()?.events.push(audit.event(clock.now(), { poolId }, happening))
}
