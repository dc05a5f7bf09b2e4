import { createHash, type JsonWebKey } from 'node:crypto'
import { importJWK, type JSONWebKeySet, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { Algorithm } from '../directory/key-settings.ts'

/** A key that a workspace signs by. Its private part is here, or with somebody who signs for us and never hands it out. */
export type SigningKey = {
  kid: string
  alg: Algorithm
  publicJwk: JsonWebKey
} & (
  | { is: 'here'; privateJwk: JsonWebKey }
  /** `sign` answers the signature as JOSE has it (RFC 7518 section 3). */
  | { is: 'far'; sign(data: Uint8Array): Promise<Uint8Array> }
)

/** A workspace's keys, those that sign now first; `changesAt` is when that order changes. */
export interface SigningKeys {
  keys: readonly SigningKey[]
  changesAt: Date | undefined
}

/** A key whose private part is in the JWK, which names its `kid` and its `alg`. */
export const keyHere = (privateJwk: JsonWebKey & { kid: string; alg: Algorithm }): SigningKey => {
  const { kid, alg } = privateJwk
  return { is: 'here', kid, alg, publicJwk: publicPart(privateJwk), privateJwk }
}

/** The set that everybody may know. */
export const publicSet = ({ keys }: SigningKeys): JSONWebKeySet => ({
  keys: keys.map(({ publicJwk }) => publicJwk as JWK),
})

/** Signs claims by the RS256 key that signs now, as a token of the type `typ`. */
export const sign = async ({ keys }: SigningKeys, typ: string, claims: JWTPayload): Promise<string> => {
  const key = keys.find(({ alg }) => alg === 'RS256')
  if (!key) throw new Error('There is no RS256 key to sign by')
  return signBy(key, typ, claims)
}

/** The same by one key. */
export const signBy = async (key: SigningKey, typ: string, claims: JWTPayload): Promise<string> => {
  const header = { alg: key.alg, kid: key.kid, typ }
  if (key.is === 'here')
    return new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(key.privateJwk as JWK, key.alg))
  const signed = `${encoded(header)}.${encoded(claims)}`
  return `${signed}.${Buffer.from(await key.sign(Buffer.from(signed))).toString('base64url')}`
}

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** A key as everybody may know it. */
export const publicPart = ({ kty, crv, x, y, n, e, kid, alg, use }: JsonWebKey) => ({
  kty,
  crv,
  x,
  y,
  n,
  e,
  kid,
  alg,
  use,
})

/** A `kid` that is made of the key: the same wherever the key is kept. */
export const thumbprint = (jwk: JsonWebKey, alg: Algorithm): string =>
  createHash('sha256')
    .update(JSON.stringify({ ...publicPart(jwk), alg }))
    .digest('base64url')
    .slice(0, 16)
