import { type PasswordPolicy, passwordPolicyOf } from '../directory/pool-settings.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { isCommon } from '../platform/common-passwords.ts'
import type { Services } from '../services.ts'
import { isBreached } from './breaches.ts'
import type { Word } from './form.ts'

/** A password that somebody wants to have from now on. */
interface Wanted {
  password: string
  /** What is known of its owner: whoever guesses begins there. */
  context: readonly string[]
  /** Whether they want it although they were told that it is known from a leak. */
  warned?: boolean
}

/** Whether a new password may be used; the word says why not. Every door at which one is chosen asks here. */
export const refusePassword = async (
  services: Services,
  pool: Pool,
  { password, context, warned = false }: Wanted,
): Promise<Word | undefined> => {
  const policy = passwordPolicyOf(pool.settings)
  const fault = faultOf(password, policy, [pool.name, ...context])
  if (fault || policy.breached === 'off' || (policy.breached === 'warn' && warned)) return fault
  if (!(await isBreached(services, password))) return undefined
  return { key: policy.breached === 'warn' ? 'warning.password_breached' : 'error.password_breached' }
}

/**
 * Whether a password was somebody's before, as far back as the pool remembers; the one they have counts too. Only for
 * whoever has proven to be its owner: the answer tells what it was.
 */
export const refuseUsed = async (
  { passwords }: Pick<Services, 'passwords'>,
  { settings }: Pool,
  { hash, previous = [] }: Held,
  password: string,
): Promise<Word | undefined> => {
  if (hash !== undefined && (await passwords.verify(hash, password))) return { key: 'error.password_same' }
  for (const earlier of previous.slice(0, passwordPolicyOf(settings).history))
    if (await passwords.verify(earlier, password)) return { key: 'error.password_history' }
  return undefined
}

/** Whether others are likely to try a password that was chosen elsewhere: it is common, or known from a leak. */
export const isKnownToOthers = async (services: Services, pool: Pool, password: string): Promise<boolean> => {
  const policy = passwordPolicyOf(pool.settings)
  if (isCommon(password, leftOver(policy))) return true
  return policy.breached === 'refuse' && (await isBreached(services, password))
}

/** What others may know of somebody. */
export const contextOf = ({ identifiers, profile }: Pick<User, 'identifiers' | 'profile'>): string[] => [
  ...identifiers.map(({ value }) => value),
  ...Object.values(profile).map(String),
]

/** What is held of somebody's password. */
interface Held {
  hash?: string | undefined
  previous?: string[]
  mustChange?: boolean
  /** Where it was never noted, the time that the credential is from. */
  changedAt?: Date
}

export const heldBy = ({ credentials }: Pick<User, 'credentials'>): Held => {
  const found = credentials.find(({ kind }) => kind === 'password')
  if (!found) return {}
  const { hash, previous, must_change, changed_at } = found.data
  return {
    hash: typeof hash === 'string' ? hash : undefined,
    previous: Array.isArray(previous) ? previous.map(String) : [],
    mustChange: must_change === true,
    changedAt: new Date(typeof changed_at === 'string' ? changed_at : millisecondsOf(found.id)),
  }
}

/** Why the password that was just proven opens nothing but the page where it is changed. */
export const mustGiveWay = (at: Date, { settings }: Pool, user: User): 'set' | 'expired' | undefined => {
  const { mustChange, changedAt } = heldBy(user)
  const { expires_after_days: days } = passwordPolicyOf(settings)
  if (mustChange) return 'set'
  return days !== null && changedAt && at.getTime() >= changedAt.getTime() + days * 86_400_000 ? 'expired' : undefined
}

// RFC 9562 section 5.7: a UUID of version 7 begins with 48 bits of milliseconds.
const millisecondsOf = (id: string): number => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)

/**
 * What is wrong with a password by itself. Lengths are in code points, of the form that is hashed (NFC); which characters
 * there are matters only where the pool says so.
 */
export const faultOf = (password: string, policy: PasswordPolicy, context: readonly string[]): Word | undefined => {
  const text = password.normalize('NFC')
  const count = policy.min_length
  if (text === '') return { key: 'error.required' }
  if (Math.max(Buffer.byteLength(password), Buffer.byteLength(text)) > mostBytes) return { key: 'error.password_long' }
  if (lengthOf(text) < count) return { key: 'error.password_short', values: { count } }
  const missing = missingOf(text, policy)
  if (Object.values(missing).some((more) => more > 0)) return { key: 'error.password_asks', values: missing }
  if (isTold(text.toLowerCase(), policy, ['lido', ...context])) return { key: 'error.password_context' }
  const monotonous = new Set(text.toLowerCase()).size < 4
  return monotonous || isCommon(text, leftOver(policy)) ? { key: 'error.password_common' } : undefined
}

// As many as are hashed (platform/passwords.ts).
const mostBytes = 1_024

const lengthOf = (text: string): number => Array.from(text).length

/** What remains of a password without what others know of it must itself be long enough to be a secret. */
const leftOver = ({ min_length }: PasswordPolicy): number => Math.ceil(min_length / 2)

const isTold = (text: string, policy: PasswordPolicy, told: readonly string[]): boolean => {
  const words = told.flatMap((one) =>
    one
      .normalize('NFC')
      .toLowerCase()
      .split(/[\s@.]+/),
  )
  // The longest first, or `ann` would spoil `annabel`.
  const known = words.filter((one) => lengthOf(one) > 2).sort((one, other) => other.length - one.length)
  return lengthOf(known.reduce((rest, one) => rest.replaceAll(one, ''), text)) < leftOver(policy)
}

const classes = {
  lowercase: /\p{Ll}/gu,
  uppercase: /\p{Lu}/gu,
  digits: /\p{Nd}/gu,
  symbols: /[^\p{L}\p{M}\p{N}\s]/gu,
}

const missingOf = (text: string, policy: PasswordPolicy): Record<keyof typeof classes, number> => {
  const missing = (name: keyof typeof classes) =>
    Math.max(0, policy[name] - Array.from(text.matchAll(classes[name])).length)
  return {
    lowercase: missing('lowercase'),
    uppercase: missing('uppercase'),
    digits: missing('digits'),
    symbols: missing('symbols'),
  }
}
