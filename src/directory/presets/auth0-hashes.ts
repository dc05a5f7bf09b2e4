import { passwordEncodings } from '../../platform/foreign-hashes.ts'
import { checked, type HashText, without } from './hash-text.ts'
import { objectOf, textOf } from './preset.ts'

/** Reads bcrypt as a text, or `custom_password_hash` of Auth0's schema for bulk imports. */
export const textOfAuth0Hash = (value: unknown): HashText => {
  const text = textOf(value)
  if (text !== undefined) return checked(text)
  const custom = objectOf(value)
  return custom ? textOfCustom(custom) : without('The password hash is neither a text nor an object')
}

const textOfCustom = (custom: Record<string, unknown>): HashText => {
  const algorithm = lower(custom.algorithm)
  const hash = objectOf(custom.hash) ?? { value: custom.hash }
  const salt = objectOf(custom.salt)
  const encoding = lower(objectOf(custom.password)?.encoding ?? 'utf8')
  const value = textOf(hash.value)
  if (value === undefined) return without(`The ${algorithm.slice(0, 20)} hash has no value`)
  if (digests.has(algorithm) || algorithm === 'hmac') return digestOf(algorithm, hash, salt, encoding)
  if (!known.has(algorithm))
    return without(`The hash algorithm ${JSON.stringify(algorithm.slice(0, 20))} is not supported`)
  if (!['utf8', 'ascii'].includes(encoding))
    return without(`A ${algorithm} hash of a password in another encoding than UTF-8 is not supported`)
  if (algorithm === 'scrypt') return scryptOf(custom, hash, salt)
  if (textOf(salt?.value)) return without(`A salt beside a ${algorithm} hash is not supported`)
  return checked(algorithm === 'pbkdf2' ? pbkdf2Of(value) : value)
}

const lower = (value: unknown): string => (textOf(value) ?? '').toLowerCase()

const digests = new Set(['md5', 'sha1', 'sha256', 'sha512'])
const known = new Set(['argon2', 'bcrypt', 'ldap', 'pbkdf2', 'scrypt'])

/** Auth0's defaults for what a PBKDF2 hash does not name, and the names of digests without their prefix. */
const pbkdf2Of = (value: string): string => {
  const [, digest, costs, rest] = value.match(/^\$pbkdf2-(?:RSA-)?(\w+)(?:\$((?:i|l)=[^$]*))?(\$[^$]+\$[^$]+)$/i) ?? []
  if (digest === undefined) return value
  return `$pbkdf2-${digest.toLowerCase()}$i=${costs?.match(/i=(\d+)/)?.[1] ?? 100_000}${rest}`
}

const digestOf = (
  algorithm: string,
  hash: Record<string, unknown>,
  salt: Record<string, unknown> | undefined,
  encoding: string,
): HashText => {
  const keyed = algorithm === 'hmac'
  const digest = keyed ? lower(hash.digest) : algorithm
  const asked = passwordEncodings.get(encoding)
  const key = keyed ? bytesOf(objectOf(hash.key) ?? {}, 'utf8') : Buffer.alloc(0)
  const value = bytesOf(hash, 'hex')
  const salted = salt ? bytesOf(salt, 'utf8') : Buffer.alloc(0)
  if (!value || !key || !salted || (keyed && key.length === 0))
    return without(`This is not a complete ${algorithm} hash`)
  if (!asked) return without(`The password encoding ${JSON.stringify(encoding.slice(0, 20))} is not supported`)
  const options = [`a=${digest.slice(0, 20)}`, `s=${salt?.position === 'suffix' ? 'suffix' : 'prefix'}`, `e=${asked}`]
  const parts = [...(keyed ? [key] : []), salted, value].map((part) => part.toString('base64'))
  return checked(`$${keyed ? 'hmac' : 'digest'}$${options.join(',')}$${parts.join('$')}`)
}

const scryptOf = (
  { cost = 16_384, blockSize = 8, parallelization = 1, keylen }: Record<string, unknown>,
  hash: Record<string, unknown>,
  salt: Record<string, unknown> | undefined,
): HashText => {
  const [value, salted] = [bytesOf(hash, 'hex'), bytesOf(salt ?? {}, 'utf8')]
  if (!value || !salted || (keylen !== undefined && keylen !== value.length))
    return without('This is not a complete scrypt hash')
  const counts = [cost, blockSize, parallelization]
  if (!counts.every((count) => Number.isSafeInteger(count)))
    return without('The costs of the scrypt hash are no numbers')
  const costs = `ln=${Math.log2(Number(cost))},r=${blockSize},p=${parallelization}`
  return checked(`$scrypt$${costs}$${salted.toString('base64')}$${value.toString('base64')}`)
}

/** A value in its encoding; base64 in either alphabet. Undefined where it is not what it says. */
const bytesOf = ({ value, encoding }: Record<string, unknown>, otherwise: string): Buffer | undefined => {
  const text = textOf(value)
  const as = lower(encoding ?? otherwise)
  if (text === undefined) return undefined
  if (as === 'utf8') return Buffer.from(text)
  if (as === 'hex') return /^([0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : undefined
  return as === 'base64' && /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
