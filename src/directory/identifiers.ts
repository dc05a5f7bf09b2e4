import { domainToASCII } from 'node:url'
import { readMobile } from './mobile.ts'

export type IdentifierKind = 'email' | 'mobile' | 'username'

/** What a user goes by: `value` is the canonical form that is unique in a pool, `typed` is as the person wrote it. */
export interface Identifier {
  kind: IdentifierKind
  value: string
  typed: string
}

/**
 * Reads what a person typed as one of the kinds that a pool knows; undefined where it is none of them.
 * Addresses that only look alike (other scripts, other accents) stay different: nothing is folded but case and width.
 * A mobile number without its country's code is read as one of `country`, where that is known.
 */
export const readIdentifier = (
  typed: string,
  kinds: readonly IdentifierKind[],
  country?: string | null,
): Identifier | undefined => {
  const text = typed.normalize('NFKC').trim()
  for (const kind of kinds) {
    const value = readers[kind](text, country)
    if (value !== undefined) return { kind, value, typed: text }
  }
  return undefined
}

/** The domain of an email address, for home-realm discovery. */
export const domainOf = ({ kind, value }: Identifier): string | undefined =>
  kind === 'email' ? value.slice(value.lastIndexOf('@') + 1) : undefined

const readEmail = (text: string): string | undefined => {
  const at = text.lastIndexOf('@')
  const local = text.slice(0, at)
  const domain = domainToASCII(text.slice(at + 1).toLowerCase())
  const value = `${local.toLowerCase()}@${domain}`
  // RFC 5321 section 4.5.3.1: 64 octets before the at sign, 254 in all.
  if (at < 1 || Buffer.byteLength(local) > 64 || Buffer.byteLength(value) > 254) return undefined
  if (!/^[^\s@"(),:;<>[\\\]\p{Cc}\p{Cf}]+$/u.test(local)) return undefined
  return /^(?=.{3,})[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain) ? value : undefined
}

const readUsername = (text: string): string | undefined => {
  const value = text.toLowerCase()
  return /^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]{1,63}$/u.test(value) ? value : undefined
}

const readers: Record<IdentifierKind, (text: string, country?: string | null) => string | undefined> = {
  email: readEmail,
  mobile: readMobile,
  username: readUsername,
}
