import type { PoolSource } from '../directory/pool-source.ts'
import * as pools from '../directory/pools.ts'
import { Problem } from '../platform/problem.ts'
import { getChangeablePool, getPool } from './reach.ts'
import type { Call } from './route.ts'

/** A call about a pool. */
export type PoolCall = Pick<Call<{ pool: string }, unknown, unknown>, 'services' | 'actor' | 'params' | 'at'>

/** The external pool of a call. Throws `not_found`, and `conflict` where its people live nowhere else. */
export const getExternal = async (call: PoolCall, get = getPool): Promise<pools.Pool & { source: PoolSource }> => {
  const pool = await get(call, call.params.pool)
  const { source } = pool
  if (!source) throw new Problem('conflict', { detail: 'This pool has no source: its people live here.' })
  return { ...pool, source }
}

/** The same where people come over for good. Throws `conflict` where they stay. */
export const getMigrating = async (call: PoolCall) => {
  const pool = await getExternal(call, getChangeablePool)
  if (pools.staysElsewhere(pool))
    throw new Problem('conflict', {
      detail: 'People of this pool stay at their source: set its mode to migrate first.',
    })
  return pool
}
