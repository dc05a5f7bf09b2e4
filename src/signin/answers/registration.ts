import type { Pool } from '../../directory/pools.ts'
import { askedOf } from '../../directory/profiles.ts'
import { type Attempt, restart } from '../attempt.ts'
import type { Word } from '../form.ts'
import { goOn } from '../go-on.ts'
import { getMethod } from '../methods/index.ts'
import { proofOf } from '../prove.ts'
import * as registration from '../registration.ts'
import { sentTooOften } from '../sending.ts'
import { type Action, find, poolOf, type Stage } from '../stage.ts'

/** The form of whoever signs up. */
export const register = async (stage: Stage, action: Action): Promise<Attempt> => {
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

/** The code that proves the address somebody signs up with. */
export const verify = async (stage: Stage, action: Action): Promise<Attempt> => {
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

const secrets = new Set(['password', 'new_password', 'code', 'csrf'])
/** What is kept of a form that has to be shown again: what it asked for, and nothing else that was sent. */
const valuesOf = ({ settings }: Pool, action: Action): Record<string, string> => {
  const asked = ['identifier', ...askedOf(settings.user_schema).map(({ name }) => name)]
  return Object.fromEntries(asked.filter((name) => !secrets.has(name)).map((name) => [name, action[name] ?? '']))
}
