import type { Db } from '../db/connect.ts'
import { findForUpdate, type UserRecord } from '../directory/user-records.ts'
import type { User } from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'

/**
 * Changes something of somebody as they ask, in a transaction in which nobody else changes them. Throws `expired` where
 * everything of theirs was ended since they were read: what a recovery has overtaken comes too late.
 */
export const changeOwn = <Result>(
  { db }: Pick<Services, 'db'>,
  { poolId, id, era }: Pick<User, 'poolId' | 'id' | 'era'>,
  change: (trx: Db, before: UserRecord) => Promise<Result>,
): Promise<Result> =>
  db.transaction().execute(async (trx) => {
    const before = await findForUpdate(trx, poolId, id)
    const now = await trx
      .selectFrom('users')
      .select('era')
      .where('poolId', '=', poolId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (before?.status !== 'active' || now?.era !== era) throw new Problem('expired')
    return change(trx, before)
  })
