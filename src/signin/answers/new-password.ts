import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import { passwordPolicyOf } from '../../directory/pool-settings.ts'
import { type Attempt, restart } from '../attempt.ts'
import { contextOf, heldBy, refusePassword, refuseUsed } from '../passwords.ts'
import { passwordHashOf } from '../pools/local.ts'
import { type Action, poolOf, type Stage } from '../stage.ts'

/** A password that was set by somebody else, has expired or is known to others gives way to a new one. */
export const changePassword = async (stage: Stage, action: Action): Promise<Attempt> => {
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
