/**
 * An ECDSA signature as JOSE has it, r and s beside each other in `size` bytes each (RFC 7518 section 3.4), from its DER
 * (RFC 3279 section 2.2.3). Throws where it is none.
 */
export const rawSignature = (der: Uint8Array, size: number): Buffer => {
  const [r, afterR] = readInteger(der, readLength(der))
  const [s, end] = readInteger(der, afterR)
  if (end !== der.length) throw new Error('No ECDSA signature')
  return Buffer.concat([fixed(r, size), fixed(s, size)])
}

/** Where the sequence begins that is all of a signature; P-256 and P-384 have lengths of one byte. */
const readLength = (der: Uint8Array): number => {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 129) throw new Error('No ECDSA signature')
  return 2
}

const readInteger = (der: Uint8Array, at: number): [value: Uint8Array, end: number] => {
  const length = der[at + 1] ?? 0
  const end = at + 2 + length
  if (der[at] !== 0x02 || length === 0 || end > der.length) throw new Error('No ECDSA signature')
  return [der.subarray(at + 2, end), end]
}

// An integer whose first bit is set has a zero before it, and one with leading zeros none of them.
const fixed = (integer: Uint8Array, size: number): Buffer => {
  const value = integer.subarray(integer.findIndex((byte) => byte !== 0))
  if (value.length > size || integer.every((byte) => byte === 0)) throw new Error('No ECDSA signature')
  return Buffer.concat([Buffer.alloc(size - value.length), value])
}
