import * as credentials from '../../directory/credentials.ts'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { Services } from '../../services.ts'
import type { HomePool } from './pool.ts'

/** A pool whose users live here. Anyone who is not active is a stranger: same pages, same words, same time. */
export const local = (pool: Pool, { db, passwords, clock }: Services): HomePool => ({
  identify: async (identifier, found) =>
    found?.status === 'active' ? { is: 'user', identifier, user: found } : { is: 'stranger', identifier },

  async checkPassword(subject, password) {
    const own = subject.is === 'user' ? passwordHashOf(subject.user) : undefined
    if (!(await passwords.verify(own, password)) || own === undefined) return undefined
    if (subject.is === 'user' && mustChange(subject.user)) return { mustChange: true }
    return passwords.needsRehash(own) ? { passwordHash: await passwords.hash(password) } : {}
  },

  async admit({ user }, { passwordHash }) {
    if (passwordHash) await credentials.setPassword(db, clock.now(), pool.id, user.id, passwordHash)
    return user
  },
})

const mustChange = ({ credentials: held }: User): boolean =>
  held.some(({ kind, data }) => kind === 'password' && data.must_change === true)

/** The hash of somebody's password, if they have one. */
export const passwordHashOf = ({ credentials: held }: User): string | undefined => {
  const hash = held.find(({ kind }) => kind === 'password')?.data.hash
  return typeof hash === 'string' ? hash : undefined
}
