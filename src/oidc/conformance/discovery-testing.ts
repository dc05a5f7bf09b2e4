import assert from 'node:assert/strict'
import { ask } from '../fixtures-testing.ts'
import type { Suite } from './suite-testing.ts'

type Metadata = Record<string, unknown>

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
  'introspection_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
]

const includes = (metadata: Metadata, name: string, ...values: string[]): void => {
  const told = metadata[name]
  assert(Array.isArray(told), name)
  for (const value of values) assert(told.includes(value), `${value} in ${name}`)
}

/** What the suite looks at in a discovery document (OpenID Connect Discovery 1.0 section 3). */
export const verifyDiscovery = async ({ issuer, metadata }: Suite): Promise<void> => {
  const { status, headers } = await ask(`${issuer}/.well-known/openid-configuration`)
  assert.equal(status, 200)
  assert.match(headers.get('Content-Type') ?? '', /^application\/json/)
  assert.equal(metadata.issuer, issuer)
  assert.deepEqual([new URL(issuer).search, new URL(issuer).hash], ['', ''])
  for (const name of endpoints) assert.equal(new URL(String(metadata[name])).origin, new URL(issuer).origin, name)
  includes(metadata, 'scopes_supported', 'openid', 'profile', 'email', 'address', 'phone', 'offline_access')
  includes(metadata, 'response_types_supported', 'code')
  includes(metadata, 'grant_types_supported', 'authorization_code')
  includes(metadata, 'subject_types_supported', 'public', 'pairwise')
  includes(metadata, 'id_token_signing_alg_values_supported', 'RS256')
  includes(metadata, 'token_endpoint_auth_methods_supported', 'client_secret_basic', 'client_secret_post')
  includes(metadata, 'claims_supported', 'sub', 'name', 'email', 'phone_number', 'address')
  // RFC 8414 section 2 and Discovery section 3: left out, they mean something else.
  assert.equal(metadata.claims_parameter_supported, true)
  assert.equal(metadata.request_parameter_supported, true)
  assert.equal(metadata.request_uri_parameter_supported, false)
  for (const [name, told] of Object.entries(metadata))
    if (Array.isArray(told)) assert.equal(new Set(told).size, told.length, `${name} tells nothing twice`)
  await verifyKeys(metadata)
}

/** The keys that it names: public halves only, each with an ID of its own, one for each algorithm that is told. */
const verifyKeys = async (metadata: Metadata): Promise<void> => {
  const { keys } = (await ask(String(metadata.jwks_uri))).body as unknown as { keys: Record<string, string>[] }
  assert.equal(new Set(keys.map(({ kid }) => kid)).size, keys.length)
  for (const key of keys) {
    assert(key.kty && key.kid && key.alg)
    assert.equal(key.use, 'sig')
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) assert.equal(secret in key, false)
    if (key.kty === 'RSA') assert(Buffer.from(key.n ?? '', 'base64url').length >= 256)
  }
  const algorithms = new Set(keys.map(({ alg }) => alg))
  for (const alg of metadata.id_token_signing_alg_values_supported as string[]) assert(algorithms.has(alg), alg)
}
