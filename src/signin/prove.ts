import * as audit from '../directory/audit.ts'
import type { Identifier } from '../directory/identifiers.ts'
import type { Pool } from '../directory/pools.ts'
import { addressKey, type Counter, charge, isOpen, keyOf } from './limits.ts'
import type { Asking, Method, Verdict } from './methods/method.ts'
import type { Subject } from './pools/pool.ts'
import type { Scene } from './scene.ts'

/**
 * Lets somebody try one method, on the counters that every door shares. Fifty failures at once count fifty; a success
 * forgives the account's. What has to be written goes into the request's work.
 */
export const tryMethod = async <Pending>(
  at: Asking,
  method: Method<Pending>,
  answer: Record<string, string>,
  pending: Pending,
  door: { grantType?: string } = {},
): Promise<Verdict | { ok: false; why: 'too-many' }> => {
  const { scene, pool, subject } = at
  const now = scene.services.clock.now()
  const counters = countersOf(scene, pool, subject)
  const open = await isOpen(scene.services.hot, now, Object.values(counters))
  const verdict =
    open || !method.guarded ? await method.verify(at, answer, pending) : ({ ok: false, why: 'too-many' } as const)
  if (verdict.ok) scene.work.forgiven.push(keyOf(counters.account))
  else fail(at, method.name, verdict.why, door, verdict.why === 'too-many' ? [] : chargesOf(counters, now))
  if (!verdict.ok) scene.services.metrics.signIn(verdict.why, method.name)
  return verdict
}

const chargesOf = (counters: Record<string, Counter>, now: Date) =>
  Object.values(counters).map((counter) => charge(counter, now))

const fail = (
  { scene, pool, subject }: Asking,
  method: string,
  why: string,
  { grantType }: { grantType?: string },
  charges: Scene['work']['charges'],
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
  scene.work.charges.push(...charges)
}

/** One counter for the account whatever it was called by; a stranger has one under what was typed. */
const countersOf = (scene: Scene, pool: Pool, subject: Subject): Record<'account' | 'address' | 'pool', Counter> => ({
  account: { kind: 'account', scope: pool.id, who: whoOf(scene, subject) },
  address: { kind: 'address', scope: 'all', who: addressKey(scene.ip) },
  pool: { kind: 'pool', scope: pool.id, who: 'all' },
})

const whoOf = ({ services }: Scene, subject: Subject): string =>
  subject.is === 'user' ? subject.user.id : services.keyring.hmac('stranger', nameOf(subject.identifier))

const nameOf = ({ kind, value }: Identifier) => `${kind}:${value}`
