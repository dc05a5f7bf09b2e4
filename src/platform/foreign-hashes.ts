import {
  createCipheriv,
  createHash,
  createHmac,
  pbkdf2,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
} from 'node:crypto'
import { promisify } from 'node:util'
import * as argon2 from '@node-rs/argon2'

/** A password hash that can be checked here, or why it cannot, in words that hold nothing of it. */
export type Reading =
  | { is: 'read'; format: string; matches(password: string): Promise<boolean> }
  | { is: 'refused'; why: string }

/**
 * Reads a password hash that another system made, by how it is tagged; docs/import.md lists the formats. Refuses those
 * that would cost far more than a sign-in may: a hash is checked by anybody who types an identifier.
 */
export const readHash = (text: string): Reading => {
  if (text.length > 2_000) return refused('This is too long for a password hash')
  for (const read of readers) {
    const reading = read(text)
    if (reading) return reading
  }
  return refused(`Password hashes of ${nameOf(text)} are not known here`)
}

type Matches = (password: string) => Promise<boolean>

const refused = (why: string): Reading => ({ is: 'refused', why })
const known = (format: string, matches: Matches): Reading => ({ is: 'read', format, matches })
const damaged = (format: string): Reading => refused(`This is not a complete ${format} hash`)
const costly = (format: string): Reading => refused(`This ${format} hash costs too much to check`)

// 64 MiB are what the usual settings of scrypt and argon2 take; four times as much is not yet an attack.
const mostMemory = 256 * 1024 * 1024
const mostMemoryPasses = 4 * mostMemory
const mostIterations = 2_000_000
const mostBcryptCost = 15

const readArgon2 = (text: string): Reading | undefined => {
  if (!text.startsWith('$argon2')) return undefined
  try {
    const { memoryCost, timeCost, parallelism } = argon2.parseOptions(text)
    const bytes = memoryCost * 1024
    if (bytes > mostMemory || bytes * timeCost > mostMemoryPasses || parallelism > 64) return costly('argon2')
    return known('argon2', (password) => argon2.verify(text, password))
  } catch {
    return damaged('argon2')
  }
}

/** bcrypt reads 72 bytes of a password and no more, here as everywhere: what comes after them was never checked. */
const readBcrypt = (text: string): Reading | undefined => {
  if (!/^\$2[aby]\$/.test(text)) return undefined
  const [, cost] = text.match(/^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/) ?? []
  if (cost === undefined || Number(cost) < 4) return damaged('bcrypt')
  if (Number(cost) > mostBcryptCost) return costly('bcrypt')
  return known('bcrypt', async (password) => (await import('@node-rs/bcrypt')).verify(password, text))
}

/** `$scrypt$ln=14,r=8,p=1$SALT$HASH` (PHC), and Django's `scrypt$N$SALT$r$p$HASH`, whose salt is text. */
const readScrypt = (text: string): Reading | undefined => {
  const phc = text.match(/^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([^$]+)\$([^$]+)$/)
  if (phc) {
    const [, ln, r, p, salt, hash] = phc
    return scryptOf(2 ** Number(ln), Number(r), Number(p), bytesOf(salt), bytesOf(hash))
  }
  const django = text.match(/^scrypt\$(\d{1,8})\$([^$]+)\$(\d{1,3})\$(\d{1,3})\$([^$]+)$/)
  if (django) {
    const [, n, salt = '', r, p, hash] = django
    return scryptOf(Number(n), Number(r), Number(p), Buffer.from(salt), bytesOf(hash))
  }
  return /^\$?scrypt\$/.test(text) ? damaged('scrypt') : undefined
}

const scryptOf = (N: number, r: number, p: number, salt?: Buffer, hash?: Buffer): Reading => {
  const powerOfTwo = N > 1 && Number.isInteger(Math.log2(N))
  if (!salt || !isLong(hash) || !powerOfTwo || r < 1 || p < 1) return damaged('scrypt')
  if (128 * N * r > mostMemory || 128 * N * r * p > mostMemoryPasses) return costly('scrypt')
  return known('scrypt', async (password) => same(await derive(password, salt, hash.length, { N, r, p }), hash))
}

/** `$firebase-scrypt$rounds=8,mem_cost=14,salt_separator=Bw==,signer_key=…$SALT$HASH`: Firebase's own, with the project's parameters. */
const readFirebase = (text: string): Reading | undefined => {
  if (!text.startsWith('$firebase-scrypt$')) return undefined
  const parts =
    /^\$firebase-scrypt\$rounds=(\d{1,2}),mem_cost=(\d{1,2}),salt_separator=([^,$]*),signer_key=([^,$]+)\$([^$]+)\$([^$]+)$/
  const [, rounds, memory, ...encoded] = text.match(parts) ?? []
  const [separator, signerKey, salt, hash] = encoded.map(bytesOf)
  const [N, r] = [2 ** Number(memory), Number(rounds)]
  if (!separator || !signerKey || !salt || !isLong(hash) || N < 2 || r < 1) return damaged('Firebase scrypt')
  if (128 * N * r > mostMemory) return costly('Firebase scrypt')
  return known('firebase-scrypt', async (password) => {
    const key = await derive(password, Buffer.concat([salt, separator]), 64, { N, r, p: 1 })
    const cipher = createCipheriv('aes-256-ctr', key.subarray(0, 32), Buffer.alloc(16))
    return same(Buffer.concat([cipher.update(signerKey), cipher.final()]), hash)
  })
}

/** `$pbkdf2-sha256$i=600000$SALT$HASH` (PHC, passlib), and Django's `pbkdf2_sha256$600000$SALT$HASH`, whose salt is text. */
const readPbkdf2 = (text: string): Reading | undefined => {
  const phc = text.match(/^\$pbkdf2(?:-(sha1|sha256|sha384|sha512))?\$(?:i=)?(\d{1,9})(?:,l=\d+)?\$([^$]+)\$([^$]+)$/)
  if (phc) {
    const [, digest = 'sha1', iterations, salt, hash] = phc
    return pbkdf2Of(digest, Number(iterations), bytesOf(salt), bytesOf(hash))
  }
  const django = text.match(/^pbkdf2_(sha1|sha256|sha512)\$(\d{1,9})\$([^$]+)\$([^$]+)$/)
  if (django) {
    const [, digest = '', iterations, salt = '', hash] = django
    return pbkdf2Of(digest, Number(iterations), Buffer.from(salt), bytesOf(hash))
  }
  return /^\$?pbkdf2[-_$]/.test(text) ? damaged('PBKDF2') : undefined
}

const pbkdf2Of = (digest: string, iterations: number, salt?: Buffer, hash?: Buffer): Reading => {
  if (!salt || !isLong(hash) || !(iterations >= 1)) return damaged('PBKDF2')
  if (iterations > mostIterations) return costly('PBKDF2')
  return known(`pbkdf2-${digest}`, async (password) =>
    same(await pbkdf2Async(password, salt, iterations, hash.length, digest), hash),
  )
}

/** A password credential as Keycloak exports it: JSON with `credentialData` and `secretData`, each JSON in a text. */
const readKeycloak = (text: string): Reading | undefined => {
  if (!text.startsWith('{"')) return undefined
  try {
    const { credentialData, secretData } = JSON.parse(text)
    const { algorithm, hashIterations, additionalParameters: more } = JSON.parse(credentialData)
    const { value, salt } = JSON.parse(secretData)
    const [, digest = 'sha1'] = /^pbkdf2(?:-(sha256|sha512))?$/.exec(algorithm) ?? []
    if (algorithm.startsWith('pbkdf2')) return pbkdf2Of(digest, hashIterations, bytesOf(salt), bytesOf(value))
    if (algorithm !== 'argon2') return refused('Password hashes of this algorithm of Keycloak are not known here')
    const version = more.version[0] === '1.0' ? 16 : 19
    const costs = `m=${more.memory[0]},t=${hashIterations},p=${more.parallelism[0]}`
    return readArgon2(`$argon2${more.type[0]}$v=${version}$${costs}$${unpadded(salt)}$${unpadded(value)}`)
  } catch {
    return damaged('Keycloak')
  }
}

/** `{SSHA256}BASE64` and its kin (RFC 2307): the digest of password and salt, then the salt; without S, no salt. */
const readLdap = (text: string): Reading | undefined => {
  const [, scheme = '', encoded] =
    text.match(/^\{(SSHA|SSHA256|SSHA384|SSHA512|SMD5|SHA|SHA256|SHA384|SHA512|MD5)\}(.*)$/i) ?? []
  if (encoded === undefined) return undefined
  const salted = /^S(SHA|MD5)/i.test(scheme)
  const name = salted ? scheme.slice(1) : scheme
  const digest = name.toUpperCase() === 'SHA' ? 'sha1' : name.toLowerCase()
  const bytes = bytesOf(encoded)
  const length = createHash(digest).digest().length
  if (!bytes || bytes.length < length || (!salted && bytes.length > length)) return damaged(scheme.toUpperCase())
  const [hash, salt] = [bytes.subarray(0, length), bytes.subarray(length)]
  return known(scheme.toLowerCase(), async (password) => same(digestOf(digest, password, salt), hash))
}

/** `sha256$SALT$HEX` (as Django once wrote): the digest of salt and password; of password and salt as `sha256_suffix$…`. */
const readDigest = (text: string): Reading | undefined => {
  const [, digest, suffix, salt = '', hex = ''] =
    text.match(/^(md5|sha1|sha256|sha512)(_suffix)?\$([^$]*)\$([^$]*)$/) ?? []
  if (digest === undefined) return undefined
  const hash = Buffer.from(hex, 'hex')
  if (!/^[0-9a-f]*$/i.test(hex) || hash.length !== createHash(digest).digest().length) return damaged(digest)
  return known(digest, async (password) =>
    same(suffix ? digestOf(digest, password, salt) : digestOf(digest, salt, password), hash),
  )
}

/** How a password was written before it was hashed; by the names that Auth0 has for them. */
export const passwordEncodings: ReadonlyMap<string, 'utf8' | 'utf16le' | 'latin1'> = new Map([
  ['utf8', 'utf8'],
  ['ascii', 'latin1'],
  ['latin1', 'latin1'],
  ['binary', 'latin1'],
  ['utf16le', 'utf16le'],
  ['ucs2', 'utf16le'],
])

/**
 * `$digest$a=sha256,s=prefix,e=utf8$SALT$HASH` and `$hmac$a=sha256,s=prefix,e=utf8$KEY$SALT$HASH`: what other systems give
 * away in pieces. `s` is the salt's place beside the password, `e` how the password was written.
 */
const readPieces = (text: string): Reading | undefined => {
  if (!/^\$(digest|hmac)\$/.test(text)) return undefined
  const [, kind = '', digest = '', place, encoding = '', ...encoded] =
    text.match(
      /^\$(digest|hmac)\$a=([\w-]{1,20}),s=(prefix|suffix),e=(utf8|utf16le|latin1)(?:\$([^$]*))?\$([^$]*)\$([^$]*)$/,
    ) ?? []
  const [key, salt, hash] = encoded.map((part) => (part === undefined ? undefined : bytesOf(part)))
  if (digest !== '' && !digests.has(digest)) return refused(`Password hashes by ${digest} are not known here`)
  if (!salt || !isLong(hash) || (kind === 'hmac') !== (key !== undefined)) return damaged(kind || 'salted')
  return known(`${kind}-${digest}`, async (password) => {
    const typed = Buffer.from(password, encoding as BufferEncoding)
    const hasher = key ? createHmac(digest, key) : createHash(digest)
    for (const part of place === 'suffix' ? [typed, salt] : [salt, typed]) hasher.update(part)
    return same(hasher.digest(), hash)
  })
}

// What every build of OpenSSL 3 has.
const digests = new Set(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'])

const readers = [
  readArgon2,
  readBcrypt,
  readScrypt,
  readFirebase,
  readPbkdf2,
  readKeycloak,
  readLdap,
  readDigest,
  readPieces,
] as const

const pbkdf2Async = promisify(pbkdf2)
const scryptAsync = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

const derive = (password: string, salt: Buffer, length: number, costs: { N: number; r: number; p: number }) =>
  scryptAsync(password, salt, length, { ...costs, maxmem: 2 * mostMemory })

const digestOf = (digest: string, ...parts: (string | Buffer)[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash(digest)).digest()

const same = (one: Buffer, other: Buffer): boolean => one.length === other.length && timingSafeEqual(one, other)

// A short result would let many a password in.
const isLong = (hash: Buffer | undefined): hash is Buffer =>
  hash !== undefined && hash.length >= 16 && hash.length <= 128

/** Base64 in any of its alphabets, passlib's with a dot for the plus too; undefined where it is none. */
const bytesOf = (text: string | undefined): Buffer | undefined =>
  text !== undefined && /^[\w+/.-]*={0,2}$/.test(text) ? Buffer.from(text.replaceAll('.', '+'), 'base64') : undefined

const unpadded = (base64: string): string => base64.replaceAll('=', '')

const families: Record<string, string> = {
  $1$: 'MD5-crypt',
  $5$: 'SHA-256-crypt',
  $6$: 'SHA-512-crypt',
  $y$: 'yescrypt',
  $P$: 'phpass',
  $H$: 'phpass',
}

/** What a hash says it is, and nothing after that. */
const nameOf = (text: string): string => {
  const tag = text.match(/^(?:\$[\w-]{1,20}\$|\{[\w-]{1,20}\}|[a-z][\w-]{0,20}(?=\$))/i)?.[0]
  if (tag === undefined) return 'this format, which has no tag,'
  return `the format ${families[tag] ?? JSON.stringify(tag)}`
}
