import { z } from 'zod'
import type { Trouble } from './source.ts'

/** What is asked of Cognito, by the names of its API; IAM calls them the same after `cognito-idp:`. */
export type Action = 'InitiateAuth' | 'AdminGetUser' | 'AdminListGroupsForUser' | 'ListUsers'

/** Why a call came to nothing. `name` is Cognito's exception, or undefined where nothing was said that could be read. */
export interface Refusal {
  is: 'refused'
  action: Action
  name: string | undefined
  status: number | undefined
  retryAfter: number | undefined
  /** Whether the exception is about SECRET_HASH, which Cognito tells by the name of a wrong password. */
  ofSecretHash: boolean
}

export const refusal = (action: Action, rest: Partial<Refusal> = {}): Refusal => ({
  is: 'refused',
  action,
  name: undefined,
  status: undefined,
  retryAfter: undefined,
  ofSecretHash: false,
  ...rest,
})

const exception = z.object({
  $fault: z.enum(['client', 'server']),
  name: z.string().regex(/^[A-Za-z]{1,80}$/),
  message: z.string(),
})
const exchange = z.object({
  $response: z.object({ statusCode: z.number(), headers: z.record(z.string(), z.string()) }),
})

/** Reads whatever the SDK threw; an exception in an answer of 5xx is not judged by its name. */
export const readRefusal = (action: Action, error: unknown): Refusal => {
  const { statusCode, headers } = exchange.safeParse(error).data?.$response ?? {}
  const retryAfter = /^\d{1,4}$/.test(headers?.['retry-after'] ?? '') ? Number(headers?.['retry-after']) : undefined
  const said = statusCode !== undefined && statusCode < 500 ? exception.safeParse(error).data : undefined
  // The one place where a message is read: all that Cognito says of SECRET_HASH goes by NotAuthorizedException.
  const ofSecretHash = /secret[ _]hash/i.test(said?.message ?? '')
  return refusal(action, { name: said?.name, status: statusCode, retryAfter, ofSecretHash })
}

/** What an operator is told of a refusal that is nobody's password. */
export const troubleOf = (refused: Refusal): Trouble => {
  const { action, name, status, retryAfter } = refused
  if (status === 429 || (name && tooMany.has(name)))
    return {
      is: 'rate_limited',
      detail: `Cognito takes fewer ${action} at the moment (${name ?? status}).`,
      retryAfter,
    }
  const wrong = name ? misconfiguration(refused, name) : undefined
  if (wrong) return { is: 'misconfigured', detail: wrong }
  return { is: 'unavailable', detail: outage(refused) }
}

const tooMany = new Set([
  'TooManyRequestsException',
  'LimitExceededException',
  'ThrottlingException',
  'Throttling',
  'RequestLimitExceeded',
])

const misconfiguration = ({ action, ofSecretHash }: Refusal, name: string): string | undefined => {
  if (ofSecretHash) return 'The client_secret is not the app client’s, or missing, or the app client has none.'
  const words = (action === 'InitiateAuth' ? ofClient : ofPool).get(name) ?? ofKey.get(name)
  return words?.replaceAll('{action}', action)
}

const ofClient = new Map([
  [
    'InvalidParameterException',
    'The app client does not allow the flow ALLOW_USER_PASSWORD_AUTH: switch it on among its authentication flows.',
  ],
  [
    'UnsupportedOperationException',
    'The app client does not allow the flow ALLOW_USER_PASSWORD_AUTH: switch it on among its authentication flows.',
  ],
  ['ResourceNotFoundException', 'There is no app client with this client_id in this region.'],
])

const ofPool = new Map([
  ['InvalidParameterException', 'Cognito refused {action} for its parameters: check the user_pool_id.'],
  ['ResourceNotFoundException', 'There is no user pool with this user_pool_id in this region ({action}).'],
  ['NotAuthorizedException', 'AWS did not let the access key do {action}: add cognito-idp:{action} to its policy.'],
])

const notKnown = 'AWS does not take the access key (asked for {action}): check access_key_id and secret_access_key.'
const ofKey = new Map([
  [
    'AccessDeniedException',
    'The access key may not do {action}: its IAM policy lacks cognito-idp:{action} on the pool.',
  ],
  ['UnrecognizedClientException', notKnown],
  ['InvalidClientTokenId', notKnown],
  ['MissingAuthenticationToken', notKnown],
  ['MissingAuthenticationTokenException', notKnown],
  ['IncompleteSignature', notKnown],
  ['IncompleteSignatureException', notKnown],
  ['ExpiredTokenException', notKnown],
  ['InvalidSignatureException', 'The secret_access_key is not the access key’s, or the region or this clock is wrong.'],
  ['SignatureDoesNotMatch', 'The secret_access_key is not the access key’s, or the region or this clock is wrong.'],
])

const outage = ({ action, name, status }: Refusal): string => {
  if (name === 'ForbiddenException') return `A web ACL (AWS WAF) before the user pool turned ${action} away.`
  if (name?.includes('Lambda')) return `A Lambda trigger of the user pool failed or refused at ${action} (${name}).`
  if (name && name !== 'Unknown') return `Cognito answered ${action} with ${name}.`
  if (status !== undefined) return `Cognito answered ${action} with status ${status}, and nothing that can be read.`
  return `Cognito did not answer ${action}, or not in time, or may not be reached from here.`
}
