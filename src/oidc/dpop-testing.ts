import { calculateJwkThumbprint, exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWK, SignJWT } from 'jose'
import { sha256 } from '../platform/secrets.ts'

/** The key of a client that proves it has it. */
export interface ProofKey {
  privateKey: GenerateKeyPairResult['privateKey']
  jwk: JWK
  thumbprint: string
}

export const proofKey = async (alg = 'ES256'): Promise<ProofKey> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) }
}

/** What a proof says, beside what every proof has to; undefined leaves something out. */
interface Said {
  token?: string
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
}

/** A proof for one request (RFC 9449 section 4.2), or changed in one point. */
export const proofOf = (
  { privateKey, jwk }: ProofKey,
  [htm, htu]: [string, string],
  { token, claims = {}, header = {} }: Said = {},
): Promise<string> => {
  const ath = token === undefined ? {} : { ath: sha256(token) }
  const all = { htm, htu, iat: Math.floor(Date.now() / 1000), jti: crypto.randomUUID(), ...ath, ...claims }
  const said = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  const alg = jwk.kty === 'OKP' ? 'EdDSA' : jwk.kty === 'RSA' ? 'PS256' : 'ES256'
  return new SignJWT(said).setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header }).sign(privateKey)
}
