import { createPublicKey, type JsonWebKeyInput } from 'node:crypto'
import { z } from 'zod'

const privateParts = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

const curves = ['P-256', 'P-384', 'P-521', 'Ed25519', 'X25519']

const text = z.string().min(1).max(20_000)

const key = z
  .looseObject({
    kty: z.enum(['RSA', 'EC', 'OKP']),
    crv: z.enum(curves).optional(),
    kid: text.optional(),
    alg: text.optional(),
    use: text.optional(),
    x5c: z.array(text).min(1).max(10).optional(),
  })
  .refine((one) => !isPrivate(one), 'A private key is not for us')
  .refine(
    (one) => isPrivate(one) || isPublicKey(one),
    'This is no public key that can be used; RSA keys have at least 2048 bits',
  )

/** The public keys of a client (RFC 7517 section 5); private ones are refused. */
export const jwks = z.strictObject({ keys: z.array(key).min(1).max(20) })

/** Whether something can be encrypted for the holder of a key by an algorithm (RFC 7518 section 4.1, RFC 8037). */
export const encrypts = ({ kty, crv, use, alg }: z.output<typeof key>, wanted: string): boolean => {
  if (use === 'sig' || (alg !== undefined && alg !== wanted) || crv === 'Ed25519') return false
  return wanted.startsWith('RSA') === (kty === 'RSA')
}

function isPrivate(one: Record<string, unknown>): boolean {
  return privateParts.some((part) => part in one)
}

function isPublicKey(one: Record<string, unknown>): boolean {
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: one, format: 'jwk' } as JsonWebKeyInput)
    return one.kty !== 'RSA' || (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
  } catch {
    return false
  }
}
