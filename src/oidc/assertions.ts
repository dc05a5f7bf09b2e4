import type { Clock } from '../platform/clock.ts'
import { isFapiAlgorithm } from './algorithms.ts'
import { errors, type KoaContextWithOIDC } from './engine.ts'

/** How long an assertion may live, in seconds: what is remembered against replay stays bounded. */
const longestAssertion = 600

/** How long a request object may live, in seconds. */
const longestRequest = 3600

interface Claims {
  aud?: unknown
  iss?: unknown
  exp?: unknown
  iat?: unknown
  nbf?: unknown
}

interface Header {
  alg?: unknown
}

/**
 * What a client's assertion must say besides what the engine looks at: the issuer as its only audience, so that no other
 * server can use it here, and a near end (draft-ietf-oauth-rfc7523bis section 3).
 */
export const limitAssertion =
  (clock: Clock) =>
  async (ctx: KoaContextWithOIDC, { aud, exp, iat }: Claims, { alg }: Header): Promise<void> => {
    const refuse = (why: string) => {
      throw new errors.InvalidClientAuth(why)
    }
    if (aud !== ctx.oidc.issuer) refuse('audience (aud) must be the issuer, and nothing else')
    if (typeof exp !== 'number' || exp - now(clock) > longestAssertion)
      refuse(`expiration (exp) must be within ${longestAssertion} seconds`)
    if (!ctx.oidc.client?.profile) return
    if (isToCome(clock, iat)) refuse('issued at (iat) is too far in the future')
    if (!isFapiAlgorithm(alg)) refuse('the profile of the client knows no such algorithm')
  }

/**
 * The same of a signed request (RFC 9101 section 6.2): from this client, for this issuer alone, and not for long. One that
 * was pushed without a signature is the engine's own.
 */
export const limitRequestObject =
  (clock: Clock) =>
  async (ctx: KoaContextWithOIDC, { aud, iss, exp, iat, nbf }: Claims, { alg }: Header): Promise<void> => {
    const refuse = (why: string) => {
      throw new errors.InvalidRequestObject(why)
    }
    const { client } = ctx.oidc
    if (iss !== client?.clientId) refuse('issuer (iss) must be the client')
    // FAPI 2.0 Message Signing section 5.3.1 lets a list do that has the issuer in it; the engine has looked.
    if (aud !== ctx.oidc.issuer && !(client?.profile && Array.isArray(aud)))
      refuse('audience (aud) must be the issuer, and nothing else')
    if (typeof exp !== 'number') refuse('expiration (exp) must be there')
    const since = typeof nbf === 'number' ? nbf : now(clock)
    if (Number(exp) - since > longestRequest) refuse('expiration (exp) must be within an hour of not-before (nbf)')
    if (!client?.profile) return
    // FAPI 2.0 Message Signing section 5.3.1.
    if (typeof nbf !== 'number') refuse('not-before (nbf) must be there')
    if (isToCome(clock, iat)) refuse('issued at (iat) is too far in the future')
    if (alg !== 'none' && !isFapiAlgorithm(alg)) refuse('the profile of the client knows no such algorithm')
  }

/** FAPI 2.0 Security Profile section 5.3.2.1: what was issued more than a minute from now is refused. */
const isToCome = (clock: Clock, iat: unknown): boolean => typeof iat === 'number' && iat > now(clock) + 60

const now = (clock: Clock): number => Math.floor(clock.now().getTime() / 1000)
