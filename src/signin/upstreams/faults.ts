import type { NotArrived } from './upstream.ts'

/**
 * What went wrong on the way to or from a provider, without anything that it said of somebody. What is not understood is
 * a refusal: only what looks like an outage is worth another try.
 */
export const faultOf = (error: unknown): NotArrived => {
  const { error: code, status, code: kind, message } = (error ?? {}) as Record<string, unknown>
  // An error that came by the browser (RFC 6749 section 4.1.2.1): whoever sends it decides nothing but that they are out.
  if (isNamed(error, 'AuthorizationResponseError')) return fromBrowser(String(code))
  if (isNamed(error, 'ResponseBodyError')) return fromToken(String(code), Number(status))
  const chain = chainOf(error)
  if (chain.some(({ message: text }) => text === 'A request to another server failed'))
    return { is: 'unavailable', detail: 'The provider could not be reached.' }
  if (kind === 'OAUTH_RESPONSE_IS_NOT_CONFORM' || kind === 'OAUTH_RESPONSE_IS_NOT_JSON' || kind === 'OAUTH_TIMEOUT')
    return { is: 'unavailable', detail: `The provider answered with something else: ${kind}.` }
  if (chain.some(({ message: text }) => text.startsWith('discovered metadata issuer does not match')))
    return { is: 'misconfigured', detail: 'The issuer is not the one that the discovery document names.' }
  const why = typeof kind === 'string' ? kind : 'unknown'
  return { is: 'refused', detail: `The answer did not hold: ${why}: ${plain(message)}.` }
}

const denials = new Set(['access_denied', 'user_cancelled_login', 'user_cancelled_authorize', 'interaction_required'])
const outages = new Set(['server_error', 'temporarily_unavailable'])

const fromBrowser = (code: string): NotArrived => {
  if (denials.has(code)) return { is: 'denied', detail: 'They did not go on at the provider.' }
  if (outages.has(code)) return { is: 'unavailable', detail: `The provider says ${code}.` }
  return { is: 'refused', detail: `The provider says ${plain(code)}.` }
}

const ours = new Set(['invalid_client', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope'])

const fromToken = (code: string, status: number): NotArrived => {
  if (ours.has(code)) return { is: 'misconfigured', detail: `The token endpoint says ${code}.` }
  if (status >= 500 || status === 429) return { is: 'unavailable', detail: `The token endpoint answers ${status}.` }
  return { is: 'refused', detail: `The token endpoint says ${plain(code)}.` }
}

const isNamed = (error: unknown, name: string): boolean => error instanceof Error && error.constructor.name === name

const chainOf = (error: unknown): Error[] =>
  error instanceof Error ? [error, ...(error.cause === error ? [] : chainOf(error.cause))] : []

/** Words of a provider, as far as they are harmless in a log. */
const plain = (text: unknown): string =>
  String(text ?? '')
    .replace(/[^\w .,:"'()-]/g, '')
    .slice(0, 120)
