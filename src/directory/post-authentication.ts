import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { z } from 'zod'

/** The public half of the key that an application signs its verdicts by (RFC 7517); a private one is refused. */
const publicKey = z
  .looseObject({ kty: z.enum(['OKP', 'EC', 'RSA']).describe('Kind of key: Ed25519, P-256 or RSA') })
  .refine((jwk) => !['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].some((part) => part in jwk), 'This is a private key')
  .refine((jwk) => algorithmOf(jwk) !== undefined, 'Ed25519, P-256 and RSA of 2,048 bits and more are taken')
  .refine((jwk) => JSON.stringify(jwk).length <= 2000, 'This is too long for a key')
  .refine((jwk) => algorithmOf(jwk) === undefined || isKey(jwk), 'This is no key: a part of it is wrong')

const isKey = (jwk: object): boolean => {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).type === 'public'
  } catch {
    return false
  }
}

/** The one algorithm that a key signs by; undefined for a key that is not taken. */
export const algorithmOf = (jwk: Record<string, unknown>): 'EdDSA' | 'ES256' | 'RS256' | undefined => {
  const { kty, crv, x, y, n, e } = jwk
  const text = (part: unknown) => typeof part === 'string' && /^[\w-]+$/.test(part)
  if (kty === 'OKP' && crv === 'Ed25519' && text(x)) return 'EdDSA'
  if (kty === 'EC' && crv === 'P-256' && text(x) && text(y)) return 'ES256'
  return kty === 'RSA' && text(e) && typeof n === 'string' && /^[\w-]{342,}$/.test(n) ? 'RS256' : undefined
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Where people are sent after they have proven who they are, and whose word is taken for what comes of it. */
export const postAuthenticationApplication = z.strictObject({
  url: z
    .url()
    .max(2000)
    .refine((text) => {
      const url = URL.parse(text)
      const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback.has(url.hostname))
      return safe && url.username === '' && url.password === '' && url.hash === ''
    }, 'https, or http to this machine, without credentials and fragment')
    .describe('https; plain http only to this machine'),
  public_key: publicKey.describe('The public key that its verdicts are signed by, as a JWK: Ed25519, P-256 or RSA'),
  timeout_seconds: z.int().min(30).max(3600).default(600).describe('How long a person has for it'),
})
export type PostAuthenticationApplication = z.infer<typeof postAuthenticationApplication>
