import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import type { Pool } from '../directory/pools.ts'
import { propertiesOf } from '../directory/profiles.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import type { Attempt } from './attempt.ts'
import { identifierError, type Word } from './form.ts'
import { windowMinutes } from './limits.ts'
import { getMethod } from './methods/index.ts'
import type { Asking } from './methods/method.ts'
import { refusePassword } from './passwords.ts'
import { connectionOf, homeRealmOf, policyOf } from './policy.ts'
import { openPool } from './pools/index.ts'
import { passwordHashOf } from './pools/local.ts'
import { tryMethod } from './prove.ts'
import * as recovery from './recovery.ts'
import * as registration from './registration.ts'
import type { Scene } from './scene.ts'
import { nextStep, type Step } from './step.ts'

/** What a form sent: its fields, each once, as text. */
export type Action = Record<string, string>

/** Everything that an answer is applied to. `found` is whoever goes by the attempt's identifier. */
export interface Stage {
  scene: Scene
  attempt: Attempt
  found: users.User | undefined
}

/** Applies an answer to the step that it answers. The attempt that comes back says what to show next. */
export const advance = async (stage: Stage, step: Step, action: Action): Promise<Attempt> => {
  const attempt: Attempt = { ...stage.attempt, notice: undefined, alert: undefined, draft: undefined }
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
    case 'change-password':
      return changePassword(fresh, action)
    case 'closed':
    case 'finish':
      return attempt
  }
}

const choose = async ({ scene, attempt }: Stage, pools: string[], action: Action): Promise<Attempt> => {
  const pool = pools.find((id) => id === action.pool)
  if (!pool) return { ...attempt, alert: { key: 'alert.answers' } }
  const chosen = { ...restart(attempt), pool }
  const kinds = connectionOf(scene, chosen)?.pool.settings.identifiers ?? []
  const identifier = attempt.identifier && readIdentifier(attempt.identifier.typed, kinds)
  return identifier ? ask({ scene, attempt: { ...chosen, identifier }, found: undefined }) : chosen
}

const identify = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene } = stage
  const attempt = asChosen(stage)
  const typed = action.identifier ?? ''
  const { identifiers, pools } = policyOf(scene, attempt)
  const identifier = readIdentifier(typed, identifiers)
  const pool = identifier && (homeRealmOf(scene, identifier) ?? connectionOf(scene, attempt))?.pool.id
  if (!identifier || (!pool && pools.length === 0)) {
    const error = identifier ? { key: 'error.invalid' } : identifierError(typed, identifiers)
    return { ...attempt, draft: { view: 'identify', values: { identifier: typed }, errors: { identifier: error } } }
  }
  return ask({ scene, attempt: { ...restart(attempt), pool, identifier }, found: undefined })
}

/** The attempt without a pool that was only told by the last address's domain, or that has closed meanwhile. */
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
    return ask({ ...stage, attempt: { ...attempt, pending: undefined } }, 'notice.code_sent')
  const method = getMethod(name)
  const pending = method.pending.safeParse(attempt.pending ?? {})
  if (!pending.success) return { ...attempt, alert: { key: 'alert.code_expired' } }
  const verdict = await tryMethod(await askingOf(stage), method, action, pending.data)
  if (!verdict.ok) return { ...attempt, alert: alertOf(verdict.why, name) }
  const proof = {
    method: name,
    amr: method.amr,
    factors: method.factors,
    at: stage.scene.services.clock.now().getTime(),
  }
  return {
    ...attempt,
    method: undefined,
    pending: undefined,
    proofs: [...attempt.proofs, proof],
    evidence: { ...attempt.evidence, ...verdict.evidence },
  }
}

const alertOf = (why: 'wrong' | 'expired' | 'too-many', method: string): Word => {
  if (why === 'too-many') return { key: 'alert.too_many', values: { minutes: windowMinutes('account') } }
  if (why === 'expired') return { key: 'alert.code_expired' }
  return { key: method === 'password' ? 'alert.credentials' : 'alert.code_wrong' }
}

/** Starts the method that comes next, where it has to send something first. */
const ask = async (stage: Stage, notice?: string): Promise<Attempt> => {
  const { scene, attempt } = stage
  const step = nextStep(attempt, policyOf(scene, attempt))
  const method = step.do === 'prove' && step.method ? getMethod(step.method) : undefined
  if (!method?.challenge) return attempt
  const pending = await method.challenge(await askingOf({ ...stage, found: stage.found ?? (await find(stage)) }))
  if (!pending) return { ...attempt, alert: { key: 'alert.resend_wait' } }
  return { ...attempt, pending, ...(notice ? { notice: { key: notice } } : {}) }
}

const find = ({ scene, attempt }: Stage): Promise<users.User | undefined> => {
  const pool = connectionOf(scene, attempt)?.pool
  if (!pool || !attempt.identifier) return Promise.resolve(undefined)
  return users.findByIdentifier(scene.services.db, pool.id, attempt.identifier)
}

const register = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt } = stage
  const pool = poolOf(stage)
  const outcome = await registration.register(scene, attempt, pool, action)
  const draft = {
    view: 'register',
    values: valuesOf(pool, action),
    errors: 'errors' in outcome ? outcome.errors : {},
  } as const
  if ('errors' in outcome) return { ...attempt, draft, ...(isDrawn(pool, draft.errors) ? {} : { alert: checkAnswers }) }
  if ('alert' in outcome) return { ...attempt, draft, alert: outcome.alert }
  return { ...restart(attempt), pool: pool.id, registration: outcome.registration }
}

const checkAnswers: Word = { key: 'alert.answers' }

// A schema may ask for what no form holds, such as a list: its fault has no field to be shown at.
const isDrawn = ({ settings }: Pool, errors: Record<string, Word>): boolean => {
  const drawn = new Set(['identifier', 'password', ...propertiesOf(settings.user_schema).map(({ name }) => name)])
  return Object.keys(errors).every((name) => drawn.has(name))
}

const verify = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt } = stage
  const under = attempt.registration
  if (!under) return attempt
  const pool = poolOf(stage)
  if (action.action === 'correct') return { ...restart(attempt), draft: draftOf(under) }
  if (action.action === 'resend') {
    const again = await registration.resend(scene, attempt, pool, under)
    if (!again) return { ...attempt, alert: { key: 'alert.resend_wait' } }
    return { ...attempt, registration: again, notice: { key: 'notice.code_sent' } }
  }
  const outcome = await registration.verify(scene, attempt, pool, under, action.code ?? '')
  if (outcome === 'wrong') return { ...attempt, alert: { key: 'alert.code_wrong' } }
  if (outcome === 'over') return { ...attempt, alert: { key: 'alert.code_expired' } }
  if (outcome === 'repeated') return { ...restart(attempt), identifier: under.identifier }
  const { name: method, amr, factors } = getMethod('email_code')
  const proof = { method, amr, factors, at: scene.services.clock.now().getTime() }
  return { ...restart(attempt), pool: pool.id, identifier: under.identifier, proofs: [proof] }
}

const draftOf = ({ identifier, profile }: NonNullable<Attempt['registration']>): Attempt['draft'] => {
  const told = Object.entries(profile).map(([name, value]) => [name, String(value)])
  return { view: 'register', values: { identifier: identifier.typed, ...Object.fromEntries(told) }, errors: {} }
}

const recover = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt } = stage
  const typed = action.identifier ?? ''
  const outcome = await recovery.begin(scene, poolOf(stage), typed, attempt.id)
  const errors: Record<string, Word> = 'error' in outcome ? { identifier: outcome.error } : {}
  const draft = { view: 'recover', values: { identifier: typed }, errors } as const
  if ('error' in outcome) return { ...attempt, draft }
  if ('alert' in outcome) return { ...attempt, draft, alert: outcome.alert }
  return { ...restart(attempt), pool: poolOf(stage).id, identifier: outcome.identifier, recovery: outcome }
}

const reset = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt } = stage
  const under = attempt.recovery
  if (!under) return attempt
  if (action.action === 'resend') return recover(stage, { identifier: under.identifier.typed })
  const answer = { code: action.code ?? '', newPassword: action.new_password ?? action.password ?? '' }
  const outcome = await recovery.completeByCode(scene, poolOf(stage), under, attempt.id, answer)
  if (outcome === 'wrong') return { ...attempt, alert: { key: 'alert.code_wrong' } }
  if (outcome === 'over') return { ...attempt, alert: { key: 'alert.code_expired' } }
  if (outcome !== 'done') {
    const draft = { view: 'reset', values: {}, errors: { new_password: outcome.weak } } as const
    return { ...attempt, draft }
  }
  return { ...restart(attempt), identifier: under.identifier, notice: { key: 'notice.password_set' } }
}

/** A password that somebody else has set gives way to one that only its owner knows. */
const changePassword = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt, found } = stage
  const { db, clock, passwords } = scene.services
  const from = found && passwordHashOf(found)
  if (!found || !from) return restart(attempt)
  const pool = poolOf(stage)
  const chosen = action.new_password ?? ''
  const weak = refusePassword(chosen, pool, [found.identifiers, Object.values(found.profile)].flat().map(textOf))
  const same = !weak && (await passwords.verify(from, chosen)) ? { key: 'error.password_same' } : undefined
  const error = weak ?? same
  if (error) return { ...attempt, draft: { view: 'change', values: {}, errors: { new_password: error } } }
  const to = await passwords.hash(chosen)
  const at = clock.now()
  const changed = await db.transaction().execute(async (trx) => {
    if (!(await credentials.replacePassword(trx, at, pool.id, found.id, { from, to }))) return false
    const about = { workspaceId: scene.workspace.id, poolId: pool.id, userId: found.id, clientId: scene.client?.id }
    const by = { kind: 'person', id: found.id } as const
    await audit.record(trx, at, about, { type: 'user.password_set', data: { by, must_change: false } })
    return true
  })
  if (!changed) return { ...restart(attempt), identifier: attempt.identifier, alert: { key: 'alert.credentials' } }
  return { ...attempt, evidence: {} }
}

const textOf = (told: unknown): string =>
  typeof told === 'object' && told !== null && 'value' in told ? String(told.value) : String(told)

/** The attempt as if nothing had been proven, begun or typed; only the pool stays. */
const restart = (attempt: Attempt): Attempt => ({
  ...attempt,
  identifier: undefined,
  proofs: [],
  method: undefined,
  pending: undefined,
  evidence: {},
  registration: undefined,
  recovery: undefined,
})

/** Who is asked to prove themselves in this attempt. Throws where the pool was disconnected in the meantime. */
export const askingOf = async (stage: Stage): Promise<Asking> => {
  const { scene, attempt, found } = stage
  if (!attempt.identifier) throw new Problem('expired')
  const pool = poolOf(stage)
  const home = openPool(pool, scene.services)
  return { scene, attempt, pool, home, subject: await home.identify(attempt.identifier, found) }
}

const poolOf = ({ scene, attempt }: Stage): Pool => {
  const connection = connectionOf(scene, attempt)
  if (!connection) throw new Problem('expired')
  return connection.pool
}

const secrets = new Set(['password', 'new_password', 'code', 'csrf'])
/** What is kept of a form that has to be shown again: what it asked for, and nothing else that was sent. */
const valuesOf = ({ settings }: Pool, action: Action): Record<string, string> => {
  const asked = ['identifier', ...propertiesOf(settings.user_schema).map(({ name }) => name)]
  return Object.fromEntries(asked.filter((name) => !secrets.has(name)).map((name) => [name, action[name] ?? '']))
}
