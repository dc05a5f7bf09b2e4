import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A key and its self-signed certificate, as an identity provider has them. */
export interface CertifiedKey {
  /** PKCS #8 in PEM. */
  key: string
  /** X.509 in PEM. */
  certificate: string
}

/** Makes an RSA key, or one on P-256, and certifies it for `from` to `until`. */
export const certify = ({
  bits = 2048,
  type = 'rsa',
  from = new Date('2020-01-01'),
  until = new Date('2045-01-01'),
}: {
  bits?: number
  type?: 'rsa' | 'ec'
  from?: Date
  until?: Date
} = {}): CertifiedKey => {
  const pair =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: bits })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = type === 'rsa' ? rsaWithSha256 : ecdsaWithSha256
  const facts = factsOf(pair.publicKey, algorithm, from, until)
  const signature = sign('sha256', facts, pair.privateKey)
  const certificate = sequence(facts, algorithm, der(0x03, Buffer.of(0), signature))
  return { key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), certificate: pem(certificate) }
}

// RFC 5280 section 4.1: version 3, a serial number, issuer and subject, the dates and the key.
const factsOf = (key: KeyObject, algorithm: Buffer, from: Date, until: Date): Buffer => {
  const spki = key.export({ type: 'spki', format: 'der' })
  const serial = createHash('sha256').update(spki).digest().subarray(0, 15)
  const version = der(0xa0, der(0x02, Buffer.of(2)))
  const dates = sequence(time(from), time(until))
  return sequence(version, der(0x02, Buffer.of(1), serial), algorithm, name, dates, name, spki)
}

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...head), content])
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts)

const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))

const rsaWithSha256 = sequence(oid('2a864886f70d01010b'), der(0x05))

const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))

const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from('idp')))))

const time = (moment: Date): Buffer => der(0x18, Buffer.from(moment.toISOString().replace(/[-:T]|\.\d+/g, '')))

const pem = (bytes: Buffer): string => {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
