import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { enqueue } from '../platform/jobs.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import * as operators from './operators.ts'
import * as changes from './user-changes.ts'
import * as records from './user-records.ts'
import * as users from './users.ts'

/** The job that deletes whoever did not change their mind. */
export const task = 'delete_user'

const asked = z.object({ poolId: z.string(), userId: z.string() })

const dayMs = 86_400_000

/**
 * Deletes a user who asks for it, whom `findForUpdate` has read: at once, or after so many days, until when signing in
 * takes it back. Everything of theirs ends either way. Throws `conflict` where nobody would own the installation.
 */
export const request = async (db: Db, at: Date, user: records.UserRecord, days: number): Promise<void> => {
  const { poolId, id: userId } = user
  const by = { kind: 'person', id: userId } as const
  if (days === 0) return changes.remove(db, at, user, by)
  await operators.keepAnOwner(db, poolId, userId)
  const deletesAt = new Date(at.getTime() + days * dayMs)
  await db.updateTable('users').set({ deletesAt }).where('poolId', '=', poolId).where('id', '=', userId).execute()
  await users.endEverything(db, poolId, userId)
  const data = { by, deletes_at: deletesAt.toISOString() }
  await audit.record(db, at, { poolId, userId }, { type: 'user.deletion_requested', data })
  await enqueue(db, task, { poolId, userId }, { runAt: deletesAt, jobKey: `${task}:${userId}` })
}

/** Takes a deletion back, for whoever signs in before its time; of twenty sign-ins at once, one does. */
export const cancel = (db: Db, at: Date, poolId: string, userId: string): Promise<void> =>
  db.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('users')
      .set({ deletesAt: null })
      .where('poolId', '=', poolId)
      .where('id', '=', userId)
      .where('deletesAt', 'is not', null)
      .executeTakeFirst()
    if (numUpdatedRows === 0n) return
    const data = { by: { kind: 'person', id: userId } } as const
    await audit.record(trx, at, { poolId, userId }, { type: 'user.deletion_cancelled', data })
  })

/** The job itself. One that comes too early, by another clock, throws, and so is tried again. */
export const finish =
  ({ db, clock }: Pick<Services, 'db' | 'clock'>) =>
  async (payload: unknown): Promise<void> => {
    const { poolId, userId } = asked.parse(payload)
    await db.transaction().execute(async (trx) => {
      const user = await records.findForUpdate(trx, poolId, userId)
      const deletesAt = await findTime(trx, poolId, userId)
      if (!user || !deletesAt || user.status === 'deleted') return
      if (deletesAt > clock.now()) throw new Error('It is too early to delete this user.')
      await changes.remove(trx, clock.now(), user, { kind: 'person', id: userId })
    })
  }

const findTime = async (db: Db, poolId: string, userId: string): Promise<Date | null | undefined> =>
  (
    await db
      .selectFrom('users')
      .select('deletesAt')
      .where('poolId', '=', poolId)
      .where('id', '=', userId)
      .executeTakeFirst()
  )?.deletesAt
