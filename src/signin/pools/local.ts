import * as credentials from '../../directory/credentials.ts'
import * as deletions from '../../directory/deletions.ts'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { Services } from '../../services.ts'
import { heldBy, isKnownToOthers, mustGiveWay } from '../passwords.ts'
import type { Checked, HomePool } from './pool.ts'

/** A pool whose users live here. Anyone who is not active is a stranger: same pages, same words, same time. */
export const local = (pool: Pool, services: Services): HomePool => ({
  identify: async (identifier, found) =>
    found?.status === 'active' ? { is: 'user', identifier, user: found } : { is: 'stranger', identifier },

  seek: async () => undefined,

  async checkPassword(subject, password): Promise<Checked> {
    const { passwords, clock } = services
    const own = subject.is === 'user' ? passwordHashOf(subject.user) : undefined
    if (!(await passwords.verify(own, password)) || own === undefined) return { is: 'wrong' }
    if (subject.is === 'user' && mustGiveWay(clock.now(), pool, subject.user)) return mustChange
    if (!passwords.needsRehash(own)) return { is: 'right', evidence: {} }
    // What another system let pass is looked at here for the first time.
    if (!own.startsWith('$argon2') && (await isKnownToOthers(services, pool, password))) return mustChange
    return { is: 'right', evidence: { passwordHash: await passwords.hash(password) } }
  },

  settle: async (subject) => (subject.is === 'user' ? subject.user : undefined),

  async admit({ user }, { passwordHash }) {
    const { db, passwords, clock } = services
    if (user.deletesAt) await deletions.cancel(db, clock.now(), pool.id, user.id)
    const from = passwordHashOf(user)
    if (passwordHash && from && passwords.needsRehash(from))
      await credentials.strengthenPassword(db, pool.id, user.id, { from, to: passwordHash })
    return user
  },
})

const mustChange: Checked = { is: 'right', evidence: { mustChange: true } }

/** The hash of somebody's password, if they have one. */
export const passwordHashOf = (user: User): string | undefined => heldBy(user).hash
