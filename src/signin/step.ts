import type { Attempt } from './attempt.ts'
import type { Policy } from './policy.ts'

/** A page that a link asks to see; looking changes nothing. */
export type View = 'identify' | 'register' | 'another' | 'recover' | 'choose'

export type Step =
  | { do: 'closed' }
  | { do: 'choose'; pools: string[] }
  | { do: 'identify' }
  | { do: 'register' }
  | { do: 'verify' }
  | { do: 'recover' }
  | { do: 'reset' }
  | { do: 'another'; methods: string[] }
  | { do: 'prove'; method: string; methods: string[] }
  | { do: 'change-password' }
  | { do: 'finish'; amr: string[] }

/** The only place that decides what comes next. Pure: pages draw the answer, and no step names another. */
export const nextStep = (attempt: Attempt, policy: Policy, view?: View): Step => {
  const { identifier, proofs, registration, recovery } = attempt
  const chosen = attempt.pool !== undefined || policy.pools.length === 1
  const factors = new Set(proofs.flatMap((proof) => proof.factors))
  const proven = identifier !== undefined && factors.size >= policy.factors
  if (policy.pools.length === 0 && !policy.homeRealm) return { do: 'closed' }
  if (proven && attempt.evidence.mustChange) return { do: 'change-password' }
  if (proven) return { do: 'finish', amr: amrOf(attempt, factors.size) }
  if (view === 'choose' && policy.pools.length > 1) return { do: 'choose', pools: policy.pools }
  if (!chosen && !(policy.homeRealm && !identifier)) return { do: 'choose', pools: policy.pools }
  if (view === 'identify' || (!view && attempt.draft?.view === 'identify')) return { do: 'identify' }
  if (policy.registration && (view === 'register' || (!view && attempt.draft?.view === 'register'))) {
    return { do: 'register' }
  }
  if (chosen && (view === 'recover' || (!view && attempt.draft?.view === 'recover'))) return { do: 'recover' }
  if (registration) return { do: 'verify' }
  if (recovery) return { do: 'reset' }
  // A pool that was closed in the meantime has no methods.
  if (!identifier || policy.methods.length === 0) return { do: 'identify' }
  return proveStep(attempt, policy, view)
}

const proveStep = ({ proofs, method }: Attempt, policy: Policy, view: View | undefined): Step => {
  const used = new Set(proofs.map((proof) => proof.method))
  const methods = policy.methods.filter((name) => !used.has(name))
  if (view === 'another') return { do: 'another', methods }
  return { do: 'prove', method: method && methods.includes(method) ? method : (methods[0] ?? ''), methods }
}

const amrOf = ({ proofs }: Attempt, factors: number): string[] => [
  ...new Set([...proofs.map(({ amr }) => amr), ...(factors > 1 ? ['mfa'] : [])]),
]
