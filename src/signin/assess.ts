import * as audit from '../directory/audit.ts'
import * as places from '../directory/places.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { isCommon } from '../platform/common-passwords.ts'
import { networkOf } from '../platform/network.ts'
import type { Attempt } from './attempt.ts'
import { isBreached } from './breaches.ts'
import { deviceOf, knowDevice } from './known-device.ts'
import type { Asking } from './methods/method.ts'
import { tellOfRefusal, tellOfSignIn } from './notices.ts'
import { policyOf } from './policy.ts'
import { chargeFailure, type Failures } from './prove.ts'
import { type Facts, type Risk, riskOf } from './risk.ts'
import type { Scene } from './scene.ts'
import type { Stage } from './stage.ts'
import { kindsOf } from './strength.ts'

/** What is known only while the first proof is made. */
export interface Evident {
  failures: Failures
  /** The password that was right. */
  password?: string | undefined
}

/** An attempt's verdict, with what its pool makes of it. */
type Judged = NonNullable<Attempt['risk']>

/** Whether a pool wants to know how risky its sign-ins are. Where not, nothing is looked at and nothing kept. */
const judges = ({ settings }: Pool): boolean => settings.risk.medium !== 'allow' || settings.risk.high !== 'allow'

/**
 * Judges a sign-in once, at its first proof, and keeps the verdict in the attempt. `refused` where the pool refuses it:
 * then it goes on as if the answer had been wrong, is counted as one, and the owner is told (docs/risk.md).
 */
export const assess = async (at: Asking, evident: Evident): Promise<{ attempt: Attempt; refused: boolean }> => {
  const { scene, attempt, pool, subject } = at
  if (!judges(pool) || attempt.proofs.length !== 1 || subject.is !== 'user') return { attempt, refused: false }
  const risk = await judge(at, subject.user, evident)
  const wanted = risk.level === 'low' ? 'allow' : pool.settings.risk[risk.level]
  const judged: Judged = { ...risk, does: canMeet(scene, attempt, subject.user, risk, wanted) ? wanted : 'refuse' }
  if (judged.does === 'refuse') await refuse(at, subject.user, judged, evident)
  return { attempt: { ...attempt, risk: judged }, refused: judged.does === 'refuse' }
}

/** Nobody who is asked for more gets it here: a stolen password would enrol its thief. Who has nothing else is refused. */
const canMeet = (scene: Scene, attempt: Attempt, user: User, risk: Risk, does: Judged['does']): boolean => {
  if (does !== 'second_factor' || kindsOf(attempt.proofs) > 1) return true
  const { doubt } = policyOf(scene, { ...attempt, risk: { ...risk, does } }, user)
  return doubt !== undefined && doubt.length > 0
}

const refuse = async (at: Asking, user: User, { level, reasons }: Judged, { failures }: Evident): Promise<void> => {
  const { scene, pool, attempt } = at
  const about = { workspaceId: scene.workspace.id, poolId: pool.id, userId: user.id, clientId: scene.client?.id }
  const data = { why: 'risk', method: attempt.proofs[0]?.method ?? '', risk: { level, reasons } }
  scene.work.events.push(audit.event(scene.services.clock.now(), about, { type: 'sign_in.refused', data }))
  chargeFailure({ ...at, attempt: { ...attempt, proofs: [] } }, failures)
  await tellOfRefusal(at, true)
}

const judge = async (at: Asking, user: User, evident: Evident): Promise<Risk> => {
  const { scene, attempt, pool } = at
  const { services, ip, cookies } = scene
  const now = services.clock.now().getTime()
  const known = user.places ?? (await places.list(services.db, pool.id, user.id))
  const facts: Facts = {
    at: now,
    device: cookies && deviceOf(scene, pool, user) !== undefined,
    first: !user.lastSignInAt,
    proven: provenBy(attempt),
    network: networkOf(ip),
    spot: services.geoip?.find(ip),
    places: known.filter((place) => Date.parse(place.at) > now - keptMs),
    failures: evident.failures,
    breached: false,
  }
  const risk = riskOf(facts)
  // A password that others know is a danger in their hands: where nothing else is odd, nobody is asked about it.
  if (risk.reasons.length === 0 || evident.password === undefined) return risk
  return riskOf({ ...facts, breached: await isLeaked(at, evident.password) })
}

const keptMs = places.keptDays * 24 * 60 * 60 * 1000

const provenBy = ({ proofs }: Attempt): Facts['proven'] => {
  if (proofs.some(({ phishingResistant }) => phishingResistant)) return 'passkey'
  return proofs.every(({ factors }) => factors.includes('mailbox')) ? 'mailbox' : 'other'
}

/** Where some sign-in is refused, nobody outside is asked: how long that takes would tell that the password was right. */
const isLeaked = async ({ scene, pool }: Asking, password: string): Promise<boolean> => {
  const { risk, password_policy } = pool.settings
  if (isCommon(password, 0)) return true
  if (risk.high === 'refuse' || password_policy.breached === 'off') return false
  return isBreached(scene.services, password)
}

/**
 * Keeps what the next sign-in is judged by, once somebody is in: this browser and, where the pool judges, this network.
 * Tells them of a sign-in that was a risk (security.md 23).
 */
export const arrived = async ({ scene, attempt }: Pick<Stage, 'scene' | 'attempt'>, pool: Pool, user: User) => {
  knowDevice(scene, pool, user)
  if (!judges(pool)) return
  const { services, ip, work } = scene
  const at = services.clock.now()
  const network = networkOf(ip)
  const { country, latitude, longitude } = services.geoip?.find(ip) ?? {}
  const expiresAt = new Date(at.getTime() + keptMs)
  const place = { poolId: pool.id, userId: user.id, country, latitude, longitude, at, expiresAt }
  if (network) work.places.push({ ...place, network })
  if (attempt.risk && attempt.risk.does !== 'allow') await tellOfSignIn(scene, pool, user)
}

/** What an event tells of an attempt's verdict. */
export const riskIn = ({ risk }: Pick<Attempt, 'risk'>) =>
  risk ? { risk: { level: risk.level, reasons: risk.reasons } } : {}
