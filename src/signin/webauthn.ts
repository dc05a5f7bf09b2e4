import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { z } from 'zod'
import { brandOf } from '../directory/outbox.ts'
import type { PasskeyData } from '../directory/passkeys.ts'
import { partyOf } from '../directory/relying-party.ts'
import type { Scene } from './scene.ts'

/** What passkeys are made for and used at here (WebAuthn L3 section 5.1.2). */
export interface Party {
  id: string
  origins: string[]
}

/** The party of a workspace; undefined where no browser would take it. */
export const partyAt = ({ workspace, services }: Pick<Scene, 'workspace' | 'services'>): Party | undefined =>
  partyOf(workspace.settings.passkeys, services.config)

// Read at the first passkey: it brings 250 files of certificate formats, 10 MB that not every node needs.
const library = () => import('@simplewebauthn/server')

/** ES256, EdDSA and RS256: what we ask for, and so all we take. */
const algorithms = [-7, -8, -257]

/** How long a person may take, in milliseconds; a challenge is not good for longer. */
const timeout = 300_000

const base64url = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[\w-]+$/)
const id = base64url(1364)
const common = { id, rawId: id, type: z.literal('public-key') }
const assertion = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url(8192),
    authenticatorData: base64url(8192),
    signature: base64url(2048),
    userHandle: base64url(128).nullish(),
  }),
})
const attestation = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url(8192),
    attestationObject: base64url(16384),
    transports: z.array(z.string().max(32)).max(16).optional(),
  }),
})
export type Assertion = z.infer<typeof assertion>
type Attestation = z.infer<typeof attestation>

/** What a browser sent for a sign-in; undefined where it is nothing of the kind. */
export const readAssertion = (sent: string | undefined): Assertion | undefined => readAs(assertion, sent)

/** What a browser sent for a new passkey. */
export const readAttestation = (sent: string | undefined): Attestation | undefined => readAs(attestation, sent)

const readAs = <Read>(schema: z.ZodType<Read>, sent = ''): Read | undefined => {
  try {
    return schema.parse(JSON.parse(sent))
  } catch {
    return undefined
  }
}

/** What an answer says it was made for; `crossOrigin` where another site had us in a frame. */
export const clientDataOf = ({ response }: Assertion | Attestation) => {
  try {
    const told = JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString()) as Partial<ClientData>
    const { challenge, crossOrigin, topOrigin } = told
    const framed = crossOrigin === true || topOrigin !== undefined
    return typeof challenge === 'string' ? { challenge, framed } : undefined
  } catch {
    return undefined
  }
}

/** What the browser adds (WebAuthn L3 section 5.8.1), of which any page can make anything. */
interface ClientData {
  challenge: unknown
  crossOrigin: unknown
  topOrigin: unknown
}

/** What a browser is asked for to sign in, as JSON; with no `allowed`, any passkey of this party will do. */
export const requestOptions = (
  party: Party,
  { challenge, allowed = [], verified }: { challenge: string; allowed?: PasskeyData[]; verified: boolean },
): string =>
  JSON.stringify({
    rpId: party.id,
    challenge,
    timeout,
    userVerification: verified ? 'required' : 'preferred',
    allowCredentials: allowed.map(descriptorOf),
  } satisfies PublicKeyCredentialRequestOptionsJSON)

/** What a browser is asked for to make a passkey, as JSON. */
export const creationOptions = (
  { workspace }: Pick<Scene, 'workspace'>,
  party: Party,
  { challenge, handle, name, known }: { challenge: string; handle: string; name: string; known: PasskeyData[] },
): string =>
  JSON.stringify({
    rp: { id: party.id, name: brandOf(workspace).name },
    user: { id: handle, name, displayName: name },
    challenge,
    pubKeyCredParams: algorithms.map((alg) => ({ alg, type: 'public-key' })),
    timeout,
    excludeCredentials: known.map(descriptorOf),
    // Whoever signs in with a passkey alone has typed no name: the authenticator has to know it.
    authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
    attestation: 'none',
    extensions: { credProps: true },
  } satisfies PublicKeyCredentialCreationOptionsJSON)

/** Checks an assertion (WebAuthn L3 section 7.2 steps 9 to 21); undefined where anything is wrong with it. */
export const checkAssertion = async (
  party: Party,
  given: Assertion,
  challenge: string,
  held: PasskeyData,
  verified: boolean,
): Promise<{ counter: number; backedUp: boolean; verified: boolean } | undefined> => {
  try {
    const { verifyAuthenticationResponse } = await library()
    const { verified: right, authenticationInfo: info } = await verifyAuthenticationResponse({
      response: given as AuthenticationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: party.origins,
      expectedRPID: party.id,
      expectedType: 'webauthn.get',
      requireUserVerification: verified,
      // The counter is compared where it is moved on, so that of two answers at once one is the later.
      credential: { id: held.credential_id, publicKey: bytesOf(held.public_key), counter: 0 },
    })
    const eligible = info.credentialDeviceType === 'multiDevice'
    if (!right || eligible !== held.backup_eligible) return undefined
    return { counter: info.newCounter, backedUp: info.credentialBackedUp, verified: info.userVerified }
  } catch {
    return undefined
  }
}

/** Checks a new passkey (WebAuthn L3 section 7.1 steps 5 to 26); undefined where anything is wrong with it. */
export const checkAttestation = async (
  party: Party,
  given: Attestation,
  challenge: string,
): Promise<Omit<PasskeyData, 'user_handle' | 'name'> | undefined> => {
  try {
    if (!(await isPlain(given.response.attestationObject))) return undefined
    const { verifyRegistrationResponse } = await library()
    const { verified, registrationInfo: info } = await verifyRegistrationResponse({
      response: { ...given, clientExtensionResults: {} } as RegistrationResponseJSON,
      expectedChallenge: challenge,
      expectedOrigin: party.origins,
      expectedRPID: party.id,
      expectedType: 'webauthn.create',
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    })
    if (!verified || info.credential.id !== given.id) return undefined
    return {
      credential_id: info.credential.id,
      public_key: Buffer.from(info.credential.publicKey).toString('base64url'),
      rp_id: party.id,
      counter: info.credential.counter,
      backup_eligible: info.credentialDeviceType === 'multiDevice',
      backed_up: info.credentialBackedUp,
      transports: given.response.transports ?? [],
      aaguid: info.aaguid,
    }
  } catch {
    return undefined
  }
}

// We ask for no attestation. One with certificates would have the library fetch lists of revoked ones from wherever they
// say; a browser strips it (WebAuthn L3 section 5.1.3 step 24).
const isPlain = async (attestationObject: string): Promise<boolean> => {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers')
  const decoded = decodeAttestationObject(bytesOf(attestationObject))
  const format = decoded.get('fmt')
  return format === 'none' || (format === 'packed' && decoded.get('attStmt').get('x5c') === undefined)
}

type Transports = NonNullable<RegistrationResponseJSON['response']['transports']>

const descriptorOf = ({ credential_id, transports }: PasskeyData) => ({
  type: 'public-key' as const,
  id: credential_id,
  transports: transports as Transports,
})

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'base64url'))
