import { LRUCache } from 'lru-cache'
import * as audit from '../directory/audit.ts'
import type { Identifier } from '../directory/identifiers.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { openBucket } from '../platform/bucket.ts'
import { networkOf } from '../platform/network.ts'
import type { Factor, Proof } from './attempt.ts'
import { deviceOf } from './known-device.ts'
import { addressKey, type Counter, charge, keyOf, look, type Standing } from './limits.ts'
import type { Asking, Method, Verdict } from './methods/method.ts'
import { tellOfRefusal } from './notices.ts'
import type { Known, Subject } from './pools/pool.ts'
import type { Scene } from './scene.ts'

/**
 * Lets somebody try one method, on the counters that every door shares. Fifty failures at once count fifty. A success
 * forgives nothing yet: a right password must not buy new tries at a second factor. What has to be written goes into the
 * request's work.
 */
export const tryMethod = async <Pending>(
  at: Asking,
  method: Method<Pending>,
  answer: Record<string, string>,
  pending: Pending,
  door: { grantType?: string } = {},
): Promise<Tried & { failures: Failures }> => {
  const { scene } = at
  const now = scene.services.clock.now()
  const { gates, counters } = countersOf(at)
  const standing = await look(scene.services.hot, now, [...gates, ...counters])
  const isOpen = !method.guarded || standing.isOpen(gates)
  const mayLook = isOpen && (!method.guarded || isSlowEnough(at))
  const wasAway = isAwayFor(at, method)
  const verdict = mayLook ? await settled(at, method, answer, pending) : ({ ok: false, why: 'too-many' } as const)
  const failures = failuresOf(at, standing)
  if (!verdict.ok) fail(at, method.name, verdict.why, door)
  // A guess that came too fast counts like a wrong one; where the account is closed already, none counts any more.
  // That nobody could say whether it was right is no failure of whoever asked.
  if (!verdict.ok && isOpen && verdict.why !== 'unavailable') chargeFailure(at, failures)
  if (!verdict.ok && at.pool.settings.risk.high === 'refuse') await tellOfRefusal(at, false)
  if (!verdict.ok) scene.services.metrics.signIn(verdict.why, method.name)
  return { ...(wasAway || isAwayFor(at, method) ? unexplained(verdict) : verdict), failures }
}

const isAwayFor = ({ home }: Asking, { name }: Pick<Method, 'name'>): boolean =>
  name === 'password' && home.isAway?.() === true

/** While some passwords cannot be checked, none that was refused tells whether it was: or it would tell whose they are. */
const unexplained = (verdict: Tried): Tried =>
  verdict.ok || verdict.why === 'elsewhere' ? verdict : { ok: false, why: 'unavailable' }

/** What became of a try; a right answer is somebody's, who has been made a user by it where they come from outside. */
export type Tried =
  | (Extract<Verdict, { ok: true }> & { known: Known })
  | Extract<Verdict, { ok: false }>
  | { ok: false; why: 'too-many' }

const settled = async <Pending>(
  at: Asking,
  method: Method<Pending>,
  answer: Record<string, string>,
  pending: Pending,
): Promise<Tried> => {
  const verdict = await method.verify(at, answer, pending)
  if (!verdict.ok) return verdict
  const user = await at.home.settle(at.subject, verdict.evidence)
  if (!user) return { ok: false, why: method.name === 'password' ? 'wrong' : 'expired' }
  return { ...verdict, known: { is: 'user', identifier: at.subject.identifier, user } }
}

/**
 * Whether a second proof may be looked at now. Failures are charged when they are known: without this, a thousand codes
 * sent at once would all be tried before the first counts. A browser that its user is known in is counted by itself. Each
 * node counts for itself, which costs no statement.
 */
const isSlowEnough = ({ scene, attempt, pool, subject }: Asking): boolean => {
  if (attempt.proofs.length === 0) return true
  const device = subject.is === 'user' ? deviceOf(scene, pool, subject.user) : undefined
  const who = [pool.id, whoOf(scene, subject), device].join()
  const mayTry = paces.get(who) ?? openBucket({ rate: 1 / 3, burst: 20 })
  paces.set(who, mayTry)
  return mayTry(scene.services.clock.now())
}

/** By whom second proofs were tried lately. */
const paces = new LRUCache<string, (at: Date) => boolean>({ max: 10_000 })

/** Recent failures before this try: of the account, and of how many accounts from the same network. */
export interface Failures {
  account: number
  network: number
}

/** Counts one failure on the counters that every door shares. One account counts once against a network. */
export const chargeFailure = (at: Asking, { account }: Failures): void => {
  const now = at.scene.services.clock.now()
  const charged = countersOf(at).counters.filter(({ kind }) => kind !== 'network' || account === 0)
  at.scene.work.charges.push(...charged.map((counter) => charge(counter, now)))
}

const failuresOf = ({ scene, pool, subject }: Asking, standing: Standing): Failures => ({
  account: standing.points(accountCounter(scene, pool, subject)),
  network: networkCounters(scene).reduce((sum, counter) => sum + standing.points(counter), 0),
})

/** What one method's success is worth, and whose it is. */
export const proofOf = (
  { name, amr, factors, phishingResistant }: Pick<Method, 'name' | 'amr' | 'factors' | 'phishingResistant'>,
  { id, era }: Pick<User, 'id' | 'era'>,
  at: Date,
  proven: { factors?: Factor[]; amr?: string[] } = {},
): Proof => ({
  method: name,
  amr: proven.amr ?? [amr],
  factors: proven.factors ?? factors,
  phishingResistant: phishingResistant === true,
  at: at.getTime(),
  user: id,
  era,
})

/**
 * Forgives the failures of an account whose owner has proven everything that was asked. In a browser that they are known
 * in only its own: whoever guesses elsewhere gets no new tries by that.
 */
export const forgiveFailures = (at: Asking): void => {
  const { scene, attempt, pool, subject } = at
  const second = attempt.proofs.length > 1 ? [secondCounter(scene, pool, subject)] : []
  const own = deviceCounters(at)?.filter(({ kind }) => kind === 'known device' || second.length > 0)
  scene.work.forgiven.push(...(own ?? [accountCounter(scene, pool, subject), ...second]).map(keyOf))
}

const fail = (
  { scene, pool, subject }: Asking,
  method: string,
  why: string,
  { grantType }: { grantType?: string },
): void => {
  const about = {
    workspaceId: scene.workspace.id,
    poolId: pool.id,
    userId: subject.is === 'user' ? subject.user.id : undefined,
    clientId: scene.client?.id,
  }
  const data = {
    method,
    why,
    identifier_kind: subject.identifier.kind,
    ...(grantType ? { grant_type: grantType } : {}),
  }
  scene.work.events.push(audit.event(scene.services.clock.now(), about, { type: 'sign_in.failed', data }))
}

/**
 * What a failure is counted on: one counter for the account whatever it was called by; a stranger has one under what was
 * typed. Whoever has proven something already is counted on one more, that lasts. `gates` are those that must be open:
 * all of them, or in a browser that its user is known in its own alone, so that nobody locks the owner out
 * (security.md 19).
 */
const countersOf = (at: Asking): { gates: Counter[]; counters: Counter[] } => {
  const { scene, attempt, pool, subject } = at
  const everybody: Counter[] = [
    accountCounter(scene, pool, subject),
    { kind: 'address', scope: 'all', who: addressKey(scene.ip) },
    ...networkCounters(scene),
    { kind: 'pool', scope: pool.id, who: 'all' },
    ...(attempt.proofs.length > 0 ? [secondCounter(scene, pool, subject)] : []),
  ]
  const own = deviceCounters(at)
  return { gates: own ?? everybody, counters: [...everybody, ...(own ?? [])] }
}

const deviceCounters = ({ scene, attempt, pool, subject }: Asking): Counter[] | undefined => {
  const device = subject.is === 'user' ? deviceOf(scene, pool, subject.user) : undefined
  if (device === undefined) return undefined
  const who = `${whoOf(scene, subject)}:${device}`
  const kinds = attempt.proofs.length > 0 ? (['known device', 'second factor'] as const) : (['known device'] as const)
  return kinds.map((kind) => ({ kind, scope: pool.id, who }))
}

const networkCounters = ({ ip }: Scene): Counter[] => {
  const network = networkOf(ip)
  return network === undefined ? [] : [{ kind: 'network', scope: 'all', who: network }]
}

const accountCounter = (scene: Scene, pool: Pool, subject: Subject): Counter => ({
  kind: 'account',
  scope: pool.id,
  who: whoOf(scene, subject),
})

const secondCounter = (scene: Scene, pool: Pool, subject: Subject): Counter => ({
  kind: 'second factor',
  scope: pool.id,
  who: whoOf(scene, subject),
})

const whoOf = ({ services }: Scene, subject: Subject): string =>
  subject.is === 'user' ? subject.user.id : services.keyring.hmac('stranger', nameOf(subject.identifier))

const nameOf = ({ kind, value }: Identifier) => `${kind}:${value}`
