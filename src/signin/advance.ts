import { readIdentifier } from '../directory/identifiers.ts'
import { changePassword } from './answers/new-password.ts'
import { recover, reset } from './answers/recovery.ts'
import { register, verify } from './answers/registration.ts'
import { answerOffer } from './arrive.ts'
import { assess } from './assess.ts'
import { type Attempt, restart } from './attempt.ts'
import { remember } from './devices.ts'
import { enrol, keepCodes } from './enrol.ts'
import { identifierError } from './form.ts'
import { ask, goOn } from './go-on.ts'
import { getMethod } from './methods/index.ts'
import { connectionOf, homeRealmOf, policyOf } from './policy.ts'
import { tryMethod } from './prove.ts'
import { type Action, askingOf, poolOf, type Stage } from './stage.ts'
import type { Step } from './step.ts'
import { arrive } from './usernameless.ts'
import { alertOf, proven, refused } from './verdicts.ts'

/** Applies an answer to the step that it answers. The attempt that comes back says what to show next. */
export const advance = async (stage: Stage, step: Step, action: Action): Promise<Attempt> => {
  const passkeys = stage.attempt.passkeys ?? (action.passkeys === 'able' ? 'able' : undefined)
  const attempt: Attempt = { ...stage.attempt, notice: undefined, alert: undefined, draft: undefined, passkeys }
  const fresh = { ...stage, attempt }
  switch (step.do) {
    case 'choose':
      return choose(fresh, step.pools, action)
    case 'identify':
      return identify(fresh, action)
    case 'register':
      return register(fresh, action)
    case 'verify':
      return verify(fresh, action)
    case 'recover':
      return recover(fresh, action)
    case 'reset':
      return reset(fresh, action)
    case 'another':
      return switchMethod(fresh, step.methods, action)
    case 'prove':
      return prove(fresh, step.method, action)
    case 'enrol':
      return enrol(fresh, poolOf(fresh), step, action)
    case 'recovery-codes':
      return keepCodes(fresh, poolOf(fresh), action)
    case 'change-password':
      return changePassword(fresh, action)
    case 'link':
      return answerOffer(fresh, action, ask)
    case 'depart':
    case 'denied':
      return action.action === 'other' ? { ...restart(attempt), pool: undefined } : attempt
    case 'closed':
    case 'unmet':
    case 'script':
    case 'application':
    case 'finish':
      return attempt
  }
}

const choose = async ({ scene, attempt }: Stage, pools: string[], action: Action): Promise<Attempt> => {
  const pool = pools.find((id) => id === action.pool)
  if (!pool) return { ...attempt, alert: { key: 'alert.answers' } }
  const chosen = { ...restart(attempt), pool }
  const { identifiers: kinds, country } = policyOf(scene, chosen)
  const identifier = attempt.identifier && readIdentifier(attempt.identifier.typed, kinds, country)
  return identifier ? ask({ scene, attempt: { ...chosen, identifier }, found: undefined }) : chosen
}

const identify = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene } = stage
  const attempt = asChosen(stage)
  if (action.credential !== undefined) return comeIn({ ...stage, attempt }, action.credential)
  const typed = action.identifier ?? ''
  const { identifiers, pools, country } = policyOf(scene, attempt)
  const identifier = readIdentifier(typed, identifiers, country)
  const pool = identifier && (homeRealmOf(scene, identifier) ?? connectionOf(scene, attempt))?.pool.id
  if (!identifier || (!pool && pools.length === 0)) {
    const error = identifier ? { key: 'error.invalid' } : identifierError(typed, identifiers)
    const draft = { view: 'identify', values: { identifier: typed }, errors: { identifier: error } } as const
    return { ...restart(attempt), draft }
  }
  return ask({ scene, attempt: { ...restart(attempt), pool, identifier }, found: undefined })
}

/** Takes a passkey that says whose it is, in the place of a name. */
const comeIn = async (stage: Stage, sent: string): Promise<Attempt> => {
  const { scene, attempt } = stage
  const arrival = await arrive(scene, attempt, sent)
  if ('why' in arrival) return { ...restart(attempt), draft: nameAgain, alert: alertOf(arrival.why, 'passkey') }
  const { pool, identifier, user, proof } = arrival
  const arrived = { scene, found: user, attempt: { ...restart(attempt), pool: pool.id, identifier, proofs: [proof] } }
  const judged = await assess(await askingOf(arrived), { failures: { account: 0, network: 0 } })
  return judged.refused
    ? { ...restart(attempt), risk: judged.attempt.risk, draft: nameAgain, alert: alertOf('wrong', 'passkey') }
    : goOn({ ...arrived, attempt: judged.attempt })
}

const nameAgain = { view: 'identify', values: {}, errors: {} } satisfies Attempt['draft']

/**
 * The attempt without a pool that was only told by the last address's domain, or that has closed meanwhile. What was
 * proven belongs to that pool: whoever keeps the result keeps none of it.
 */
const asChosen = ({ scene, attempt }: Stage): Attempt => {
  const told = attempt.identifier && homeRealmOf(scene, attempt.identifier)
  const stays = attempt.pool !== told?.pool.id && connectionOf(scene, attempt)
  return stays ? attempt : { ...attempt, pool: undefined }
}

const switchMethod = (stage: Stage, methods: string[], action: Action): Promise<Attempt> | Attempt => {
  const method = methods.find((name) => name === action.method)
  if (!method) return { ...stage.attempt, alert: { key: 'alert.answers' } }
  return ask({ ...stage, attempt: { ...stage.attempt, method, pending: undefined } })
}

const prove = async (stage: Stage, name: string, action: Action): Promise<Attempt> => {
  const { attempt } = stage
  if (action.action === 'resend')
    return ask({ ...stage, attempt: { ...attempt, pending: undefined } }, sentNotice(name))
  const method = getMethod(name)
  const pending = method.pending.safeParse(attempt.pending ?? {})
  if (!pending.success) return { ...attempt, alert: { key: 'alert.code_expired' } }
  const asking = await askingOf(stage)
  const verdict = await tryMethod(asking, method, action, pending.data)
  if (!verdict.ok) return refused(stage, asking, name, verdict.why)
  const { known } = verdict
  const { user } = known
  const isNew = user !== stage.found
  const more = {
    ...(await proven(stage, method, user, verdict)),
    ...(isNew ? { guest: undefined, settled: true } : {}),
  }
  const judged = await assess(
    { ...asking, subject: known, attempt: more },
    { failures: verdict.failures, password: action.password },
  )
  if (judged.refused) return { ...attempt, risk: judged.attempt.risk, alert: alertOf('wrong', name, asking.pool) }
  // A browser that is doubted is remembered another time.
  const lasting = attempt.proofs.length > 0 && more.risk?.does !== 'second_factor'
  if (lasting && action.remember === 'true') await remember(stage.scene, asking.pool, user)
  return goOn({ ...stage, found: user, attempt: judged.attempt })
}

const sentNotice = (name: string): string => (name === 'magic_link' ? 'notice.link_sent' : 'notice.code_sent')
