import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomInt,
  randomUUID,
  timingSafeEqual,
} from 'node:crypto'

/** A time-ordered UUID (RFC 9562 section 5.7); those made here within one millisecond ascend too. */
export const uuidv7 = (now: Date = new Date()): string => {
  tick(now.getTime())
  const time = last.ms.toString(16).padStart(12, '0')
  const counter = last.counter.toString(16).padStart(3, '0')
  // The tail of a version 4 UUID is the variant and 62 random bits, just as version 7 wants them.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}${randomUUID().slice(18)}`
}

/** Random bytes from the system, as base64url. */
export const randomToken = (bytes = 32): string => randomBytes(bytes).toString('base64url')

/** Decimal digits, each equally likely. */
export const randomDigits = (length: number): string => Array.from({ length }, () => randomInt(10)).join('')

/** As base64url. Only for what nobody can guess; a password needs `passwords`, a short code needs an HMAC. */
export const sha256 = (text: string): string => hash('sha256', text, 'base64url')

/** Compares in constant time, also texts of different lengths. */
export const equal = (a: string, b: string): boolean =>
  timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))

/** What the secrets of the configuration can do; no key of it ever leaves. */
export interface Keyring {
  /** Encrypts under the newest secret. The context says what the text is and whose; it opens with no other. */
  seal(plain: string, context: string): string
  /** Throws where the context is another, no secret has the text's key id, or the text was changed. */
  open(sealed: string, context: string): string
  /** HMAC-SHA-256 under the newest secret as base64url; two purposes never share a value. */
  hmac(purpose: string, text: string): string
  /** The same under every secret, newest first, to find what was stored before a rotation. */
  hmacs(purpose: string, text: string): string[]
  /** Keys for signed cookies, newest first. */
  cookieSigner(): CookieSigner
}

/** Derives every key from the secrets, newest first, by HKDF (RFC 5869); throws where there is none. */
export const openKeyring = (secrets: readonly string[]): Keyring => {
  const keys = secrets.map(deriveKeys)
  const [newest] = keys
  if (!newest) throw new Error('A keyring needs at least one secret')
  return {
    seal: (plain, context) => `${newest.id}.${encrypt(newest.seal, plain, context)}`,
    open: (sealed, context) => {
      const [id, text = ''] = sealed.split('.')
      // After a rotation the same secret may stand twice, never two secrets under one id.
      const key = keys.find((candidate) => candidate.id === id)
      const plain = key && decrypt(key.seal, text, context)
      if (plain === undefined) throw new Error('A sealed text could not be opened')
      return plain
    },
    hmac: (purpose, text) => mac(newest.mac, purpose, text),
    hmacs: (purpose, text) => keys.map((key) => mac(key.mac, purpose, text)),
    cookieSigner: () => new CookieSigner(keys.map(({ cookie }) => cookie)),
  }
}

/** Signs and checks cookies for Koa and the engine, as Keygrip does, with SHA-256 and in constant time. */
export class CookieSigner {
  readonly #keys: readonly KeyObject[]

  constructor(keys: readonly KeyObject[]) {
    this.#keys = keys
  }

  sign(data: string): string {
    const [newest] = this.#keys
    if (!newest) throw new Error('Nothing can be signed without a key')
    return createHmac('sha256', newest).update(data).digest('base64url')
  }

  /** Which key signed it: 0 is the newest, -1 none. */
  index(data: string, digest: string): number {
    return this.#keys.findIndex((key) => equal(createHmac('sha256', key).update(data).digest('base64url'), digest))
  }

  verify(data: string, digest: string): boolean {
    return this.index(data, digest) >= 0
  }
}

/** Encrypts so that only whoever holds the token can read it; the token must be impossible to guess. */
export const sealUnder = (token: string, plain: string): string => encrypt(Buffer.from(token), plain, 'sealed under')

/** Undefined where the token is another or the text was changed. */
export const openUnder = (token: string, sealed: string): string | undefined =>
  decrypt(Buffer.from(token), sealed, 'sealed under')

const last = { ms: 0, counter: 0 }

const clockLeap = 1_000

// The counter of RFC 9562 section 6.2 method 1: starts at random in its lower quarter and carries into the time.
const tick = (ms: number): void => {
  const leapt = ms > last.ms || ms < last.ms - clockLeap
  if (leapt) Object.assign(last, { ms, counter: randomInt(0x400) })
  else if (last.counter < 0xfff) last.counter += 1
  else Object.assign(last, { ms: last.ms + 1, counter: 0 })
}

const deriveKeys = (secret: string) => {
  const derive = (purpose: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, '', `lido ${purpose}`, length))
  return {
    id: derive('key id', 6).toString('base64url'),
    seal: derive('seal', 32),
    // As key objects: OpenSSL takes six times as long over a key that comes as bytes.
    mac: createSecretKey(derive('mac', 32)),
    cookie: createSecretKey(derive('cookie', 32)),
  }
}

// The purpose's length goes first, so that no purpose and text can be cut elsewhere into another pair.
const mac = (key: KeyObject, purpose: string, text: string): string =>
  createHmac('sha256', key).update(`${purpose.length}:${purpose}:${text}`).digest('base64url')

const saltBytes = 16
const ivBytes = 12
const tagBytes = 16
const overhead = saltBytes + ivBytes + tagBytes

const encrypt = (root: Buffer, plain: string, context: string): string => {
  const random = randomBytes(saltBytes + ivBytes)
  const cipher = createCipheriv('aes-256-gcm', messageKey(root, random), random.subarray(saltBytes))
  cipher.setAAD(Buffer.from(context))
  const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([random, text, cipher.getAuthTag()]).toString('base64url')
}

const decrypt = (root: Buffer, sealed: string, context: string): string | undefined => {
  const bytes = Buffer.from(sealed, 'base64url')
  // base64url decoding forgives: without this, two texts would open as the same one.
  if (bytes.length < overhead || bytes.toString('base64url') !== sealed) return undefined
  const iv = bytes.subarray(saltBytes, saltBytes + ivBytes)
  const decipher = createDecipheriv('aes-256-gcm', messageKey(root, bytes), iv, { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-tagBytes))
  try {
    const start = decipher.update(bytes.subarray(saltBytes + ivBytes, -tagBytes))
    return Buffer.concat([start, decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

// A key per message: random IVs under one key are safe for 2^32 messages only (NIST SP 800-38D section 8.3).
// The root is 32 random bytes or a token as strong, and has one length in each use: hashing it is enough to derive.
const messageKey = (root: Buffer, bytes: Buffer): Buffer =>
  hash('sha256', Buffer.concat([root, bytes.subarray(0, saltBytes)]), 'buffer')
