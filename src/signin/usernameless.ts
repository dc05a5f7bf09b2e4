import * as audit from '../directory/audit.ts'
import type { Identifier } from '../directory/identifiers.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { provePossession } from './assertion.ts'
import type { Attempt, Proof } from './attempt.ts'
import { type Ceremony, newChallenge } from './ceremony.ts'
import type { Form } from './form.ts'
import { heldAt, passkey } from './methods/passkey.ts'
import { connectionOf } from './policy.ts'
import { proofOf } from './prove.ts'
import { openConnections, type Scene } from './scene.ts'
import { partyAt, readAssertion, requestOptions } from './webauthn.ts'

/** Somebody whom their passkey named, and what it proved. */
interface Arrival {
  pool: Pool
  user: users.User
  identifier: Identifier
  proof: Proof
}

/** What a browser is asked for before anybody has typed a name; undefined where nobody could come in by a passkey. */
export const askForPasskey = (scene: Scene, attempt: Attempt): Form['passkey'] => {
  const party = partyAt(scene)
  if (!party || poolsOf(scene, attempt).length === 0) return undefined
  const challenge = newChallenge(scene.services, ceremonyOf(scene, attempt))
  return { act: 'get', options: requestOptions(party, { challenge, verified: true }) }
}

/** Lets a passkey say whose it is, among the pools that are open here. A failure is recorded, with whose it was. */
export const arrive = async (
  scene: Scene,
  attempt: Attempt,
  sent: string,
): Promise<Arrival | { why: 'wrong' | 'expired' }> => {
  const pools = poolsOf(scene, attempt)
  const given = readAssertion(sent)
  const user = given && (await findOwner(scene, pools, given.id))
  const pool = pools.find(({ id }) => id === user?.poolId)
  const held = user && heldAt({ scene, user }).find(({ data }) => data.credential_id === given.id)
  const identifier = pool && user && nameOf(pool, user)
  // Nobody typed a name: the authenticator has to have given one (WebAuthn L3 section 7.2 step 6).
  const complete = user?.status === 'active' && pool && held && identifier && given.response.userHandle
  if (!complete) return refuse(scene, user, 'wrong')
  const asked = { pool, user, held, ceremony: ceremonyOf(scene, attempt), verified: true }
  const verdict = await provePossession(scene, asked, given)
  if (!verdict.ok) return refuse(scene, user, verdict.why)
  return { pool, user, identifier, proof: proofOf(passkey, user, scene.services.clock.now(), verdict) }
}

const findOwner = ({ services }: Scene, pools: Pool[], id: string): Promise<users.User | undefined> =>
  users.findByPasskey(
    services.db,
    pools.map((pool) => pool.id),
    id,
  )

/** The pools whose people may come in by a passkey: the chosen one, else all that are open. */
const poolsOf = (scene: Scene, attempt: Attempt): Pool[] => {
  const chosen = attempt.pool === undefined ? undefined : connectionOf(scene, attempt)
  return (chosen ? [chosen] : openConnections(scene))
    .map(({ pool }) => pool)
    .filter(({ settings }) => settings.sign_in_methods.includes('passkey'))
}

/** What somebody goes by from here on: as they could have typed it. */
const nameOf = ({ settings }: Pool, { identifiers }: users.User): Identifier | undefined => {
  const known = identifiers.filter(({ kind }) => settings.identifiers.includes(kind))
  const found = known.find(({ kind }) => kind === 'email') ?? known[0]
  return found && { kind: found.kind, value: found.value, typed: found.typed }
}

const ceremonyOf = ({ workspace, client }: Scene, { id }: Attempt): Ceremony => [
  'sign_in',
  workspace.id,
  id,
  client?.id,
]

const refuse = (scene: Scene, user: users.User | undefined, why: 'wrong' | 'expired'): { why: 'wrong' | 'expired' } => {
  const { services, work, workspace, client } = scene
  const about = { workspaceId: workspace.id, poolId: user?.poolId, userId: user?.id, clientId: client?.id }
  const failed = { type: 'sign_in.failed', data: { method: passkey.name, why } } as const
  work.events.push(audit.event(services.clock.now(), about, failed))
  services.metrics.signIn(why, passkey.name)
  return { why }
}
