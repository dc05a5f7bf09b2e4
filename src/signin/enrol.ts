import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { type Attempt, restart } from './attempt.ts'
import { getMethod } from './methods/index.ts'
import { type Enrolling, type Enrolment, heldOf } from './methods/method.ts'
import { passkey } from './methods/passkey.ts'
import { recoveryCode } from './methods/recovery-code.ts'
import { tellOwner } from './notices.ts'
import { changeOwn } from './own-change.ts'
import { putOff } from './passkey-offer.ts'
import { proofOf } from './prove.ts'
import { renewCodes, sealCodes } from './recovery-codes.ts'
import type { Scene } from './scene.ts'
import type { Action, Stage } from './stage.ts'
import type { Step } from './step.ts'

/** Who enrols in an attempt. */
export const enrollingOf = ({ scene, attempt }: Stage, pool: Pool, user: User): Enrolling => ({
  scene,
  pool,
  user,
  boundTo: attempt.id,
})

/** How somebody gets a method; throws on one that nobody gets. */
export const enrolmentOf = (name: string): Enrolment => {
  const { enrol } = getMethod(name)
  if (!enrol) throw new Error(`Nobody enrols for "${name}".`)
  return enrol
}

/** Begins to give somebody a second factor; the attempt keeps what that needs. */
export const beginEnrolment = async (stage: Stage, pool: Pool, method: string): Promise<Attempt> => {
  const { attempt, found } = stage
  if (!found) return restart(attempt)
  return { ...attempt, enrolment: { method, begun: await enrolmentOf(method).begin(enrollingOf(stage, pool, found)) } }
}

/** Applies an answer to the step `enrol`: which factor, or the answer that completes it. */
export const enrol = async (
  stage: Stage,
  pool: Pool,
  { method, methods, optional }: Extract<Step, { do: 'enrol' }>,
  action: Action,
): Promise<Attempt> => {
  const { attempt } = stage
  if (optional && action.action === 'later') return putOff(stage)
  if (action.action === 'other') return { ...attempt, enrolment: undefined }
  if (method) return complete(stage, pool, method, action)
  const wanted = methods.find((name) => name === action.method)
  return wanted ? beginEnrolment(stage, pool, wanted) : { ...attempt, alert: { key: 'alert.answers' } }
}

const complete = async (stage: Stage, pool: Pool, name: string, action: Action): Promise<Attempt> => {
  const { attempt, found, scene } = stage
  const enrolment = enrolmentOf(name)
  const begun = enrolment.begun.safeParse(attempt.enrolment?.begun)
  if (!found || !begun.success) return { ...attempt, enrolment: undefined, alert: { key: 'alert.answers' } }
  const outcome = await enrolment.complete(enrollingOf(stage, pool, found), action, begun.data)
  if (!outcome.ok) return { ...attempt, alert: { key: outcome.why === 'wrong' ? wrongWordOf(name) : 'alert.answers' } }
  const stored = await changeOwn(scene.services, found, (trx) =>
    keepCredential(trx, scene, pool, found, outcome.credential),
  )
  // Another answer at the same time was first: it is the one that goes on.
  if (!stored) return { ...attempt, alert: { key: 'alert.answers' } }
  const { keyring, clock } = scene.services
  const proof = proofOf(getMethod(name), found, clock.now(), outcome)
  const codes = stored.codes ? { codes: sealCodes(keyring, stored.codes, attempt.id) } : {}
  return { ...attempt, enrolment: undefined, proofs: [...attempt.proofs, proof], ...codes }
}

/** What is said where an answer does not complete an enrolment. */
export const wrongWordOf = (name: string): string =>
  name === passkey.name ? 'alert.passkey_not_added' : 'alert.code_wrong'

interface Credential {
  kind: string
  data: Record<string, unknown>
}

/** Keeps a new credential, with recovery codes for whoever has none; undefined where another answer was first. */
export const keepCredential = async (
  trx: Db,
  scene: Scene,
  pool: Pool,
  user: User,
  credential: Credential,
): Promise<{ codes: string[] | undefined } | undefined> => {
  const now = scene.services.clock.now()
  if (!(await credentials.add(trx, now, pool.id, user.id, credential))) return undefined
  await tellOfCredential(trx, scene, user, credential.kind)
  const { second_factor, second_factors } = pool.settings
  const asksSecond = second_factor !== 'off' || user.secondFactorDue
  const isSecond = asksSecond && second_factors.some((one) => one === credential.kind)
  const wants = isSecond && second_factors.includes('recovery_code') && heldOf(user, recoveryCode).length === 0
  return { codes: wants ? await renewCodes(trx, now, pool.id, user.id) : undefined }
}

const tellOfCredential = async (trx: Db, scene: Scene, user: User, kind: string): Promise<void> => {
  const about = { workspaceId: scene.workspace.id, poolId: user.poolId, userId: user.id, clientId: scene.client?.id }
  const data = { by: { kind: 'person', id: user.id }, kind } as const
  await audit.record(trx, scene.services.clock.now(), about, { type: 'user.credential_added', data })
  await tellOwner(trx, scene, user, kind === passkey.name ? 'passkey-added' : 'factor-added')
}

/** Puts new recovery codes in the place of any there were. */
export const replaceCodes = async (trx: Db, scene: Scene, pool: Pool, user: User): Promise<string[]> => {
  await tellOfCredential(trx, scene, user, recoveryCode.name)
  return renewCodes(trx, scene.services.clock.now(), pool.id, user.id)
}

/** Applies an answer to the page of recovery codes: they were kept, or new ones are wanted in the place of the last few. */
export const keepCodes = async (stage: Stage, pool: Pool, action: Action): Promise<Attempt> => {
  const { attempt, found, scene } = stage
  const seen: Attempt = { ...attempt, codes: undefined, codesLeft: undefined }
  if (action.action !== 'renew' || attempt.codesLeft === undefined || !found) return seen
  const { keyring } = scene.services
  const codes = await changeOwn(scene.services, found, (trx) => replaceCodes(trx, scene, pool, found))
  return { ...seen, codes: sealCodes(keyring, codes, attempt.id) }
}
