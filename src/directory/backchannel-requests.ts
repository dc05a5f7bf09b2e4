import type { Db } from '../db/connect.ts'

/** What a client asks of somebody who is not at its place (CIBA Core 1.0); `sealed` is the request as its client knows it. */
export interface BackchannelRequest {
  id: string
  clientId: string
  sealed: string
  createdAt: Date
  expiresAt: Date
}

/** Whose request it is. */
interface Owner {
  workspaceId: string
  poolId: string
  userId: string
}

/** Keeps a request until it is answered or over. */
export const create = async (db: Db, { sealed, ...request }: BackchannelRequest & Owner): Promise<void> => {
  await db
    .insertInto('backchannelRequests')
    .values({ ...request, requestSealed: sealed, answeredAt: null })
    .execute()
}

/** What somebody has not yet answered, the newest first. */
export const listWaiting = async (db: Db, at: Date, owner: Owner): Promise<BackchannelRequest[]> => {
  const rows = await waiting(db, at, owner).orderBy('createdAt', 'desc').limit(50).execute()
  return rows.map(requestFrom)
}

/** One of them; undefined where it is over, answered or somebody else's. */
export const findWaiting = async (
  db: Db,
  at: Date,
  owner: Owner,
  id: string,
): Promise<BackchannelRequest | undefined> => {
  const row = await waiting(db, at, owner).where('id', '=', id).executeTakeFirst()
  return row && requestFrom(row)
}

/** Answers one; of twenty at once one does. */
export const answer = async (db: Db, at: Date, owner: Owner, id: string): Promise<boolean> => {
  const { numUpdatedRows } = await db
    .updateTable('backchannelRequests')
    .set({ answeredAt: at })
    .where('workspaceId', '=', owner.workspaceId)
    .where('poolId', '=', owner.poolId)
    .where('userId', '=', owner.userId)
    .where('id', '=', id)
    .where('answeredAt', 'is', null)
    .where('expiresAt', '>', at)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

const waiting = (db: Db, at: Date, { workspaceId, poolId, userId }: Owner) =>
  db
    .selectFrom('backchannelRequests')
    .select(['id', 'clientId', 'requestSealed', 'createdAt', 'expiresAt'])
    .where('workspaceId', '=', workspaceId)
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('answeredAt', 'is', null)
    .where('expiresAt', '>', at)

const requestFrom = ({
  requestSealed: sealed,
  ...rest
}: Omit<BackchannelRequest, 'sealed'> & { requestSealed: string }): BackchannelRequest => ({ ...rest, sealed })
