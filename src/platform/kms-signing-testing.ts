import { constants, createECDH, createHash, type KeyObject, privateEncrypt, randomBytes, sign } from 'node:crypto'

/** Signs as AWS KMS does what was hashed elsewhere; node:crypto would hash it once more. */
export const signDigest = (key: KeyObject, algorithm: string, digest: Buffer): Buffer => {
  if (algorithm === 'RSASSA_PKCS1_V1_5_SHA_256') return signPkcs1(key, digest)
  if (algorithm === 'RSASSA_PSS_SHA_256') return signPss(key, digest)
  return signEcdsa(key, digest)
}

export const signRaw = (key: KeyObject, message: Buffer): Buffer => sign(null, message, key)

// RFC 8017 section 9.2, note 1.
const sha256Info = Buffer.from('3031300d060960864801650304020105000420', 'hex')
const signPkcs1 = (key: KeyObject, digest: Buffer): Buffer =>
  privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([sha256Info, digest]))

// RFC 8017 section 9.1.1.
const signPss = (key: KeyObject, digest: Buffer): Buffer => {
  const size = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  const salt = randomBytes(32)
  const hash = sha256(Buffer.concat([Buffer.alloc(8), digest, salt]))
  const block = Buffer.alloc(size - 33)
  block[size - 66] = 1
  salt.copy(block, size - 65)
  const mask = mgf1(hash, block.length)
  const masked = Buffer.from(block.map((byte, index) => byte ^ (mask[index] ?? 0)))
  masked[0] = (masked[0] ?? 0) & 0x7f
  const encoded = Buffer.concat([masked, hash, Buffer.from([0xbc])])
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded)
}

const mgf1 = (seed: Buffer, length: number): Buffer => {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_block, index) =>
    sha256(Buffer.concat([seed, Buffer.from([0, 0, 0, index])])),
  )
  return Buffer.concat(blocks).subarray(0, length)
}

// FIPS 186-5 section 6.4.1 on P-256, answered in DER.
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const signEcdsa = (key: KeyObject, digest: Buffer): Buffer => {
  const d = numberOf(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'))
  const once = createECDH('prime256v1')
  const point = once.generateKeys()
  const r = numberOf(point.subarray(1, 33)) % order
  const s = (power(numberOf(once.getPrivateKey()), order - 2n) * (numberOf(digest) + r * d)) % order
  const both = Buffer.concat([integer(r), integer(s)])
  return Buffer.concat([Buffer.from([0x30, both.length]), both])
}

const numberOf = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)

const power = (base: bigint, exponent: bigint): bigint => {
  let [result, square, left] = [1n, base % order, exponent]
  for (; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % order
    square = (square * square) % order
  }
  return result
}

const integer = (value: bigint): Buffer => {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex')
  const positive = (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes
  return Buffer.concat([Buffer.from([0x02, positive.length]), positive])
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()
