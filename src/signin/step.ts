import { type Acr, oneFactor, phishingResistant, reaches, twoFactors } from '../directory/acr.ts'
import type { Attempt } from './attempt.ts'
import type { Policy, Way } from './policy.ts'
import { acrOf, amrOf, kindsOf } from './strength.ts'

/** A page that a link asks to see; looking changes nothing. */
export type View = 'identify' | 'register' | 'another' | 'recover' | 'choose' | 'departing' | 'depart'

export type Step =
  | { do: 'closed' }
  | { do: 'choose'; pools: string[] }
  /** They prove elsewhere who they are. */
  | { do: 'depart' }
  /** Who came from an upstream may have an account here already. */
  | { do: 'link' }
  | { do: 'identify' }
  | { do: 'register' }
  | { do: 'verify' }
  | { do: 'recover' }
  | { do: 'reset' }
  | { do: 'another'; methods: string[] }
  /** `second` where it is a second factor that this browser may be spared another time. */
  | { do: 'prove'; method: string; methods: string[]; second?: true }
  /** Getting a second factor; without `method`, choosing which. An `optional` one is a passkey for the next time. */
  | { do: 'enrol'; method?: string; methods: string[]; optional?: true }
  | { do: 'recovery-codes' }
  /** What is asked for cannot be reached by this person. */
  | { do: 'unmet' }
  | { do: 'change-password' }
  /** The operator's script has to run; no page. */
  | { do: 'script' }
  /** The operator's application has its turn; no page of ours. */
  | { do: 'application' }
  /** The operator's script or application does not let them in. */
  | { do: 'denied'; reason?: string; cancelled?: true }
  | { do: 'finish'; amr: string[]; acr: Acr }

/** The only place that decides what comes next. Pure: pages draw the answer, and no step names another. */
export const nextStep = (attempt: Attempt, policy: Policy, view?: View): Step => {
  const { identifier, proofs, registration, recovery } = attempt
  const chosen = attempt.pool !== undefined || policy.pools.length === 1
  const more = identifier && proofs.length > 0 ? nextProof(attempt, policy, view) : undefined
  if (policy.pools.length === 0 && !policy.homeRealm) return { do: 'closed' }
  if (more === 'enough') return afterProofs(attempt, policy)
  if (view === 'choose' && policy.pools.length > 1) return { do: 'choose', pools: policy.pools }
  if (!chosen && !(policy.homeRealm && !identifier)) return { do: 'choose', pools: policy.pools }
  if (attempt.arrival && !attempt.arrival.linking) return { do: 'link' }
  if (policy.away && (proofs.length === 0 || view === 'identify')) return { do: 'depart' }
  if (view === 'identify' || (!view && attempt.draft?.view === 'identify')) return { do: 'identify' }
  if (more) return more
  if (policy.registration && (view === 'register' || (!view && attempt.draft?.view === 'register'))) {
    return { do: 'register' }
  }
  if (chosen && (view === 'recover' || (!view && attempt.draft?.view === 'recover'))) return { do: 'recover' }
  if (registration) return { do: 'verify' }
  if (recovery) return { do: 'reset' }
  // A pool that was closed in the meantime has no methods.
  if (!identifier || policy.methods.length === 0) return { do: 'identify' }
  if (view === 'another') return { do: 'another', methods: policy.methods }
  return { do: 'prove', method: chosenOf(attempt.method, policy.methods) ?? '', methods: policy.methods }
}

const afterProofs = (attempt: Attempt, policy: Policy): Step => {
  const { proofs, evidence, codes, codesLeft, passkeys } = attempt
  const { offersPasskey } = policy
  if (codes !== undefined || codesLeft !== undefined) return { do: 'recovery-codes' }
  if (evidence.mustChange) return { do: 'change-password' }
  const gotOne = proofs.some(({ method }) => method === 'passkey')
  if (offersPasskey && passkeys === 'able' && !gotOne)
    return { do: 'enrol', method: 'passkey', methods: ['passkey'], optional: true }
  return afterAuthentication(attempt, policy) ?? { do: 'finish', amr: amrOf(proofs), acr: acrOf(proofs) }
}

/** What the operator wants besides: their script first, which runs once, then their application. */
const afterAuthentication = ({ script, application }: Attempt, { after }: Policy): Step | undefined => {
  if (script?.is === 'denied') return denied(script.reason)
  if (after?.script && !script) return { do: 'script' }
  if (application?.is === 'denied')
    return application.cancelled ? { do: 'denied', cancelled: true } : denied(application.reason)
  const goes = script ? script.redirect : after?.application
  return goes && application?.is !== 'passed' ? { do: 'application' } : undefined
}

const denied = (reason: string | undefined): Step => ({ do: 'denied', ...(reason === undefined ? {} : { reason }) })

/** What has to be proven besides what was. The pool's second factor comes first, then what the client wants. */
const nextProof = (attempt: Attempt, policy: Policy, view: View | undefined): Step | 'enough' => {
  const { proofs } = attempt
  const { values, essential } = policy.acr
  const prove = (goal: Goal) => proveTowards(attempt, policy, view, goal)
  const enrol = (goal: Goal) => enrolTowards(attempt, policy, view, goal)
  const { doubt } = policy
  if (doubt && kindsOf(proofs) < 2) return doubt.length > 0 ? proveOne(attempt, doubt, view, false) : { do: 'unmet' }
  if (policy.second && kindsOf(countedFor(attempt, policy)) < 2)
    return prove('second') ?? enrol('second') ?? { do: 'unmet' }
  if (values.some((wanted) => reaches(acrOf(proofs), wanted))) return 'enough'
  const [step] = [...values.map(prove), ...values.map(enrol)].filter((one) => one !== undefined)
  return step ?? (essential ? { do: 'unmet' } : 'enough')
}

type Goal = 'second' | Acr

/** A step that leads to a goal; undefined where none does. */
type Towards = (attempt: Attempt, policy: Policy, view: View | undefined, goal: Goal) => Step | undefined

const proveTowards: Towards = (attempt, policy, view, goal) => {
  const ways = policy.usable.filter((way) => leads(attempt, policy, way, goal))
  return ways.length > 0 ? proveOne(attempt, ways, view) : undefined
}

const enrolTowards: Towards = (attempt, policy, view, goal) => {
  const methods = policy.enrollable.filter((way) => leads(attempt, policy, way, goal)).map(({ name }) => name)
  if (methods.length === 0) return undefined
  // Whoever has a second factor proves it before they get another: neither a stolen password nor a mailbox is enough.
  const surer = acrOf(attempt.proofs) === oneFactor ? proveTowards(attempt, policy, view, twoFactors) : undefined
  const held = surer ?? (kindsOf(attempt.proofs) < 2 ? proveTowards(attempt, policy, view, 'second') : undefined)
  if (held) return held
  const method = chosenOf(attempt.enrolment?.method, methods, false)
  return { do: 'enrol', ...(method ? { method } : {}), methods }
}

/** What only settled a doubt is not the second factor that the pool asks for besides. */
const countedFor = ({ proofs }: Attempt, policy: Policy): Attempt['proofs'] => {
  const standsIn = new Set((policy.doubt ?? []).flatMap(({ name, listed }) => (listed ? [] : [name])))
  const [first] = proofs
  return first && isListed(policy, first.method) ? proofs : proofs.filter(({ method }) => !standsIn.has(method))
}

const proveOne = ({ method, pending }: Attempt, ways: Way[], view: View | undefined, lasting = true): Step => {
  const methods = ways.map(({ name }) => name)
  const first = chosenOf(method, methods) ?? ''
  // Nothing is sent to anybody who only looks: a code that has to be sent is asked for first.
  const unsent = method === undefined && pending === undefined && ways[0]?.sends === true
  if (view === 'another' || unsent) return { do: 'another', methods }
  return { do: 'prove', method: first, methods, ...(lasting ? { second: true } : {}) }
}

/** Whether one more proof would lead there. */
const leads = ({ proofs }: Attempt, policy: Policy, way: Way, goal: Goal): boolean => {
  if (proofs.some(({ method }) => method === way.name)) return false
  const then = [...proofs, way]
  if (goal === phishingResistant) return way.phishingResistant && acrOf(then) === phishingResistant
  // One of the first methods is as good as a second one where what was proven first may be a second factor.
  const listed = way.listed || proofs.some(({ method }) => isListed(policy, method))
  return listed && (goal === twoFactors ? reaches(acrOf(then), goal) : kindsOf(then) > kindsOf(proofs))
}

const isListed = ({ usable }: Policy, method: string): boolean =>
  usable.some(({ name, listed }) => listed && name === method)

const chosenOf = (wanted: string | undefined, among: string[], orFirst = true): string | undefined =>
  wanted !== undefined && among.includes(wanted) ? wanted : orFirst ? among[0] : undefined
