import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import type { Identifier } from './identifiers.ts'
import type { UserRecord } from './user-records.ts'

type Wanted = Identifier & { verified: boolean }

/** Gives a user identifiers. Throws `conflict` on one that somebody goes by. */
export const add = async (db: Db, at: Date, poolId: string, userId: string, identifiers: Wanted[]): Promise<void> => {
  if (identifiers.length === 0) return
  const added = await insert(
    db,
    at,
    poolId,
    identifiers.map((one) => ({ ...one, userId })),
  )
  const missing = identifiers.find(({ kind, value }) => !added.some((one) => one.kind === kind && one.value === value))
  if (missing) throw new Problem('conflict', { detail: `Somebody of the pool goes by "${missing.typed}" already.` })
}

/** Writes what users are to go by, where nobody of the pool does; answers those that were free. */
export const insert = async (
  db: Db,
  at: Date,
  poolId: string,
  named: (Wanted & { userId: string })[],
): Promise<Pick<Identifier, 'kind' | 'value'>[]> => {
  const rows = named.map(({ userId, kind, value, typed, verified }) => ({
    poolId,
    userId,
    kind,
    value,
    typed,
    verifiedAt: verified ? at : null,
    createdAt: at,
  }))
  return (
    db
      .insertInto('identifiers')
      // In one order everywhere, so that two who want the same ones do not wait for each other.
      .values(rows.toSorted((one, other) => (one.value < other.value ? -1 : 1)))
      .onConflict((conflict) => conflict.doNothing())
      .returning(['kind', 'value'])
      .execute()
  )
}

/** Takes from a user what they are not to go by, and gives them what they are. Throws `conflict` as `add` does. */
export const replace = async (
  db: Db,
  at: Date,
  { poolId, id, identifiers: known }: Pick<UserRecord, 'poolId' | 'id' | 'identifiers'>,
  wanted: Wanted[],
): Promise<void> => {
  const same = (one: { kind: string; value: string; verified: boolean }, other: typeof one) =>
    one.kind === other.kind && one.value === other.value && one.verified === other.verified
  const gone = known.filter((one) => !wanted.some((other) => same(one, other)))
  for (const { kind, value } of gone)
    await db
      .deleteFrom('identifiers')
      .where('poolId', '=', poolId)
      .where('userId', '=', id)
      .where('kind', '=', kind)
      .where('value', '=', value)
      .execute()
  const added = wanted.filter((one) => !known.some((other) => same(one, other)))
  await add(db, at, poolId, id, added)
}
