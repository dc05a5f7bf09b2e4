import * as audit from '../directory/audit.ts'
import type { User } from '../directory/users.ts'
import { askingOf, type Stage } from './advance.ts'
import { connectionOf } from './policy.ts'

/**
 * Lets in whoever proved enough: undefined where they may not come in any more (disabled in the meantime). What has to
 * be written goes into the request's work.
 */
export const finish = async (stage: Stage, amr: string[]): Promise<{ user: User; amr: string[] } | undefined> => {
  const { scene, attempt } = stage
  const { home, pool, subject } = await askingOf(stage)
  const now = scene.services.clock.now()
  const about = { workspaceId: scene.workspace.id, poolId: pool.id, clientId: scene.client?.id }
  if (subject.is !== 'user') {
    scene.work.events.push(audit.event(now, about, { type: 'sign_in.refused', data: { why: 'not_active' } }))
    return undefined
  }
  const user = await home.admit(subject, attempt.evidence)
  const methods = attempt.proofs.map(({ method }) => method)
  scene.work.signedIn.push({ poolId: pool.id, userId: user.id, at: now })
  scene.work.events.push(
    audit.event(
      now,
      { ...about, userId: user.id },
      { type: 'sign_in.succeeded', data: { methods, interaction: attempt.id } },
    ),
  )
  scene.services.metrics.signIn('succeeded', methods.join('+'))
  return { user, amr: connectionOf(scene, attempt)?.amr ?? amr }
}
