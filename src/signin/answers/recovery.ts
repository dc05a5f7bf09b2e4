import { type Attempt, restart } from '../attempt.ts'
import type { Word } from '../form.ts'
import * as recovery from '../recovery.ts'
import { type Action, poolOf, type Stage } from '../stage.ts'

/** Whom a forgotten password is of. */
export const recover = async (stage: Stage, action: Action): Promise<Attempt> => {
  const { scene, attempt } = stage
  const typed = action.identifier ?? ''
  const outcome = await recovery.begin(scene, poolOf(stage), typed, attempt.id)
  const errors: Record<string, Word> = 'error' in outcome ? { identifier: outcome.error } : {}
  const draft = { view: 'recover', values: { identifier: typed }, errors } as const
  if ('error' in outcome) return { ...attempt, draft }
  if ('alert' in outcome) return { ...attempt, draft, alert: outcome.alert }
  return { ...restart(attempt), pool: poolOf(stage).id, identifier: outcome.identifier, recovery: outcome }
}

/** The code that was sent, with a new password. */
export const reset = async (stage: Stage, action: Action): Promise<Attempt> => {
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
