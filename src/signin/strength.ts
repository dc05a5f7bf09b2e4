import { type Acr, oneFactor, phishingResistant, reaches, twoFactors } from '../directory/acr.ts'
import type { Factor, Proof } from './attempt.ts'

/** The name of what a session has proven already, in the place of a method's. */
export const sessionProof = 'session'

/** What a proof is worth, whoever's it is. */
export type Worth = Pick<Proof, 'factors' | 'phishingResistant'>

/**
 * The factors that count as different. A mailbox opens whatever a mail can reset: with a password it is one factor, not
 * two (security.md 40).
 */
const countedOf = (proofs: readonly Worth[]): number =>
  new Set(proofs.flatMap(({ factors }) => factors).map((factor) => (factor === 'mailbox' ? 'knowledge' : factor))).size

/** How many things of different kinds were proven; a pool may be content with a password and a mailbox. */
export const kindsOf = (proofs: readonly Worth[]): number => new Set(proofs.flatMap(({ factors }) => factors)).size

/** How surely somebody is known by these proofs. */
export const acrOf = (proofs: readonly Worth[]): Acr => {
  if (countedOf(proofs) < 2) return oneFactor
  return proofs.some((proof) => proof.phishingResistant) ? phishingResistant : twoFactors
}

/** RFC 8176. */
export const amrOf = (proofs: readonly Proof[]): string[] => [
  ...new Set([...proofs.flatMap(({ amr }) => amr), ...(countedOf(proofs) > 1 ? ['mfa'] : [])]),
]

const ofThings = new Set(['sms', 'tel', 'hwk', 'swk', 'pop'])

/**
 * What the proofs of a session were worth, from what it says of itself; undefined where that tells nothing, for a
 * connection may put words of its own in the place of ours.
 */
export const worthOfSession = ({ acr, amr }: { acr: unknown; amr: readonly string[] }): Worth | undefined => {
  if (reaches(acr, twoFactors))
    return { factors: ['knowledge', 'possession'], phishingResistant: acr === phishingResistant }
  const factor = factorOf(amr)
  return factor && { factors: [factor], phishingResistant: false }
}

const factorOf = (amr: readonly string[]): Factor | undefined => {
  if (amr.includes('pwd')) return 'knowledge'
  if (amr.some((one) => ofThings.has(one))) return 'possession'
  return amr.includes('otp') ? 'mailbox' : undefined
}
