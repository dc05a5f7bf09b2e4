import type { Refuse, Spoken } from './client-protocol.ts'

/** The ways to authenticate that FAPI 2.0 Security Profile section 5.3.2.1 knows. */
const strong: ReadonlySet<string> = new Set(['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'])

/** The algorithms of FAPI 2.0 Security Profile section 5.4.1. */
const algorithms: ReadonlySet<string> = new Set(['PS256', 'ES256', 'EdDSA'])

const signedBy = [
  'id_token_signed_response_alg',
  'token_endpoint_auth_signing_alg',
  'request_object_signing_alg',
  'authorization_signed_response_alg',
  'userinfo_signed_response_alg',
  'introspection_signed_response_alg',
] as const

/** Finds what contradicts the profile of FAPI 2.0 that a client is held to. */
export const profileMisfits = (spoken: Spoken, refuse: Refuse): void => {
  if (spoken.profile === null) return
  if (!strong.has(spoken.token_endpoint_auth_method))
    refuse(
      ['token_endpoint_auth_method'],
      'FAPI 2.0 knows private_key_jwt, tls_client_auth and self_signed_tls_client_auth',
    )
  for (const field of signedBy) {
    const alg = spoken[field]
    if (alg !== undefined && !algorithms.has(alg)) refuse([field], 'FAPI 2.0 signs with PS256, ES256 and EdDSA')
  }
  if (spoken.response_types.some((type) => type !== 'code')) refuse(['response_types'], 'FAPI 2.0 knows `code` only')
  if (!spoken.require_pkce) refuse(['require_pkce'], 'FAPI 2.0 needs PKCE')
  if (spoken.grant_types.includes('password'))
    refuse(['grant_types'], 'FAPI 2.0 knows no passwords at the token endpoint')
  if (spoken.redirect_uris.some((uri) => uri.startsWith('http:')) && spoken.application_type === 'web')
    refuse(['redirect_uris'], 'FAPI 2.0 goes back to https addresses only')
  if (spoken.profile === 'fapi2_message_signing' && !spoken.jwks && !spoken.jwks_uri)
    refuse(['profile'], 'Signed requests need the public keys of the client')
}

/** What a profile turns on, whatever the fields of the client say; in the words of the engine. */
export const profileOf = (client: Pick<Spoken, 'profile' | 'token_endpoint_auth_method'> & Constrained): object => {
  const { profile, token_endpoint_auth_method: method, tls_client_certificate_bound_access_tokens: bound } = client
  if (profile === null) return {}
  const byCertificate = bound === true || (method !== 'private_key_jwt' && client.dpop_bound_access_tokens !== true)
  return {
    require_pkce: true,
    require_pushed_authorization_requests: true,
    dpop_bound_access_tokens: !byCertificate,
    tls_client_certificate_bound_access_tokens: byCertificate,
    ...(profile === 'fapi2_message_signing' ? signed(client) : {}),
  }
}

/** FAPI 2.0 Message Signing sections 5.3 to 5.5: requests, their answers and introspection. */
const signed = (client: Answering): object => ({
  require_signed_request_object: true,
  response_modes: ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'],
  authorization_signed_response_alg: client.authorization_signed_response_alg ?? 'PS256',
  introspection_signed_response_alg: client.introspection_signed_response_alg ?? 'PS256',
})

type Answering = Partial<Pick<Spoken, 'authorization_signed_response_alg' | 'introspection_signed_response_alg'>>

interface Constrained extends Answering {
  dpop_bound_access_tokens?: boolean
  tls_client_certificate_bound_access_tokens?: boolean
}
