import * as audit from '../directory/audit.ts'
import { type PasskeyData, use } from '../directory/passkeys.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import type { Factor } from './attempt.ts'
import { type Ceremony, readChallenge } from './ceremony.ts'
import type { Refused, Verdict } from './methods/method.ts'
import type { Scene } from './scene.ts'
import { type Assertion, checkAssertion, clientDataOf, partyAt } from './webauthn.ts'

type Proven = Extract<Verdict, { ok: true }> | Refused

interface Asked {
  pool: Pool
  user: User
  held: { id: string; data: PasskeyData }
  ceremony: Ceremony
  /** Whether the authenticator has to have made sure of its user. */
  verified: boolean
}

const wrong = { ok: false, why: 'wrong' } as const

/**
 * Whether an assertion proves that somebody has their passkey (WebAuthn L3 section 7.2). A challenge is used up by the
 * first right answer to it; a counter that went back is recorded, and refused.
 */
export const provePossession = async (
  scene: Scene,
  { pool, user, held, ceremony, verified }: Asked,
  given: Assertion,
): Promise<Proven> => {
  const { services } = scene
  const party = partyAt(scene)
  const client = clientDataOf(given)
  if (!party || !client || client.framed || !isHandleOf(held.data, given)) return wrong
  const challenge = readChallenge(services, ceremony, client.challenge)
  if (!challenge) return { ok: false, why: 'expired' }
  const checked = await checkAssertion(party, given, client.challenge, held.data, verified)
  if (!checked) return wrong
  const at = services.clock.now()
  const which = { poolId: pool.id, userId: user.id, id: held.id }
  const used = await use(services.db, at, which, { challenge, ...checked })
  if (!used.fresh) return { ok: false, why: 'expired' }
  if (!used.counted) return refuseCopy(scene, { pool, user, held }, checked.counter)
  const factors: Factor[] = checked.verified ? ['possession', 'inherence'] : ['possession']
  return { ok: true, evidence: {}, factors, amr: ['pop', 'user'] }
}

/** Whoever asserts says who they are where they were not asked for by name (section 7.2 step 6); never somebody else. */
const isHandleOf = ({ user_handle }: PasskeyData, { response }: Assertion): boolean =>
  response.userHandle === user_handle || (response.userHandle ?? '') === ''

const refuseCopy = (
  scene: Scene,
  { pool, user, held }: Pick<Asked, 'pool' | 'user' | 'held'>,
  counter: number,
): Proven => {
  const about = { workspaceId: scene.workspace.id, poolId: pool.id, userId: user.id, clientId: scene.client?.id }
  const data = { credential: held.id, counter, known: held.data.counter }
  const refused = { type: 'user.passkey_refused', data } as const
  scene.work.events.push(audit.event(scene.services.clock.now(), about, refused))
  return wrong
}
