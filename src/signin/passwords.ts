import type { Pool } from '../directory/pools.ts'
import type { Word } from './form.ts'

/**
 * Whether a new password may be used; the word says why not. Length is counted in code points, and nothing is asked of
 * which characters they are (NIST SP 800-63B-4 section 3.1.1.2).
 */
export const refusePassword = (password: string, pool: Pool, context: readonly string[]): Word | undefined => {
  const { min_length: limit } = pool.settings.password_policy
  if (password === '') return { key: 'error.required' }
  if (Array.from(password).length < limit) return { key: 'error.password_short', values: { count: limit } }
  if (Buffer.byteLength(password.normalize('NFC')) > 1024) return { key: 'error.password_long' }
  const told = password.toLowerCase()
  const words = ['lido', pool.name, ...context].flatMap((text) => text.toLowerCase().split(/[\s@.]+/))
  // What is left after the pool's and the person's own words must still be long enough to be a secret.
  const rest = words.filter((one) => one.length > 2).reduce((text, one) => text.replaceAll(one, ''), told)
  if (Array.from(rest).length < Math.ceil(limit / 2)) return { key: 'error.password_context' }
  return new Set(told).size < 4 ? { key: 'error.password_common' } : undefined
}
