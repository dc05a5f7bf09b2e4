import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** What of a ceremony a test may have go wrong; everything else is as a browser and an authenticator do it. */
export interface Twist {
  type?: string
  origin?: string
  challenge?: string
  crossOrigin?: boolean
  topOrigin?: string
  rpId?: string
  present?: boolean
  verified?: boolean
  backupEligible?: boolean
  backedUp?: boolean
  counter?: number
  userHandle?: string | null
  /** The id of another credential. */
  id?: string
  /** Signs with a key that nobody knows. */
  forged?: boolean
}

interface Options {
  challenge: string
  rpId?: string
  rp?: { id: string }
  user?: { id: string }
}

/** A passkey in software: one key pair, made and used as an authenticator does (WebAuthn L3 section 6). */
export interface Authenticator {
  readonly id: string
  readonly handle: string
  /** The private key in PKCS #8, to be put into another authenticator. */
  readonly key: Buffer
  /** Answers `navigator.credentials.create()`, as the JSON that a page sends. */
  create(options: Options, twist?: Twist & { algorithm?: number; fmt?: string; idBytes?: number }): string
  /** Answers `navigator.credentials.get()`. */
  get(options: Options, twist?: Twist): string
}

export const openAuthenticator = (origin: string): Authenticator => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  let id = randomBytes(32).toString('base64url')
  let handle = ''
  let counter = 0

  return {
    key: privateKey.export({ format: 'der', type: 'pkcs8' }),
    get id() {
      return id
    },
    get handle() {
      return handle
    },

    create(options, twist = {}) {
      handle = options.user?.id ?? ''
      if (twist.idBytes) id = randomBytes(twist.idBytes).toString('base64url')
      const given = twist.id ?? id
      const held = Buffer.from(given, 'base64url')
      const size = Buffer.alloc(2)
      size.writeUInt16BE(held.length)
      const key = coseKey(publicKey, twist.algorithm ?? -7)
      const attested = Buffer.concat([Buffer.alloc(16), size, held, key])
      const authData = authenticatorData(twist.rpId ?? options.rp?.id ?? '', twist, counter, attested)
      const attestationObject = map([
        [text('fmt'), text(twist.fmt ?? 'none')],
        [text('attStmt'), map([])],
        [text('authData'), bytes(authData)],
      ])
      const response = {
        clientDataJSON: clientData('webauthn.create', origin, options, twist).toString('base64url'),
        attestationObject: attestationObject.toString('base64url'),
        transports: ['internal', 'hybrid'],
      }
      return JSON.stringify({ id: given, rawId: given, type: 'public-key', response })
    },

    get(options, twist = {}) {
      counter = twist.counter ?? counter + 1
      const authData = authenticatorData(twist.rpId ?? options.rpId ?? '', twist, counter)
      const client = clientData('webauthn.get', origin, options, twist)
      const signed = Buffer.concat([authData, createHash('sha256').update(client).digest()])
      const key = twist.forged ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : privateKey
      const response = {
        clientDataJSON: client.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: sign('sha256', signed, key).toString('base64url'),
        userHandle: twist.userHandle === undefined ? handle : twist.userHandle,
      }
      const given = twist.id ?? id
      return JSON.stringify({ id: given, rawId: given, type: 'public-key', response })
    },
  }
}

const clientData = (type: string, origin: string, { challenge }: Options, twist: Twist): Buffer =>
  Buffer.from(
    JSON.stringify({
      type: twist.type ?? type,
      challenge: twist.challenge ?? challenge,
      origin: twist.origin ?? origin,
      crossOrigin: twist.crossOrigin ?? false,
      ...(twist.topOrigin ? { topOrigin: twist.topOrigin } : {}),
    }),
  )

const authenticatorData = (rpId: string, twist: Twist, counter: number, attested?: Buffer): Buffer => {
  const { present = true, verified = true, backupEligible = true, backedUp = true } = twist
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  const flags =
    Number(present) |
    (Number(verified) << 2) |
    (Number(backupEligible) << 3) |
    (Number(backedUp) << 4) |
    (attested ? 64 : 0)
  return Buffer.concat([
    createHash('sha256').update(rpId).digest(),
    Buffer.from([flags]),
    count,
    ...(attested ? [attested] : []),
  ])
}

/** An elliptic-curve key as COSE has it (RFC 9053 section 7.1.1). */
const coseKey = (key: KeyObject, algorithm: number): Buffer => {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  return map([
    [number(1), number(2)],
    [number(3), number(algorithm)],
    [number(-1), number(1)],
    [number(-2), bytes(Buffer.from(x, 'base64url'))],
    [number(-3), bytes(Buffer.from(y, 'base64url'))],
  ])
}

/** As much of CBOR (RFC 8949 section 3) as a key and an attestation need. */
const head = (major: number, size: number): Buffer => {
  if (size < 24) return Buffer.from([(major << 5) | size])
  if (size < 256) return Buffer.from([(major << 5) | 24, size])
  return Buffer.from([(major << 5) | 25, size >> 8, size & 255])
}
const number = (value: number): Buffer => (value < 0 ? head(1, -1 - value) : head(0, value))
const bytes = (value: Buffer): Buffer => Buffer.concat([head(2, value.length), value])
const text = (value: string): Buffer => Buffer.concat([head(3, value.length), Buffer.from(value)])
const map = (pairs: [Buffer, Buffer][]): Buffer => Buffer.concat([head(5, pairs.length), ...pairs.flat()])
