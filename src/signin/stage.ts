import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import type { Attempt } from './attempt.ts'
import type { Asking } from './methods/method.ts'
import { connectionOf } from './policy.ts'
import { openPool } from './pools/index.ts'
import type { Scene } from './scene.ts'

/** What a form sent: its fields, each once, as text. */
export type Action = Record<string, string>

/** Everything that an answer is applied to. `found` is whoever goes by the attempt's identifier. */
export interface Stage {
  scene: Scene
  attempt: Attempt
  found: users.User | undefined
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

/** Who is asked to prove themselves in this attempt. Throws where the pool was disconnected in the meantime. */
export const askingOf = async (stage: Stage): Promise<Asking> => {
  const { scene, attempt, found } = stage
  if (!attempt.identifier) throw new Problem('expired')
  const pool = poolOf(stage)
  const home = openPool(pool, scene.services)
  return { scene, attempt, pool, home, subject: await home.identify(attempt.identifier, found, attempt.guest) }
}

/** The pool of an attempt. Throws where it was disconnected in the meantime. */
export const poolOf = ({ scene, attempt }: Stage): Pool => {
  const connection = connectionOf(scene, attempt)
  if (!connection) throw new Problem('expired')
  return connection.pool
}
