import type { Pool } from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { local } from './local.ts'
import type { HomePool } from './pool.ts'

/** Opens a pool by its kind. A new kind is a file in this folder and a line here. */
export const openPool = (pool: Pool, services: Services): HomePool => {
  if (pool.kind === 'local') return local(pool, services)
  throw new Problem('unavailable', { detail: 'This kind of pool cannot be signed in to.' })
}
