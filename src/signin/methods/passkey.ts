import { z } from 'zod'
import { nameFrom, passkeyData, spend } from '../../directory/passkeys.ts'
import { wordsFor } from '../../platform/words.ts'
import { provePossession } from '../assertion.ts'
import { type Ceremony, newChallenge, readChallenge } from '../ceremony.ts'
import { deviceName } from '../device-name.ts'
import {
  checkAttestation,
  clientDataOf,
  creationOptions,
  partyAt,
  readAssertion,
  readAttestation,
  requestOptions,
} from '../webauthn.ts'
import { type Asking, type Enrolling, type Enrolment, heldOf, type Method } from './method.ts'

const nothing = z.object({})
const begun = nothing.default({})

/** The most that one person may have. */
const most = 20

/** Has an authenticator make a passkey. Nothing is kept until it is there: the challenge proves itself. */
const enrol: Enrolment<z.infer<typeof begun>> = {
  several: true,
  begun,
  begin: async () => ({}),

  form: (at) => {
    const party = partyAt(at.scene)
    if (!party) return { fields: [], submit: 'button.passkey_add' }
    const options = creationOptions(at.scene, party, {
      challenge: newChallenge(at.scene.services, enrolmentOf(at)),
      handle: handleOf(at),
      name: at.user.identifiers[0]?.typed ?? at.user.id,
      known: heldAt(at).map(({ data }) => data),
    })
    return { fields: [], submit: 'button.passkey_add', passkey: { act: 'create', options } }
  },

  async complete(at, answer) {
    const { services, lang, agent } = at.scene
    const party = partyAt(at.scene)
    const given = readAttestation(answer.credential)
    const client = given && clientDataOf(given)
    if (!party || !client || client.framed || heldOf(at.user, passkey).length >= most) return wrong
    const challenge = readChallenge(services, enrolmentOf(at), client.challenge)
    if (!challenge) return { ok: false, why: 'expired' }
    const checked = await checkAttestation(party, given, client.challenge)
    if (!checked || !(await spend(services.db, services.clock.now(), at.pool.id, challenge))) return wrong
    const name = nameFrom(deviceName(agent, wordsFor(lang)))
    const credential = { kind: passkey.name, data: { ...checked, user_handle: handleOf(at), name } }
    return { ok: true, credential, amr: ['pop', 'user'] }
  },
}

/**
 * A key that an authenticator holds for us and nobody else can ask for (WebAuthn L3). It stands for two factors where the
 * authenticator made sure of its user. Nothing can be guessed, so no lock closes this way in.
 */
export const passkey: Method<z.infer<typeof nothing>, z.infer<typeof passkeyData>, z.infer<typeof begun>> = {
  name: 'passkey',
  amr: 'pop',
  factors: ['possession', 'inherence'],
  phishingResistant: true,
  guarded: false,
  saved: passkeyData,
  pending: nothing,

  offered: ({ scene, subject }) =>
    partyAt(scene) !== undefined && (subject.is !== 'user' || heldAt({ scene, user: subject.user }).length > 0),

  form: (at) => {
    const party = partyAt(at.scene)
    if (!party) return { fields: [], submit: 'button.passkey' }
    const challenge = newChallenge(at.scene.services, proofOf(at))
    const asked = { challenge, allowed: allowedFor(at), verified: hasToVerify(at) }
    return { fields: [], submit: 'button.passkey', passkey: { act: 'get', options: requestOptions(party, asked) } }
  },

  async verify(at, answer) {
    const { scene, pool, subject } = at
    const given = readAssertion(answer.credential)
    if (!given || subject.is !== 'user') return wrong
    const { user } = subject
    const held = heldAt({ scene, user }).find(({ data }) => data.credential_id === given.id)
    if (!held) return wrong
    return provePossession(scene, { pool, user, held, ceremony: proofOf(at), verified: hasToVerify(at) }, given)
  },
  enrol,
}

const wrong = { ok: false, why: 'wrong' } as const

/** The passkeys of somebody that were made for this party. */
export const heldAt = ({ scene, user }: Pick<Enrolling, 'scene' | 'user'>) => {
  const party = partyAt(scene)
  return heldOf(user, passkey).filter(({ data }) => data.rp_id === party?.id)
}

// Before anything is proven nobody is told what an account holds: any passkey may answer, and only the right one counts.
const allowedFor = ({ scene, attempt, subject }: Asking) =>
  attempt.proofs.length > 0 && subject.is === 'user'
    ? heldAt({ scene, user: subject.user }).map(({ data }) => data)
    : []

/** Beside something known a passkey is the second factor by being there; everywhere else it has to be both. */
const hasToVerify = ({ attempt }: Asking): boolean =>
  !attempt.proofs.some(({ factors }) => factors.includes('knowledge') || factors.includes('mailbox'))

const proofOf = ({ scene, attempt, pool, subject }: Asking): Ceremony => [
  'prove',
  scene.workspace.id,
  attempt.id,
  pool.id,
  subject.identifier.value,
  subject.is === 'user' ? subject.user.id : undefined,
  scene.client?.id,
]

const enrolmentOf = ({ scene, pool, user, boundTo }: Enrolling): Ceremony => [
  'enrol',
  scene.workspace.id,
  boundTo,
  pool.id,
  user.id,
]

/** What authenticators know a user by: as good as random, the same for all their passkeys, and nobody else's ever. */
const handleOf = ({ scene, pool, user }: Enrolling): string =>
  heldAt({ scene, user })[0]?.data.user_handle ?? scene.services.keyring.hmac('passkey user', `${pool.id}:${user.id}`)
