import { z } from 'zod'
import { acrValues } from './acr.ts'
import { protocolFields, protocolMisfits, type Spoken } from './client-protocol.ts'
import { sessionFields } from './client-sessions.ts'
import { tokenExchange } from './token-exchange.ts'

/** RFC 8628 section 3.4. */
export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** RFC 8693 section 2.1. */
export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** OpenID Connect Client-Initiated Backchannel Authentication Core 1.0 section 10. */
export const cibaGrant = 'urn:openid:params:grant-type:ciba'

/** All that a client may be open to. */
export const grantTypes = z.enum([
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'password',
  deviceGrant,
  exchangeGrant,
  cibaGrant,
])

/** Those that may come with a refresh token. */
const refreshed: ReadonlySet<string> = new Set(['authorization_code', 'password', deviceGrant, cibaGrant])

/** A client's metadata: the fields of OpenID Connect Dynamic Client Registration 1.0 section 2, and ours. */
export const clientMetadata = z.object({
  client_name: z.string().min(1).max(200),
  application_type: z.enum(['web', 'native']).default('web'),
  redirect_uris: z.array(z.url()).default([]),
  post_logout_redirect_uris: z.array(z.url()).default([]),
  grant_types: z.array(grantTypes).min(1).default(['authorization_code']),
  ...protocolFields,
  ...sessionFields,
  id_token_signed_response_alg: z.enum(['RS256', 'ES256', 'EdDSA', 'PS256']).default('RS256'),
  scope: z.string().optional(),
  logo_uri: z.url({ protocol: /^https$/ }).optional(),
  client_uri: z.url({ protocol: /^https$/ }).optional(),
  policy_uri: z.url({ protocol: /^https$/ }).optional(),
  tos_uri: z.url({ protocol: /^https$/ }).optional(),
  default_max_age: z.int().min(0).optional(),
  require_auth_time: z.boolean().optional(),
  first_party: z.boolean().default(false),
  connections: z.array(z.uuid()).nullable().default(null),
  acr_values_default: z
    .array(z.enum(acrValues))
    .default([])
    .describe('How surely its people have to be known at least, whatever a request asks for; the best liked first'),
  /** Resources that the client may ask tokens for, with the scopes it may have there. */
  resources: z.record(z.url(), z.array(z.string())).default({}),
  backchannel_token_delivery_mode: z
    .enum(['poll', 'ping'])
    .optional()
    .describe('How it learns that a person has answered (CIBA Core 1.0 section 5); `ping` tells it to ask'),
  backchannel_client_notification_endpoint: z
    .url({ protocol: /^https$/ })
    .max(2000)
    .optional()
    .describe('Where a `ping` goes to'),
  token_exchange: tokenExchange
    .default(null)
    .describe('What it may get for tokens of people (RFC 8693); null for nothing'),
})
export type ClientMetadata = z.infer<typeof clientMetadata>

const offered = clientMetadata.shape
const uris = z.array(z.string().max(2000)).max(100).refine(areDistinct, 'An address is named twice').default([])

/** The fields that an operator may write of a client; what they mean together is for `refuseMisfits` to check. */
export const writtenMetadata = {
  ...offered,
  redirect_uris: uris.describe('Compared as they are written'),
  post_logout_redirect_uris: uris,
  grant_types: z
    .array(grantTypes)
    .min(1)
    .refine(areDistinct, 'A grant type is named twice')
    .default(['authorization_code']),
  scope: z
    .string()
    .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/)
    .max(1000)
    .optional()
    .describe('The only scopes it may ask for, separated by spaces'),
  first_party: offered.first_party.describe('Its people are not asked for consent'),
  connections: offered.connections.describe('The only connections that its people may come through; null for all'),
  resources: z
    .record(
      z.url().refine((uri) => !uri.includes('#'), 'A fragment is not allowed (RFC 8707 section 2)'),
      z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/)).max(200),
    )
    .default({})
    .describe('Resources that it may ask tokens for, with the scopes it may have there'),
}

type Written = Pick<
  ClientMetadata,
  | 'application_type'
  | 'grant_types'
  | 'post_logout_redirect_uris'
  | 'token_exchange'
  | 'resources'
  | 'backchannel_token_delivery_mode'
  | 'backchannel_client_notification_endpoint'
> &
  Spoken

/** Finds what does not fit together in a client, so that the engine never meets one that it cannot read. */
export const refuseMisfits = (written: Written, context: z.RefinementCtx<Written>): void => {
  const refuse = (path: (string | number)[], message: string) =>
    context.addIssue({ code: 'custom', path, message, input: written })
  const { grant_types, redirect_uris, application_type } = written
  for (const field of ['redirect_uris', 'post_logout_redirect_uris'] as const)
    for (const [index, uri] of written[field].entries()) {
      const misfit = misfitOf(uri, application_type)
      if (misfit) refuse([field, index], misfit)
    }
  if (grant_types.includes('authorization_code') && redirect_uris.length === 0)
    refuse(['redirect_uris'], 'The grant type authorization_code needs an address to come back to')
  if (grant_types.includes('refresh_token') && !grant_types.some((type) => refreshed.has(type)))
    refuse(['grant_types'], 'Nothing gives this client a refresh token')
  // RFC 6749 section 4.4.
  if (grant_types.includes('client_credentials') && written.token_endpoint_auth_method === 'none')
    refuse(['token_endpoint_auth_method'], 'The grant type client_credentials needs a client that authenticates itself')
  exchangeMisfits(written, refuse)
  cibaMisfits(written, refuse)
  protocolMisfits(written, refuse)
}

/** What goes with token exchange (RFC 8693). */
const exchangeMisfits = (written: Written, refuse: (path: string[], message: string) => void): void => {
  const { grant_types, token_exchange: policy, resources } = written
  const granted = grant_types.includes(exchangeGrant)
  if (granted && !policy) refuse(['token_exchange'], 'The grant type for token exchange needs this')
  if (!granted && policy) refuse(['token_exchange'], 'This goes with the grant type for token exchange')
  if (granted && written.token_endpoint_auth_method === 'none')
    refuse(['token_endpoint_auth_method'], 'Token exchange needs a client that authenticates itself')
  if (policy && !policy.impersonation && !policy.delegation)
    refuse(['token_exchange'], 'Either impersonation or delegation has to be allowed')
  if (policy?.resources.some((identifier) => !Object.hasOwn(resources, identifier)))
    refuse(['token_exchange'], 'Every resource of it has to be one of `resources`')
}

/** What goes with requests to people who are elsewhere (CIBA Core 1.0 section 4). */
const cibaMisfits = (written: Written, refuse: (path: string[], message: string) => void): void => {
  const { grant_types, backchannel_token_delivery_mode: mode, subject_type, jwks_uri } = written
  const granted = grant_types.includes(cibaGrant)
  if (granted && !mode) refuse(['backchannel_token_delivery_mode'], 'The grant type for CIBA needs this')
  if (!granted && mode) refuse(['backchannel_token_delivery_mode'], 'This goes with the grant type for CIBA')
  if ((mode === 'ping') !== (written.backchannel_client_notification_endpoint !== undefined))
    refuse(['backchannel_client_notification_endpoint'], 'This goes with `ping`, which needs it')
  if (granted && written.token_endpoint_auth_method === 'none')
    refuse(['token_endpoint_auth_method'], 'CIBA needs a client that authenticates itself')
  if (granted && subject_type === 'pairwise' && !jwks_uri)
    refuse(['jwks_uri'], 'CIBA with pairwise subjects needs it (section 4)')
}

const loopbacks = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Why people cannot be sent to an address (RFC 9700 section 2.1, RFC 8252 section 7); undefined where they can. */
const misfitOf = (uri: string, type: ClientMetadata['application_type']): string | undefined => {
  if (!/^([a-z][a-z0-9+.-]*):/.test(uri) || /^https?:(?!\/\/)/.test(uri) || !URL.canParse(uri))
    return 'This is not an absolute address'
  if (uri.includes('#')) return 'A fragment is not allowed'
  if (uri.includes('*')) return 'Addresses are compared as they are written: there are no wildcards'
  if (/[^\x21-\x7e]|[\\"<>^`{|}]/.test(uri)) return 'It has characters that have to be percent-encoded'
  const { protocol, hostname, username, password } = new URL(uri)
  if (username || password) return 'A user name or password is not allowed'
  const loopback = loopbacks.has(hostname)
  if (protocol === 'http:') return loopback ? undefined : 'http is for loopback addresses only'
  if (protocol === 'https:')
    return type === 'native' && loopback ? 'On loopback addresses a native application uses http' : undefined
  if (type === 'web') return 'A web application is reached by https'
  return protocol.includes('.') ? undefined : 'A scheme of its own has a domain in it, such as com.example.app'
}

function areDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}
