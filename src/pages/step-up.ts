import { freshMs } from '../directory/acr.ts'
import * as users from '../directory/users.ts'
import type { Attempt, Proof } from '../signin/attempt.ts'
import { policyOf } from '../signin/policy.ts'
import { openConnections } from '../signin/scene.ts'
import { nextStep } from '../signin/step.ts'
import { sessionProof, worthOfSession } from '../signin/strength.ts'
import type { Visit } from './visit.ts'

/**
 * Begins an attempt where a session left off, so that only what is missing is asked. Undefined where the session has
 * ended, does not tell what was proven, or is too old to get another factor by: then everything is asked. Nothing is
 * kept until somebody answers.
 */
export const stepUp = async (
  { asked, issuer, scene }: Visit,
  begun: Attempt,
): Promise<{ attempt: Attempt; found: users.User } | undefined> => {
  const { stepUp: known } = asked
  const worth = known && worthOfSession(known)
  if (!worth) return undefined
  const { services } = scene
  const session = await services.hot.loadByUid(issuer.workspace.id, known.uid)
  const found =
    session?.payload.accountId === known.userId ? await users.findById(services.db, known.userId) : undefined
  const [identifier] = found?.identifiers.filter(({ kind }) => kind === 'email').concat(found.identifiers) ?? []
  const connected = openConnections(scene).some(({ pool }) => pool.id === found?.poolId)
  if (!found || !identifier || !connected || found.era !== session?.account?.era) return undefined
  const { kind, value, typed } = identifier
  const at = typeof session.payload.loginTs === 'number' ? session.payload.loginTs * 1000 : 0
  const proof: Proof = { method: sessionProof, amr: known.amr, ...worth, at, user: found.id, era: found.era }
  const attempt = { ...begun, pool: found.poolId, identifier: { kind, value, typed }, proofs: [proof] }
  const fresh = services.clock.now().getTime() - at < freshMs
  return fresh || nextStep(attempt, policyOf(scene, attempt, found)).do !== 'enrol' ? { attempt, found } : undefined
}
