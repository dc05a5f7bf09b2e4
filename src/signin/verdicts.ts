import { type Pool, staysElsewhere } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import type { Attempt } from './attempt.ts'
import type { Word } from './form.ts'
import { learntFrom, sealLearnt } from './learnt.ts'
import { windowMinutes } from './limits.ts'
import type { Asking, Method, Verdict } from './methods/method.ts'
import { tellOfFailure, tellOwner } from './notices.ts'
import { connectionOf } from './policy.ts'
import { proofOf, type Tried } from './prove.ts'
import { fewCodes } from './recovery-codes.ts'
import type { Stage } from './stage.ts'

/** The attempt after a right answer: one proof more, and no question open. */
export const proven = async (
  { scene, attempt }: Stage,
  method: Method,
  user: User,
  verdict: Extract<Verdict, { ok: true }>,
): Promise<Attempt> => {
  const { db, clock } = scene.services
  const { left } = verdict
  if (left !== undefined) await tellOwner(db, scene, user, 'recovery-code-used', { left })
  return {
    ...attempt,
    method: undefined,
    pending: undefined,
    proofs: [...attempt.proofs, proofOf(method, user, clock.now(), verdict)],
    evidence: { ...attempt.evidence, ...verdict.evidence },
    ...learntBy({ scene, attempt }, verdict.evidence.arrival?.outsider.claims),
    ...(left !== undefined && left <= fewCodes ? { codesLeft: left } : {}),
  }
}

/** What the pool's source told with a proof. */
const learntBy = (
  { scene, attempt }: Pick<Stage, 'scene' | 'attempt'>,
  claims: Record<string, unknown> | undefined,
): Pick<Attempt, 'learnt'> => {
  const connection = claims && connectionOf(scene, attempt)
  const { keyring, clock } = scene.services
  const learnt = connection && sealLearnt(keyring, attempt, learntFrom(connection, clock.now(), { claims }))
  return learnt ? { learnt } : {}
}

/**
 * The attempt after an answer that was not taken. Whoever knows the password and not the second factor may be somebody
 * else: the owner hears of it.
 */
export const refused = async (
  { scene, attempt }: Stage,
  { pool, subject }: Asking,
  method: string,
  why: Extract<Tried, { ok: false }>['why'],
): Promise<Attempt> => {
  const alert = alertOf(why, method, pool)
  const knows = attempt.proofs.some(({ factors }) => factors.includes('knowledge'))
  if (!knows || attempt.warned || subject.is !== 'user') return { ...attempt, alert }
  await tellOfFailure(scene, pool, subject.user)
  return { ...attempt, alert, warned: true }
}

/** Said where a password is kept elsewhere for good, and can only be changed there. */
export const passwordElsewhere: Word = { key: 'alert.password_elsewhere' }

/** What an answer that was not taken is called; where passwords are set elsewhere, nobody learns who has to set one. */
export const alertOf = (
  why: Extract<Tried, { ok: false }>['why'],
  method: string,
  pool?: Pick<Pool, 'source'>,
): Word => {
  if (why === 'unavailable') return { key: 'alert.source_unavailable' }
  if (why === 'elsewhere') return passwordElsewhere
  if (why === 'too-many') return { key: 'alert.too_many', values: { minutes: windowMinutes('account') } }
  if (why === 'expired') return { key: method === 'passkey' ? 'alert.passkey_expired' : 'alert.code_expired' }
  if (method === 'password' && pool && staysElsewhere(pool)) return { key: 'alert.credentials_elsewhere' }
  const known: Record<string, string> = {
    password: 'alert.credentials',
    totp: 'alert.totp_wrong',
    passkey: 'alert.passkey_wrong',
  }
  return { key: known[method] ?? 'alert.code_wrong' }
}
