import { z } from 'zod'
import { encrypts, jwks } from './client-keys.ts'
import { profileMisfits } from './client-profile.ts'

/** What a workspace's keys sign with, and what clients may sign with. */
const signing = z.enum(['RS256', 'PS256', 'ES256', 'EdDSA'])

const url = z.url({ protocol: /^https$/ }).max(2000)
const name = z.string().min(1).max(500)

/** Ways in which a client says that it is itself at the token endpoint and its siblings. */
export const authMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'client_secret_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const

/** Those that need no secret of ours. */
const withoutSecret: ReadonlySet<string> = new Set([
  'none',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
])

/** Whether a client that authenticates so has a secret that we made. */
export const hasSecret = (method: string): boolean => !withoutSecret.has(method)

const subject = {
  tls_client_auth_subject_dn: name.optional(),
  tls_client_auth_san_dns: name.optional(),
  tls_client_auth_san_uri: name.optional(),
  tls_client_auth_san_ip: name.optional(),
  tls_client_auth_san_email: name.optional(),
}

const wrapping = z.enum(['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW'])
const encrypting = z.enum(['A256GCM', 'A128GCM', 'A256CBC-HS512', 'A128CBC-HS256'])

/** What may be encrypted for a client, in its key with `use: enc`. */
const encrypted = {
  id_token_encrypted_response_alg: wrapping.optional(),
  id_token_encrypted_response_enc: encrypting.optional(),
  userinfo_encrypted_response_alg: wrapping.optional(),
  userinfo_encrypted_response_enc: encrypting.optional(),
  introspection_encrypted_response_alg: wrapping.optional(),
  introspection_encrypted_response_enc: encrypting.optional(),
  authorization_encrypted_response_alg: wrapping.optional(),
  authorization_encrypted_response_enc: encrypting.optional(),
}

const encryptedAnswers = ['id_token', 'userinfo', 'introspection', 'authorization'] as const

/** What a client may say of how it speaks the protocol, besides what every client says. */
export const protocolFields = {
  token_endpoint_auth_method: z.enum(authMethods).default('client_secret_basic'),
  profile: z
    .enum(['fapi2_security', 'fapi2_message_signing'])
    .nullable()
    .default(null)
    .describe('A profile of FAPI 2.0 that the client is held to: what it needs is on, what contradicts it is refused'),
  token_endpoint_auth_signing_alg: z
    .enum(['HS256', ...signing.options])
    .optional()
    .describe('The only algorithm of its assertions; else any of ours'),
  jwks: jwks.optional().describe('Its public keys (RFC 7517 section 5); here, or at `jwks_uri`'),
  jwks_uri: url.optional().describe('Where its public keys are'),
  ...subject,
  response_types: z
    .array(z.enum(['code', 'id_token', 'code id_token']))
    .min(1)
    .max(3)
    .default(['code'])
    .describe('Anything but `code` sends an ID token through the browser, and is for certification only'),
  require_pkce: z.boolean().default(true).describe('Only a client that authenticates itself may do without PKCE'),
  require_pushed_authorization_requests: z.boolean().default(false).describe('RFC 9126 section 6'),
  require_signed_request_object: z.boolean().default(false).describe('RFC 9101 section 10.5'),
  request_object_signing_alg: signing.optional().describe('The only algorithm of its request objects'),
  authorization_signed_response_alg: signing
    .optional()
    .describe('What answers in a JWT are signed with; RS256 if not said'),
  userinfo_signed_response_alg: signing.optional().describe('Userinfo comes as a JWT signed with it'),
  introspection_signed_response_alg: signing.optional().describe('Introspection as a JWT is signed with it (RFC 9701)'),
  id_token_claims: z
    .enum(['minimal', 'scopes'])
    .default('minimal')
    .describe(
      'What its ID tokens tell beside an access token: who it is (OpenID Connect Core section 5.4), or all that its scopes tell at userinfo',
    ),
  ...encrypted,
  subject_type: z
    .enum(['public', 'pairwise'])
    .default('public')
    .describe('`pairwise`: the same person has another `sub` for each sector (OpenID Connect Core section 8)'),
  sector_identifier_uri: url.optional(),
  dpop_bound_access_tokens: z
    .boolean()
    .default(false)
    .describe('Its tokens are of use only together with a key of its own (RFC 9449): it gets none without a proof'),
  tls_client_certificate_bound_access_tokens: z
    .boolean()
    .default(false)
    .describe('Its tokens are of use only together with its certificate (RFC 8705)'),
  authorization_details_types: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/))
    .max(50)
    .optional()
    .describe('The only types of details it may ask for (RFC 9396); all of its resources where not said'),
}

const fields = z.object(protocolFields)

/** What is looked at together. */
export type Spoken = z.output<typeof fields> & {
  redirect_uris: string[]
  grant_types: string[]
  application_type: 'web' | 'native'
  id_token_signed_response_alg: string
}

/** Is told the field that does not fit, and why. */
export type Refuse = (path: [keyof Spoken], why: string) => void

/** Whether the secret itself is needed, to check what was made with it; a hash does for all others. */
export const needsSecretItself = ({ token_endpoint_auth_method: method }: Pick<Spoken, 'token_endpoint_auth_method'>) =>
  method === 'client_secret_jwt'

/** Finds what does not fit together in how a client speaks the protocol; `refuse` is told the field and why. */
export const protocolMisfits = (spoken: Spoken, refuse: Refuse): void => {
  authenticationMisfits(spoken, refuse)
  keyMisfits(spoken, refuse)
  browserMisfits(spoken, refuse)
  sectorMisfits(spoken, refuse)
  profileMisfits(spoken, refuse)
  if (spoken.dpop_bound_access_tokens && spoken.tls_client_certificate_bound_access_tokens)
    refuse(['dpop_bound_access_tokens'], 'Tokens are bound to a key or to a certificate')
}

const authenticationMisfits = (spoken: Spoken, refuse: Refuse): void => {
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: alg } = spoken
  if ((method === 'private_key_jwt' || method === 'self_signed_tls_client_auth') && !hasKeys(spoken))
    refuse(['token_endpoint_auth_method'], 'This needs the public keys of the client')
  if (method === 'tls_client_auth' && subjectsOf(spoken) !== 1)
    refuse(['token_endpoint_auth_method'], 'This needs exactly one of the fields that begin with tls_client_auth_')
  if (alg && !method.endsWith('_jwt'))
    refuse(['token_endpoint_auth_signing_alg'], 'A client that authenticates in this way signs no assertions')
  else if (alg && (alg === 'HS256') !== (method === 'client_secret_jwt'))
    refuse(['token_endpoint_auth_signing_alg'], 'HS256 goes with client_secret_jwt, and nothing else does')
  if (method === 'none' && !spoken.require_pkce) refuse(['require_pkce'], 'A client without authentication needs PKCE')
}

const keyMisfits = (spoken: Spoken, refuse: Refuse): void => {
  if (spoken.jwks && spoken.jwks_uri) refuse(['jwks_uri'], 'The keys are either in `jwks` or at `jwks_uri`')
  for (const field of needKeys)
    if (spoken[field] && !hasKeys(spoken)) refuse([field], 'This needs the public keys of the client')
  for (const answer of encryptedAnswers) {
    const alg = spoken[`${answer}_encrypted_response_alg`]
    if (spoken[`${answer}_encrypted_response_enc`] && !alg)
      refuse([`${answer}_encrypted_response_enc`], `This goes with ${answer}_encrypted_response_alg`)
    if (alg && spoken.jwks && !spoken.jwks.keys.some((key) => encrypts(key, alg)))
      refuse([`${answer}_encrypted_response_alg`], 'None of the keys in `jwks` is for this')
  }
}

const needKeys = [
  'request_object_signing_alg',
  'require_signed_request_object',
  ...encryptedAnswers.map((answer) => `${answer}_encrypted_response_alg` as const),
] as const

// The engine wants this of whoever gets an ID token through the browser (OpenID Connect Registration section 2).
const browserMisfits = ({ response_types, redirect_uris, application_type }: Spoken, refuse: Refuse): void => {
  if (response_types.every((type) => type === 'code') || application_type !== 'web') return
  const plain = redirect_uris.some((uri) => uri.startsWith('http:') || URL.parse(uri)?.hostname === 'localhost')
  if (plain)
    refuse(['response_types'], 'ID tokens go through the browser to https addresses only, and not to localhost')
}

const withoutBrowser = ['urn:ietf:params:oauth:grant-type:device_code', 'urn:openid:params:grant-type:ciba']

const byOwnKeys: ReadonlySet<string> = new Set(['private_key_jwt', 'self_signed_tls_client_auth'])

const sectorMisfits = (spoken: Spoken, refuse: Refuse): void => {
  if (spoken.subject_type !== 'pairwise') return
  const hosts = new Set(spoken.redirect_uris.map((uri) => URL.parse(uri)?.host))
  if (hosts.size > 1 && !spoken.sector_identifier_uri)
    refuse(['sector_identifier_uri'], 'With redirect addresses on several hosts, this says that they belong together')
  if (hosts.has('') || (!spoken.grant_types.includes('authorization_code') && !spoken.sector_identifier_uri))
    refuse(['sector_identifier_uri'], 'This says what sector the client is of, for its redirect addresses do not')
  // OpenID Connect CIBA Core 1.0 section 4.
  if (!withoutBrowser.some((type) => spoken.grant_types.includes(type))) return
  if (!spoken.jwks_uri)
    refuse(['subject_type'], 'With a grant that needs no browser here, the sector is that of jwks_uri')
  if (!byOwnKeys.has(spoken.token_endpoint_auth_method))
    refuse(
      ['token_endpoint_auth_method'],
      'With a grant that needs no browser here, this has to show the keys of jwks_uri',
    )
  if (spoken.grant_types.includes('authorization_code') && !spoken.sector_identifier_uri)
    refuse(['sector_identifier_uri'], 'This says that jwks_uri and the redirect addresses belong together')
}

const hasKeys = ({ jwks, jwks_uri }: Spoken): boolean => jwks !== undefined || jwks_uri !== undefined

const subjectsOf = (spoken: Spoken): number =>
  (Object.keys(subject) as (keyof typeof subject)[]).filter((field) => spoken[field] !== undefined).length
