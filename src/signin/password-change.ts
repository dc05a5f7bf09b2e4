import type { Db } from '../db/connect.ts'
import * as audit from '../directory/audit.ts'
import * as credentials from '../directory/credentials.ts'
import { post } from '../directory/outbox.ts'
import { passwordPolicyOf } from '../directory/pool-settings.ts'
import type { Pool } from '../directory/pools.ts'
import * as users from '../directory/users.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import * as challenges from './challenges.ts'
import type { Word } from './form.ts'
import { forgive, take } from './limits.ts'
import { contextOf, heldBy, refusePassword, refuseUsed } from './passwords.ts'

/** A change of password by whoever knows the old one. */
interface Asked {
  oldPassword: string
  newPassword: string
  /** Whether they were told that the new one is known from a leak. */
  warned: boolean
}

interface Around {
  by: audit.By
  /** Whose name the owner is told in; nobody is told where the pool has no workspace. */
  workspace: Workspace | undefined
  lang: string
  /** What ends with the old password; everything where it is not said. */
  end?(trx: Db): Promise<void>
}

/**
 * Puts a new password in the place of the old one. Guesses at the old one are counted with those of the sign-in, before
 * it is looked at; of twenty right ones at once, one changes it.
 */
export const changePassword = async (
  services: Services,
  pool: Pool,
  user: users.User,
  { oldPassword, newPassword, warned }: Asked,
  around: Around,
): Promise<'done' | 'wrong' | 'too-many' | { weak: Word }> => {
  const { db, clock, passwords } = services
  const counter = { kind: 'account', scope: pool.id, who: user.id } as const
  if (!(await take(db, clock.now(), [counter]))) return 'too-many'
  const held = heldBy(user)
  if (!(await passwords.verify(held.hash, oldPassword)) || held.hash === undefined) {
    const failed = { type: 'user.password_change_failed', data: { by: around.by } } as const
    await audit.record(db, clock.now(), { poolId: pool.id, userId: user.id }, failed)
    return 'wrong'
  }
  await forgive(db, pool.id, user.id)
  const weak =
    (await refusePassword(services, pool, { password: newPassword, context: contextOf(user), warned })) ??
    (await refuseUsed(services, pool, held, newPassword))
  if (weak) return { weak }
  const to = await passwords.hash(newPassword)
  return (await replace(services, pool, user, { from: held.hash, to }, around)) ? 'done' : 'wrong'
}

const replace = (
  services: Services,
  pool: Pool,
  { id }: users.User,
  { from, to }: { from: string; to: string },
  around: Around,
): Promise<boolean> =>
  services.db.transaction().execute(async (trx) => {
    const at = services.clock.now()
    const { history } = passwordPolicyOf(pool.settings)
    if (!(await credentials.replacePassword(trx, at, pool.id, id, { from, to, history }))) return false
    await (around.end ? around.end(trx) : users.endEverything(trx, pool.id, id))
    await challenges.endAll(trx, at, pool.id, id)
    const about = { workspaceId: around.workspace?.id, poolId: pool.id, userId: id }
    await audit.record(trx, at, about, { type: 'user.password_set', data: { by: around.by, must_change: false } })
    await tell(trx, services, id, around)
    return true
  })

const tell = async (trx: Db, services: Services, id: string, { workspace, lang }: Around): Promise<void> => {
  const known = (await users.findById(trx, id))?.identifiers.filter(({ kind }) => kind === 'email') ?? []
  const to = (known.find(({ verified }) => verified) ?? known[0])?.value
  if (!workspace || to === undefined) return
  const note = { to, channel: 'email', template: 'password-changed', values: {} } as const
  await post(trx, { services, workspace, lang }, note)
}
