import type { X509Certificate } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, type JWTPayload, jwtVerify } from 'jose'
import { Problem } from '../platform/problem.ts'
import { equal, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'

/** What a request brings to show that its token is its own. */
export interface Sender {
  /** The whole header, of any scheme. */
  authorization: string
  /** The header `DPoP`; empty where there is none. */
  proof: string
  method: string
  /** Below the origin, without a query. */
  path: string
  /** What the client has shown to a proxy that we trust. */
  certificate: X509Certificate | undefined
}

/** A token with the scheme that it came by (RFC 6750 section 2.1, RFC 9449 section 7.1). Throws `unauthorized`. */
export const presented = ({ authorization }: Sender): { scheme: 'bearer' | 'dpop'; token: string } => {
  const [, scheme, token] = authorization.match(/^(Bearer|DPoP) ([\w.~+/-]+=*)$/i) ?? []
  if (!scheme || !token)
    throw new Problem('unauthorized', { detail: 'Send an access token as "Authorization: Bearer …".' })
  return { scheme: scheme.toLowerCase() as 'bearer' | 'dpop', token }
}

/** Throws `unauthorized` for a token that is bound to something (RFC 7800) which its sender has not shown. */
export const checkSender = async (services: Services, sender: Sender, { cnf }: JWTPayload): Promise<void> => {
  const { scheme, token } = presented(sender)
  const { jkt, 'x5t#S256': x5t, ...others } = (cnf ?? {}) as Record<string, unknown>
  // A token of a key that comes as a bearer token was stolen, as far as we can tell.
  if ((jkt !== undefined) !== (scheme === 'dpop')) refuse('The token and the scheme that it came by do not fit.')
  if (jkt !== undefined) await checkProof(services, sender, token, String(jkt))
  if (x5t !== undefined && !isOf(sender.certificate, String(x5t))) refuse('The token belongs to another certificate.')
  if (Object.keys(others).length > 0) refuse('The token is bound to something that is not known here.')
}

const algorithms = ['ES256', 'EdDSA', 'PS256', 'RS256']

/** How tokens may come, for whoever was refused (RFC 9449 section 7.1). */
export const challenges = ['Bearer', `DPoP algs="${algorithms.join(' ')}"`]

/** How far the time of a proof may be from ours, in seconds. */
const window = 60

// RFC 9449 section 4.3.
const checkProof = async (services: Services, sender: Sender, token: string, jkt: string): Promise<void> => {
  const { clock, config, hot } = services
  const now = clock.now()
  const { payload, protectedHeader } = await jwtVerify(sender.proof, EmbeddedJWK, {
    algorithms,
    typ: 'dpop+jwt',
    currentDate: now,
    clockTolerance: window,
  }).catch((cause: unknown) => refuse('There is no proof that fits (RFC 9449).', cause))
  const { htm, htu, ath, iat, jti } = payload
  if (!protectedHeader.jwk || !equal(await calculateJwkThumbprint(protectedHeader.jwk), jkt))
    refuse('The proof is by another key.')
  if (htm !== sender.method || addressOf(htu) !== `${config.publicUrl}${sender.path}`)
    refuse('The proof is for another request.')
  if (typeof ath !== 'string' || !equal(ath, sha256(token))) refuse('The proof is for another token.')
  if (typeof iat !== 'number' || Math.abs(now.getTime() / 1000 - iat) > window) refuse('The proof is not of now.')
  if (typeof jti !== 'string' || jti === '') refuse('The proof has no id.')
  const until = new Date(now.getTime() + 2 * window * 1000)
  if (!(await hot.first(sha256(JSON.stringify(['admin api', jkt, jti])), until))) refuse('The proof was used before.')
}

const addressOf = (htu: unknown): string | undefined => {
  const url = typeof htu === 'string' ? URL.parse(htu) : null
  return url ? `${url.origin}${url.pathname}` : undefined
}

// RFC 8705 section 3.1.
const isOf = (certificate: X509Certificate | undefined, x5t: string): boolean =>
  certificate !== undefined &&
  equal(Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'), x5t)

const refuse = (detail: string, cause?: unknown): never => {
  throw new Problem('unauthorized', { detail, ...(cause === undefined ? {} : { cause }) })
}
