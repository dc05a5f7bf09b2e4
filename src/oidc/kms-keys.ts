import { createHash, createPublicKey } from 'node:crypto'
import { type Algorithm, algorithms } from '../directory/key-settings.ts'
import { rawSignature } from '../platform/ecdsa.ts'
import type { Kms, KmsKey, KmsSigning } from '../platform/kms.ts'
import { KmsTrouble } from '../platform/kms-trouble.ts'
import { Problem } from '../platform/problem.ts'
import { type SigningKey, thumbprint } from './signing-keys.ts'

/** A key in AWS KMS, and what it signs by where that is not its first. */
export interface KmsLine {
  keyId: string
  alg: Algorithm | undefined
}

/** Reads a list of keys in AWS KMS, one a line: `KEY` or `KEY ALGORITHM`. Throws for a line that is neither. */
export const readKmsLines = (text: string): KmsLine[] => {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s)#.*/, '').trim())
  const wanted = lines.flatMap((line, index) => (line ? [readLine(line, index + 1)] : []))
  if (wanted.length === 0) throw new Error('It names no key')
  return wanted
}

const keyIds =
  /^(arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:(key\/[\w-]+|alias\/[\w/-]+)|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|alias\/[\w/-]+)$/

const readLine = (line: string, number: number): KmsLine => {
  const [keyId = '', word, ...rest] = line.split(/\s+/)
  const alg = algorithms.find((one) => one === word)
  if (!keyIds.test(keyId) || rest.length > 0 || (word !== undefined && !alg))
    // It is not said again: a private key that was put into the wrong file is for no log.
    throw new Error(`line ${number} is not the ARN, id or alias of a key, with an algorithm or without`)
  return { keyId, alg }
}

/** Finds a key of a list. Throws a `KmsTrouble`. */
export const findKmsKey = async (kms: Kms, { keyId, alg: wanted }: KmsLine): Promise<SigningKey & { is: 'far' }> => {
  const key = await kms.find(keyId)
  const alg = algorithmOf(keyId, key, wanted)
  const jwk = createPublicKey({ key: Buffer.from(key.publicDer), format: 'der', type: 'spki' }).export({
    format: 'jwk',
  })
  const kid = thumbprint(jwk, alg)
  const publicJwk = { ...jwk, kid, alg, use: 'sig' }
  return { is: 'far', kid, alg, publicJwk, sign: (data) => signBy(kms, key.arn, alg, data) }
}

/** What a kind of key signs by, its first first. */
const able: [spec: RegExp, Algorithm[]][] = [
  [/^RSA_(2048|3072|4096)$/, ['RS256', 'PS256']],
  [/^ECC_NIST_P256$/, ['ES256']],
  [/^ECC_NIST_EDWARDS25519$/, ['EdDSA']],
]

const algorithmOf = (keyId: string, { spec, signs }: KmsKey, wanted: Algorithm | undefined): Algorithm => {
  const among = able.find(([specs]) => specs.test(spec))?.[1] ?? []
  const alg = wanted === undefined ? among[0] : among.find((one) => one === wanted)
  if (alg && signs.includes(ways[alg].algorithm)) return alg
  const told = wanted ? `does not sign by ${wanted}` : 'does not sign here'
  const kinds = 'RSA_2048 and larger, ECC_NIST_P256 and ECC_NIST_EDWARDS25519 do'
  throw new KmsTrouble('misconfigured', `${keyId}: a key of the kind ${spec} ${told}; ${kinds}`)
}

/** Ed25519 takes the message itself: RFC 8032 section 5.1 hashes it twice. */
const ways: Record<Algorithm, KmsSigning> = {
  RS256: { algorithm: 'RSASSA_PKCS1_V1_5_SHA_256', type: 'DIGEST' },
  PS256: { algorithm: 'RSASSA_PSS_SHA_256', type: 'DIGEST' },
  ES256: { algorithm: 'ECDSA_SHA_256', type: 'DIGEST' },
  EdDSA: { algorithm: 'ED25519_SHA_512', type: 'RAW' },
}

/** The most bytes that AWS KMS takes where it does the hashing. */
const longestRaw = 4096

/** Throws the problem `unavailable` or, for what is too long, `too_large`: both end the request before anything of it is written. */
const signBy = async (kms: Kms, arn: string, alg: Algorithm, data: Uint8Array): Promise<Uint8Array> => {
  const way = ways[alg]
  if (way.type === 'RAW' && data.length > longestRaw)
    throw new Problem('too_large', {
      detail: `By its Ed25519 key this workspace signs no more than ${longestRaw} bytes.`,
    })
  const message = way.type === 'RAW' ? data : createHash('sha256').update(data).digest()
  const signature = await kms.sign(arn, way, message).catch(refuse)
  return alg === 'ES256' ? rawSignature(signature, 32) : signature
}

const refuse = (cause: unknown): never => {
  throw cause instanceof KmsTrouble ? new Problem('unavailable', { retryAfter: 2, cause }) : cause
}
