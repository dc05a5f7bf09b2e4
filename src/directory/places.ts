import type { Db } from '../db/connect.ts'
import type { Place } from '../db/hot.ts'

/** How long it is kept where somebody signed in from; after that nothing tells that they were there. */
export const keptDays = 90

/** Where somebody signed in from, the latest first; what has expired may be among it until it is swept. */
export const list = async (db: Db, poolId: string, userId: string): Promise<Place[]> => {
  const rows = await db
    .selectFrom('places')
    .select(['network', 'country', 'latitude', 'longitude', 'at'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .orderBy('at', 'desc')
    .execute()
  return rows.map(({ at, ...place }) => ({ ...place, at: at.toISOString() }))
}
