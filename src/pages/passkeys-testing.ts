import assert from 'node:assert/strict'
import type { Browser } from '../browser-testing.ts'
import * as credentials from '../directory/credentials.ts'
import type * as pools from '../directory/pools.ts'
import { type Authenticator, openAuthenticator } from '../signin/authenticator-testing.ts'
import type { TestLido } from '../testing.ts'

/** What a page asks an authenticator for. */
export const optionsOn = ({ page }: Browser) => {
  const [, text] = page.html.match(/data-options="([^"]*)"/) ?? []
  assert.ok(text, `${page.url}\n${page.html}`)
  return JSON.parse(text.replaceAll('&quot;', '"').replaceAll('&amp;', '&'))
}

/** Has an authenticator make a passkey, and somebody own it as if they had enrolled. */
export const givePasskey = async (
  { services, url }: Pick<TestLido, 'services' | 'url'>,
  pool: pools.Pool,
  userId: string,
  more: { name?: string; counter?: number; backup_eligible?: boolean } = {},
): Promise<Authenticator> => {
  const { verifyRegistrationResponse } = await import('@simplewebauthn/server')
  const authenticator = openAuthenticator(url)
  const rpId = new URL(url).hostname
  const handle = services.keyring.hmac('passkey user', `${pool.id}:${userId}`)
  const response = JSON.parse(authenticator.create({ challenge: 'AAAA', rp: { id: rpId }, user: { id: handle } }))
  const { registrationInfo } = await verifyRegistrationResponse({
    response,
    expectedChallenge: 'AAAA',
    expectedOrigin: url,
    expectedRPID: rpId,
    supportedAlgorithmIDs: [-7],
  })
  assert.ok(registrationInfo)
  const data = {
    credential_id: authenticator.id,
    public_key: Buffer.from(registrationInfo.credential.publicKey).toString('base64url'),
    rp_id: rpId,
    user_handle: handle,
    counter: 0,
    backup_eligible: true,
    backed_up: true,
    transports: ['internal'],
    aaguid: registrationInfo.aaguid,
    name: 'A passkey',
    ...more,
  }
  assert.ok(await credentials.add(services.db, services.clock.now(), pool.id, userId, { kind: 'passkey', data }))
  return authenticator
}
