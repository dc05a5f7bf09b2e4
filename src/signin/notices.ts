import type { Db } from '../db/connect.ts'
import { issuerOf } from '../directory/address.ts'
import { post } from '../directory/outbox.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { networkOf } from '../platform/network.ts'
import { wordsFor } from '../platform/words.ts'
import { deviceName } from './device-name.ts'
import { take } from './limits.ts'
import type { Asking } from './methods/method.ts'
import type { Scene } from './scene.ts'

type Told =
  | 'factor-added'
  | 'factor-removed'
  | 'identifier-changed'
  | 'account-deleted'
  | 'account-deletion'
  | 'passkey-added'
  | 'recovery-code-used'
  | 'second-factor-failed'
  | 'new-sign-in'
  | 'sign-in-refused'

/** Tells somebody by mail what happened to their account, where they have an address that is proven. */
export const tellOwner = async (
  db: Db,
  scene: Scene,
  { identifiers }: Pick<User, 'identifiers'>,
  template: Told,
  values: Record<string, string | number> = {},
): Promise<void> => {
  const address = identifiers.find(({ kind, verified }) => kind === 'email' && verified)
  if (address) await post(db, scene, { to: address.value, channel: 'email', template, values })
}

/** Tells somebody that their password was right and the second factor was not: once an hour at most (security.md 24). */
export const tellOfFailure = async (scene: Scene, pool: Pool, user: User): Promise<void> => {
  const { db, clock } = scene.services
  const counter = { kind: 'notice', scope: pool.id, who: user.id } as const
  if (await take(db, clock.now(), [counter])) await tellOwner(db, scene, user, 'second-factor-failed')
}

/** Tells somebody of a sign-in that was not expected of them: five times an hour at most (security.md 23). */
export const tellOfSignIn = async (scene: Scene, pool: Pool, user: User): Promise<void> => {
  const { db, clock, config } = scene.services
  const counter = { kind: 'sign-in notice', scope: pool.id, who: user.id } as const
  if (!(await take(db, clock.now(), [counter]))) return
  const page = pool.settings.account_self_service ? 'account' : 'recover'
  const link = `${issuerOf(config, scene.workspace)}/${page}`
  await tellOwner(db, scene, user, 'new-sign-in', { ...circumstances(scene), link })
}

/**
 * Tells somebody that a right answer was refused, once an hour at most. A wrong one costs as much and tells nobody, so
 * that how long an answer takes does not say which it was.
 */
export const tellOfRefusal = async ({ scene, pool, subject }: Asking, right: boolean): Promise<void> => {
  const { db, clock, config, keyring } = scene.services
  const whose = subject.is === 'user' ? subject.user.id : keyring.hmac('stranger', subject.identifier.value)
  const counter = { kind: 'refusal notice', scope: pool.id, who: right ? whose : `${whose}:wrong` } as const
  const due = await take(db, clock.now(), [counter])
  if (!right || !due || subject.is !== 'user') return post(db, scene, undefined)
  const link = `${issuerOf(config, scene.workspace)}/recover`
  await tellOwner(db, scene, subject.user, 'sign-in-refused', { ...circumstances(scene), link })
}

/** With what, from where and when somebody signs in, in words. */
const circumstances = ({ services, lang, agent, ip }: Scene) => {
  const words = wordsFor(lang)
  const network = networkOf(ip)
  const country = services.geoip?.find(ip)?.country
  const named = country && new Intl.DisplayNames(lang, { type: 'region' }).of(country)
  const time = new Intl.DateTimeFormat(lang, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })
  return {
    device: deviceName(agent, words),
    network: [named, network].filter(Boolean).join(', ') || words.t('mail.network_unknown'),
    time: `${time.format(services.clock.now())} UTC`,
  }
}
