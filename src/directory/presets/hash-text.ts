import { readHash } from '../../platform/foreign-hashes.ts'

/** A hash in a form that is kept here, or why a user comes without a password. */
export type HashText = { is: 'read'; hash: string } | { is: 'refused'; why: string }

/** A hash that sign-ins can check; otherwise why there is none. */
export const checked = (hash: string): HashText => {
  const reading = readHash(hash)
  return reading.is === 'read' ? { is: 'read', hash } : without(reading.why)
}

/** What is said of a user whose hash cannot be kept. */
export const without = (why: string): HashText => ({
  is: 'refused',
  why: `${why}; the user is imported without a password`,
})
