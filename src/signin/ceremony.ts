import { randomBytes } from 'node:crypto'
import { equal } from '../platform/secrets.ts'
import type { Services } from '../services.ts'

/** What a challenge is good for: one purpose, in one place, for one person; `undefined` where that is still to be told. */
export type Ceremony = readonly ['sign_in' | 'prove' | 'enrol', ...(string | undefined)[]]

/** A challenge that was given back: where it is kept as used, and when its time is over. */
export interface Challenge {
  id: string
  expiresAt: Date
}

/** Milliseconds. */
const lifetime = 300_000

const idBytes = 16
const timeBytes = 6

type Tools = Pick<Services, 'keyring' | 'clock'>

/**
 * A challenge for a browser: 128 random bits, the time, and an HMAC over both and the ceremony. Showing a page keeps
 * nothing, so looking costs nothing; what was used is kept (`passkeys.use`).
 */
export const newChallenge = ({ keyring, clock }: Tools, ceremony: Ceremony): string => {
  const time = Buffer.alloc(timeBytes)
  time.writeUIntBE(clock.now().getTime(), 0, timeBytes)
  const head = Buffer.concat([randomBytes(idBytes), time])
  const mac = keyring.hmac(purpose, signed(head, ceremony))
  return Buffer.concat([head, Buffer.from(mac, 'base64url')]).toString('base64url')
}

/** The challenge that an answer holds; undefined where it is not ours, of another ceremony, or its time is over. */
export const readChallenge = ({ keyring, clock }: Tools, ceremony: Ceremony, text: string): Challenge | undefined => {
  const bytes = Buffer.from(text, 'base64url')
  const head = bytes.subarray(0, idBytes + timeBytes)
  const mac = bytes.subarray(idBytes + timeBytes).toString('base64url')
  if (head.length < idBytes + timeBytes || bytes.toString('base64url') !== text) return undefined
  if (!keyring.hmacs(purpose, signed(head, ceremony)).some((known) => equal(known, mac))) return undefined
  const expires = head.readUIntBE(idBytes, timeBytes) + lifetime
  if (expires <= clock.now().getTime()) return undefined
  return { id: idOf(head), expiresAt: new Date(expires) }
}

const purpose = 'passkey challenge'

const signed = (head: Buffer, ceremony: Ceremony): string =>
  JSON.stringify([head.toString('base64url'), ...ceremony.map((part) => part ?? null)])

const idOf = (head: Buffer): string =>
  head.toString('hex', 0, idBytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
