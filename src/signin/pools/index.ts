import type { Pool } from '../../directory/pools.ts'
import type { Services } from '../../services.ts'
import { external } from './external.ts'
import { federated } from './federated.ts'
import { local } from './local.ts'
import type { HomePool } from './pool.ts'

/** Opens a pool by its kind. A new kind is a file in this folder and a line here. */
export const openPool = (pool: Pool, services: Services): HomePool => {
  if (pool.kind === 'local') return local(pool, services)
  if (pool.kind === 'external') return external(pool, services)
  return federated(pool, services)
}
