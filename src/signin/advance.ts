import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import { passwordPolicyOf } from '../directory/pool-settings.ts'
import type { Pool } from '../directory/pools.ts'
import { askedOf } from '../directory/profiles.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import { answerOffer } from './arrive.ts'
import { assess } from './assess.ts'
import { type Attempt, restart } from './attempt.ts'
import { remember } from './devices.ts'
import { beginEnrolment, enrol, keepCodes } from './enrol.ts'
import { identifierError, type Word } from './form.ts'
import { getMethod } from './methods/index.ts'
import type { Asking } from './methods/method.ts'
import { contextOf, heldBy, refusePassword, refuseUsed } from './passwords.ts'
import { connectionOf, homeRealmOf, policyOf } from './policy.ts'
import { openPool } from './pools/index.ts'
import { passwordHashOf } from './pools/local.ts'
import { proofOf, tryMethod } from './prove.ts'
import * as recovery from './recovery.ts'
import * as registration from './registration.ts'
import type { Scene } from './scene.ts'
import { sentTooOften } from './sending.ts'
import { nextStep, type Step } from './step.ts'
import { arrive } from './usernameless.ts'
import { alertOf, proven, refused } from './verdicts.ts'

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
  if (judged.refused) return { ...attempt, risk: judged.attempt.risk, alert: alertOf('wrong', name) }
  // A browser that is doubted is remembered another time.
  const lasting = attempt.proofs.length > 0 && more.risk?.does !== 'second_factor'
  if (lasting && action.remember === 'true') await remember(stage.scene, asking.pool, user)
  return goOn({ ...stage, found: user, attempt: judged.attempt })
}

const sentNotice = (name: string): string => (name === 'magic_link' ? 'notice.link_sent' : 'notice.code_sent')

/** Goes on from a proof: what has to be sent for the next one is sent, and an enrolment without a choice begins. */
const goOn = async (stage: Stage): Promise<Attempt> => {
  const { scene, attempt, found } = stage
  const step = nextStep(attempt, policyOf(scene, attempt, found))
  const [only, ...others] = step.do === 'another' || step.do === 'enrol' ? step.methods : []
  if (step.do === 'another') return ask({ ...stage, attempt: { ...attempt, method: only } })
  return step.do === 'enrol' && only && others.length === 0 ? beginEnrolment(stage, poolOf(stage), only) : ask(stage)
}

/** Starts the method that comes next, where it has to send something first. */
const ask = async (stage: Stage, notice?: string): Promise<Attempt> => {
  const { scene, attempt, found } = stage
  const step = nextStep(attempt, policyOf(scene, attempt, found))
  const method = step.do === 'prove' && step.method ? getMethod(step.method) : undefined
  if (!method?.challenge) return attempt
  const about = await meet(stage)
  const pending = await method.challenge(await askingOf(about))
  if (!pending) return { ...attempt, alert: sentTooOften }
  return { ...about.attempt, pending, ...(notice ? { notice: { key: notice } } : {}) }
}

/** Whom a message is about: somebody who is known here, or whom the pool's source knows; it is asked once an attempt. */
const meet = async (stage: Stage): Promise<Stage> => {
  const { scene, attempt } = stage
  const found = stage.found ?? (await find(stage))
  if (!attempt.identifier || attempt.proofs.length > 0 || attempt.guest) return { ...stage, found }
  const guest = await openPool(poolOf(stage), scene.services).seek(attempt.identifier, found)
  return { scene, found, attempt: { ...attempt, guest } }
}

/** Whoever the attempt has come to be about. */
export const find = ({ scene, attempt }: Pick<Stage, 'scene' | 'attempt'>): Promise<users.User | undefined> => {
  const pool = connectionOf(scene, attempt)?.pool
  if (pool && attempt.person) return findPerson(scene, pool.id, attempt.person)
  if (!pool || !attempt.identifier) return Promise.resolve(undefined)
  return users.findByIdentifier(scene.services.db, pool.id, attempt.identifier)
}

/** Whom an upstream named, as long as they are of the attempt's pool. */
export const findPerson = async ({ services }: Scene, poolId: string, id: string): Promise<users.User | undefined> => {
  const found = await users.findById(services.db, id)
  return found?.poolId === poolId && found.status !== 'deleted' ? found : undefined
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
  const drawn = new Set(['identifier', 'password', ...askedOf(settings.user_schema).map(({ name }) => name)])
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
    if (!again) return { ...attempt, alert: sentTooOften }
    return { ...attempt, registration: again, notice: { key: 'notice.code_sent' } }
  }
  const outcome = await registration.verify(scene, attempt, pool, under, action.code ?? '')
  if (outcome === 'wrong') return { ...attempt, alert: { key: 'alert.code_wrong' } }
  if (outcome === 'over') return { ...attempt, alert: { key: 'alert.code_expired' } }
  if (outcome === 'repeated') return { ...restart(attempt), identifier: under.identifier }
  const proven: Attempt = { ...restart(attempt), pool: pool.id, identifier: under.identifier }
  const found = await find({ ...stage, attempt: proven })
  if (!found) return proven
  const proof = proofOf(
    getMethod(under.identifier.kind === 'mobile' ? 'sms_code' : 'email_code'),
    found,
    scene.services.clock.now(),
  )
  return goOn({ scene, found, attempt: { ...proven, proofs: [proof] } })
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
  const newPassword = action.new_password ?? action.password ?? ''
  const answer = { code: action.code ?? '', newPassword, warned: action.warned !== undefined }
  const outcome = await recovery.completeByCode(scene, poolOf(stage), under, attempt.id, answer)
  if (outcome === 'wrong') return { ...attempt, alert: { key: 'alert.code_wrong' } }
  if (outcome === 'over') return { ...attempt, alert: { key: 'alert.code_expired' } }
  if (outcome !== 'done') {
    const draft = { view: 'reset', values: {}, errors: { new_password: outcome.weak } } as const
    return { ...attempt, draft }
  }
  return { ...restart(attempt), identifier: under.identifier, notice: { key: 'notice.password_set' } }
}

/** A password that was set by somebody else, has expired or is known to others gives way to a new one. */
const changePassword = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt, found } = stage
  const { db, clock, passwords } = scene.services
  const from = found && passwordHashOf(found)
  if (!found || !from) return restart(attempt)
  const pool = poolOf(stage)
  const chosen = action.new_password ?? ''
  const context = contextOf(found)
  const error =
    (await refusePassword(scene.services, pool, { password: chosen, context, warned: action.warned !== undefined })) ??
    (await refuseUsed(scene.services, pool, heldBy(found), chosen))
  if (error) return { ...attempt, draft: { view: 'change', values: {}, errors: { new_password: error } } }
  const to = await passwords.hash(chosen)
  const at = clock.now()
  const changed = await db.transaction().execute(async (trx) => {
    const { history } = passwordPolicyOf(pool.settings)
    if (!(await credentials.replacePassword(trx, at, pool.id, found.id, { from, to, history }))) return false
    const about = { workspaceId: scene.workspace.id, poolId: pool.id, userId: found.id, clientId: scene.client?.id }
    const by = { kind: 'person', id: found.id } as const
    await audit.record(trx, at, about, { type: 'user.password_set', data: { by, must_change: false } })
    return true
  })
  if (!changed) return { ...restart(attempt), identifier: attempt.identifier, alert: { key: 'alert.credentials' } }
  return { ...attempt, evidence: {} }
}

/** Who is asked to prove themselves in this attempt. Throws where the pool was disconnected in the meantime. */
export const askingOf = async (stage: Stage): Promise<Asking> => {
  const { scene, attempt, found } = stage
  if (!attempt.identifier) throw new Problem('expired')
  const pool = poolOf(stage)
  const home = openPool(pool, scene.services)
  return { scene, attempt, pool, home, subject: await home.identify(attempt.identifier, found, attempt.guest) }
}

const poolOf = ({ scene, attempt }: Stage): Pool => {
  const connection = connectionOf(scene, attempt)
  if (!connection) throw new Problem('expired')
  return connection.pool
}

const secrets = new Set(['password', 'new_password', 'code', 'csrf'])
/** What is kept of a form that has to be shown again: what it asked for, and nothing else that was sent. */
const valuesOf = ({ settings }: Pool, action: Action): Record<string, string> => {
  const asked = ['identifier', ...askedOf(settings.user_schema).map(({ name }) => name)]
  return Object.fromEntries(asked.filter((name) => !secrets.has(name)).map((name) => [name, action[name] ?? '']))
}
