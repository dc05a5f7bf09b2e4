import type { Attempt } from './attempt.ts'
import { beginEnrolment } from './enrol.ts'
import { getMethod } from './methods/index.ts'
import { policyOf } from './policy.ts'
import { openPool } from './pools/index.ts'
import { sentTooOften } from './sending.ts'
import { askingOf, find, poolOf, type Stage } from './stage.ts'
import { nextStep } from './step.ts'

/** Goes on from a proof: what has to be sent for the next one is sent, and an enrolment without a choice begins. */
export const goOn = async (stage: Stage): Promise<Attempt> => {
  const { scene, attempt, found } = stage
  const step = nextStep(attempt, policyOf(scene, attempt, found))
  const [only, ...others] = step.do === 'another' || step.do === 'enrol' ? step.methods : []
  if (step.do === 'another') return ask({ ...stage, attempt: { ...attempt, method: only } })
  return step.do === 'enrol' && only && others.length === 0 ? beginEnrolment(stage, poolOf(stage), only) : ask(stage)
}

/** Starts the method that comes next, where it has to send something first. */
export const ask = async (stage: Stage, notice?: string): Promise<Attempt> => {
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
  const guest = await openPool(poolOf(stage), scene.services).seek(attempt.identifier, found, scene.ip)
  return { scene, found, attempt: { ...attempt, guest } }
}
