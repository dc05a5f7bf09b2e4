import { z } from 'zod'
import { type ClientMetadata, clientMetadata, refuseMisfits, writtenMetadata } from './client-metadata.ts'
import type { RedirectKind, RegistrationPolicy } from './registration-policy.ts'

/** What a client may say of itself; everything else is for operators alone, or is not known here. */
export const ownFields = [
  'client_name',
  'application_type',
  'redirect_uris',
  'post_logout_redirect_uris',
  'grant_types',
  'response_types',
  'scope',
  'token_endpoint_auth_method',
  'token_endpoint_auth_signing_alg',
  'jwks',
  'jwks_uri',
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
  'logo_uri',
  'client_uri',
  'policy_uri',
  'tos_uri',
  'initiate_login_uri',
  'backchannel_logout_uri',
  'backchannel_logout_session_required',
  'default_max_age',
  'require_auth_time',
  'require_pushed_authorization_requests',
  'require_signed_request_object',
  'request_object_signing_alg',
  'id_token_signed_response_alg',
  'id_token_encrypted_response_alg',
  'id_token_encrypted_response_enc',
  'userinfo_signed_response_alg',
  'userinfo_encrypted_response_alg',
  'userinfo_encrypted_response_enc',
  'introspection_signed_response_alg',
  'introspection_encrypted_response_alg',
  'introspection_encrypted_response_enc',
  'authorization_signed_response_alg',
  'authorization_encrypted_response_alg',
  'authorization_encrypted_response_enc',
  'subject_type',
  'sector_identifier_uri',
  'dpop_bound_access_tokens',
  'tls_client_certificate_bound_access_tokens',
] as const satisfies readonly (keyof ClientMetadata)[]

/** Why something may not be registered, in the words of RFC 7591 section 3.2.2. */
export interface Unregistrable {
  error: 'invalid_redirect_uri' | 'invalid_client_metadata' | 'unapproved_software_statement'
  detail: string
}

/** The fields of a registration that mean something here; a null is a field that is left out (RFC 7592 section 2.2). */
const readOwn = (said: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    ownFields.flatMap((name) =>
      Object.hasOwn(said, name) && said[name] !== null && said[name] !== '' ? [[name, said[name]]] : [],
    ),
  )

const whole = z.object(writtenMetadata).superRefine(refuseMisfits)

/**
 * What a client asks to be (RFC 7591 section 2), as far as the policy of the workspace lets it: scopes that it may not
 * have are left out, anything else is refused. What only operators say of a client is as `kept` has it.
 */
export const metadataOf = (
  said: Record<string, unknown>,
  policy: RegistrationPolicy,
  kept: Partial<ClientMetadata> = {},
): { metadata: ClientMetadata } | { refused: Unregistrable } => {
  if (said.software_statement !== undefined)
    return refused('unapproved_software_statement', 'Software statements are not taken here')
  const own = readOwn(said)
  const operators = Object.entries(kept).filter(([name]) => !(ownFields as readonly string[]).includes(name))
  const parsed = whole.safeParse({
    ...Object.fromEntries(operators),
    ...own,
    client_name: own.client_name ?? nameFor(own),
    scope: scopeWithin(own.scope, policy),
  })
  if (!parsed.success) return faultOf(parsed.error)
  const metadata = clientMetadata.parse(parsed.data)
  return boundsFault(metadata, policy) ?? { metadata }
}

const refused = (error: Unregistrable['error'], detail: string): { refused: Unregistrable } => ({
  refused: { error, detail },
})

const faultOf = ({ issues: [issue] }: z.ZodError): { refused: Unregistrable } => {
  const path = (issue?.path ?? []).join('.')
  const error = issue?.path[0] === 'redirect_uris' ? 'invalid_redirect_uri' : 'invalid_client_metadata'
  return refused(error, `${path}: ${issue?.message ?? 'not valid'}`)
}

// Who says no name is called by where it is.
const nameFor = ({ redirect_uris }: Record<string, unknown>): string => {
  const [first] = Array.isArray(redirect_uris) ? redirect_uris : []
  return (typeof first === 'string' && URL.parse(first)?.host) || 'Application'
}

/** The scopes that were asked for, as far as the policy has them; all of it where that leaves none. */
const scopeWithin = (asked: unknown, { scopes }: RegistrationPolicy): string => {
  const wanted = typeof asked === 'string' ? asked.split(' ') : []
  const within = scopes.filter((scope) => wanted.includes(scope))
  return (within.length > 0 ? within : scopes).join(' ')
}

const boundsFault = (metadata: ClientMetadata, policy: RegistrationPolicy): { refused: Unregistrable } | undefined => {
  const grant = metadata.grant_types.find((type) => !(policy.grant_types as readonly string[]).includes(type))
  if (grant) return refused('invalid_client_metadata', `grant_types: ${grant} is not open to registered clients`)
  if (metadata.response_types.some((type) => type !== 'code'))
    return refused('invalid_client_metadata', 'response_types: registered clients use `code`')
  const uri = metadata.redirect_uris.find((one) => !policy.redirects.includes(kindOf(one)))
  if (uri) return refused('invalid_redirect_uri', `redirect_uris: ${kindWords[kindOf(uri)]} are not taken here`)
  return undefined
}

const kindWords: Record<RedirectKind, string> = {
  https: 'https addresses',
  loopback: 'loopback addresses',
  private: 'schemes of their own',
}

/** Where an address leads: to a site, to this device over http, or to an application by a scheme of its own. */
export const kindOf = (uri: string): RedirectKind => {
  if (uri.startsWith('https:')) return 'https'
  return uri.startsWith('http:') ? 'loopback' : 'private'
}
