import { verifyRegistrationResponse } from '@simplewebauthn/server'
import * as credentials from '../src/directory/credentials.ts'
import { type Authenticator, openAuthenticator } from '../src/signin/authenticator-testing.ts'
import type { Database } from './database.ts'
import { emailOf, fixture } from './fixture.ts'
import type { Seed } from './seed.ts'

/** Gives so many people of the pool for passkeys one each, as if they had enrolled; the n-th is that of the n-th person. */
export const givePasskeys = async ({ db }: Database, seeded: Seed, count: number): Promise<Authenticator[]> => {
  const poolId = seeded.keysPoolId
  const rows = await db
    .selectFrom('identifiers')
    .select(['value', 'userId'])
    .where('poolId', '=', poolId)
    .where(
      'value',
      'in',
      Array.from({ length: count }, (_, n) => emailOf(n)),
    )
    .execute()
  const ids = new Map(rows.map(({ value, userId }) => [value, userId]))
  const given: Authenticator[] = []
  for (let n = 0; n < count; n += 1) {
    const userId = ids.get(emailOf(n)) ?? ''
    const { authenticator, data } = await enrol(seeded.keyring.hmac('passkey user', `${poolId}:${userId}`))
    await credentials.add(db, new Date(), poolId, userId, { kind: 'passkey', data })
    given.push(authenticator)
  }
  return given
}

const rpId = new URL(fixture.publicUrl).hostname
const expectedChallenge = 'AAAA'

const enrol = async (handle: string) => {
  const authenticator = openAuthenticator(fixture.publicUrl)
  const asked = { challenge: expectedChallenge, rp: { id: rpId }, user: { id: handle } }
  const { registrationInfo: made } = await verifyRegistrationResponse({
    response: JSON.parse(authenticator.create(asked)),
    expectedChallenge,
    expectedOrigin: fixture.publicUrl,
    expectedRPID: rpId,
    supportedAlgorithmIDs: [-7],
  })
  if (!made) throw new Error('The passkey was not made.')
  const data = {
    credential_id: authenticator.id,
    public_key: Buffer.from(made.credential.publicKey).toString('base64url'),
    rp_id: rpId,
    user_handle: handle,
    counter: 0,
    backup_eligible: true,
    backed_up: true,
    transports: ['internal'],
    aaguid: made.aaguid,
    name: 'A passkey',
  }
  return { authenticator, data }
}
