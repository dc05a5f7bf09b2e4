import type { Pool } from '../directory/pools.ts'
import type { User } from '../directory/users.ts'
import { getMethod } from './methods/index.ts'
import { isAway } from './pools/federated.ts'
import type { Scene } from './scene.ts'

/** Whether somebody can sign in to a workspace by themselves: at their pool's upstream, or by a method of ours. */
export const hasOwnWay = (scene: Scene, pool: Pool, user: User): boolean =>
  isAway(pool) ||
  user.identifiers.some((identifier) =>
    pool.settings.sign_in_methods.some((name) =>
      getMethod(name).offered({ scene, pool, subject: { is: 'user', identifier, user } }),
    ),
  )
