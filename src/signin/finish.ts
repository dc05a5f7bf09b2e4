import type { Acr } from '../directory/acr.ts'
import * as audit from '../directory/audit.ts'
import type { Learnt } from '../directory/contexts.ts'
import type { User } from '../directory/users.ts'
import { keepLink } from './arrive.ts'
import { arrived, riskIn } from './assess.ts'
import { learntIn } from './learnt.ts'
import { connectionOf, policyOf } from './policy.ts'
import { claimsIn } from './post-authentication.ts'
import { forgiveFailures } from './prove.ts'
import { askingOf, type Stage } from './stage.ts'
import { nextStep } from './step.ts'
import { sessionProof } from './strength.ts'

/** Somebody who is let in: how, how surely, and when they last proved something. */
export interface Entry {
  user: User
  amr: string[]
  acr: Acr
  at: Date
  /** What the operator's script and application want told of this sign-in, where there is either. */
  said?: Record<string, unknown>
  /** What was told of them outside, where the connection keeps it. */
  learnt?: Learnt | undefined
}

/**
 * Lets in whoever proved enough: undefined where they may not come in any more (disabled in the meantime). What has to
 * be written goes into the request's work.
 */
export const finish = async (stage: Stage): Promise<Entry | undefined> => {
  const { scene, attempt, found } = stage
  const asking = await askingOf(stage)
  const { home, pool, subject } = asking
  const now = scene.services.clock.now()
  const about = { workspaceId: scene.workspace.id, poolId: pool.id, clientId: scene.client?.id }
  const step = nextStep(attempt, policyOf(scene, attempt, found))
  if (subject.is !== 'user' || step.do !== 'finish') {
    scene.work.events.push(audit.event(now, about, { type: 'sign_in.refused', data: { why: 'not_active' } }))
    return undefined
  }
  await keepLink(scene, attempt, subject.user)
  const user = await home.admit(subject, attempt.evidence)
  // A session that was looked at and found to be all there can be is no new sign-in.
  if (attempt.proofs.some(({ method }) => method !== sessionProof)) {
    forgiveFailures(asking)
    tell(stage, user, now)
    await arrived(stage, pool, user)
  }
  const at = new Date(Math.max(...attempt.proofs.map((proof) => proof.at)))
  const connection = connectionOf(scene, attempt)
  const { script, application } = connection?.postAuthentication ?? {}
  const said = script || application ? { said: claimsIn(scene.services.keyring, attempt) } : {}
  const learnt = connection && learntIn(scene.services.keyring, attempt, connection)
  return { user, amr: connection?.amr ?? step.amr, acr: step.acr, at, learnt, ...said }
}

/** Writes down that somebody cannot prove what is asked of them. */
export const refuseUnmet = ({ scene, found }: Stage): void => {
  const about = {
    workspaceId: scene.workspace.id,
    poolId: found?.poolId,
    userId: found?.id,
    clientId: scene.client?.id,
  }
  const refused = { type: 'sign_in.refused', data: { why: 'unmet_authentication_requirements' } } as const
  scene.work.events.push(audit.event(scene.services.clock.now(), about, refused))
}

const tell = ({ scene, attempt }: Stage, user: User, now: Date): void => {
  const methods = attempt.proofs.map(({ method }) => method)
  const about = { workspaceId: scene.workspace.id, poolId: user.poolId, clientId: scene.client?.id, userId: user.id }
  const data = { methods, interaction: attempt.id, ...riskIn(attempt) }
  scene.work.signedIn.push({ poolId: user.poolId, userId: user.id, at: now })
  scene.work.events.push(audit.event(now, about, { type: 'sign_in.succeeded', data }))
  scene.services.metrics.signIn('succeeded', methods.join('+'))
}
