import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as links from './links.ts'

/** What a password credential holds; hashes are PHC strings, or those that other systems made. */
export interface PasswordData {
  hash: string
  /** When it was chosen, as RFC 3339. */
  changed_at?: string
  /** It lets its owner in no further than to a new one. */
  must_change?: true
  /** Hashes of those before it, the newest first. */
  previous?: string[]
}

export const newPassword = (at: Date, hash: string): PasswordData => ({ hash, changed_at: at.toISOString() })

interface Keeping {
  /** Whether it only leads on to a new one. */
  mustChange?: boolean
  /** How many earlier passwords are remembered; those beyond are forgotten for good. */
  history?: number
}

/** Sets a user's one password; `hash` is a PHC string. */
export const setPassword = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  hash: string,
  { mustChange = false, history = 0 }: Keeping = {},
): Promise<void> => {
  const data = { ...newPassword(at, hash), ...(mustChange ? { must_change: true } : {}) }
  await sql`
    insert into credentials (pool_id, id, user_id, kind, data, created_at)
    values (${poolId}, ${uuidv7(at)}, ${userId}, 'password', ${JSON.stringify(data)}::jsonb, ${at})
    on conflict (pool_id, user_id) where kind = 'password'
    do update set data = excluded.data || ${previousOf(history)}, created_at = excluded.created_at`.execute(db)
}

/** Puts a new password in the place of the one before. Answers false where that was changed in the meantime. */
export const replacePassword = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { from, to, history }: { from: string; to: string; history: number },
): Promise<boolean> => {
  const { numUpdatedRows } = await db
    .updateTable('credentials')
    .set({ data: sql<string>`${JSON.stringify(newPassword(at, to))}::jsonb || ${previousOf(history)}`, createdAt: at })
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'password')
    .where(sql<string>`data ->> 'hash'`, '=', from)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Keeps a password under a stronger hash; nothing happens where it was changed in the meantime. */
export const strengthenPassword = async (
  db: Db,
  poolId: string,
  userId: string,
  { from, to }: { from: string; to: string },
): Promise<void> => {
  await db
    .updateTable('credentials')
    .set({ data: sql<string>`data || ${JSON.stringify({ hash: to })}::jsonb` })
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'password')
    .where(sql<string>`data ->> 'hash'`, '=', from)
    .execute()
}

/** Takes away every credential and link of a user, for an address whose owner has only now proven it. */
export const removeAll = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await links.removeAll(db, poolId, userId)
  await db.deleteFrom('credentials').where('poolId', '=', poolId).where('userId', '=', userId).execute()
}

/** What a user can prove themselves with, without what proves it. */
export const list = (db: Db, poolId: string, userId: string) =>
  db
    .selectFrom('credentials')
    .select(['id', 'kind', 'createdAt', 'usedAt'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .orderBy('id')
    .execute()

/** Takes one credential away; answers its kind, or undefined where there is none. */
export const remove = async (db: Db, poolId: string, userId: string, id: string): Promise<string | undefined> => {
  const row = await db
    .deleteFrom('credentials')
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('id', '=', id)
    .returning('kind')
    .executeTakeFirst()
  return row?.kind
}

/** What the replaced row hands on: its own hash and those before it, as many as are remembered. */
const previousOf = (history: number) => sql`coalesce((
  select jsonb_build_object('previous', jsonb_agg(hash order by age))
  from jsonb_array_elements(
    jsonb_build_array(credentials.data -> 'hash') || coalesce(credentials.data -> 'previous', '[]')
  ) with ordinality as one (hash, age) where age <= ${history}
  having count(*) > 0), '{}')`

/** Gives a user one more credential. Answers false where they have one already, of a kind that everybody has but one of. */
export const add = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { kind, data }: { kind: string; data: Record<string, unknown> },
): Promise<boolean> => {
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('credentials')
    .values({ poolId, id: uuidv7(at), userId, kind, data: JSON.stringify(data), createdAt: at })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return (numInsertedOrUpdatedRows ?? 0n) > 0n
}

/** Moves an authenticator on to a step. Answers false where it has come as far already: of twenty at once, one is right. */
export const useStep = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { id, step }: { id: string; step: number },
): Promise<boolean> => {
  const { numAffectedRows } = await sql`
    update credentials set data = jsonb_set(data, '{step}', to_jsonb(${step}::bigint)), used_at = ${at}
    where pool_id = ${poolId} and user_id = ${userId} and id = ${id} and kind = 'totp'
      and (data ->> 'step')::bigint < ${step}::bigint`.execute(db)
  return (numAffectedRows ?? 0n) > 0n
}

/** Puts new recovery codes in the place of a user's old ones; of a code only its hash is kept. */
export const setCodes = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  hashes: readonly string[],
): Promise<void> => {
  await sql`
    insert into credentials (pool_id, id, user_id, kind, data, created_at)
    values (${poolId}, ${uuidv7(at)}, ${userId}, 'recovery_code', ${JSON.stringify({ codes: hashes })}::jsonb, ${at})
    on conflict (pool_id, user_id) where kind = 'recovery_code'
    do update set data = excluded.data, created_at = excluded.created_at, used_at = null`.execute(db)
}

/** Uses a recovery code up and answers how many are left; undefined where there is none like it. One atomic statement. */
export const useCode = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  hash: string,
): Promise<number | undefined> => {
  const { rows } = await sql<{ left: number }>`
    update credentials set data = jsonb_set(data, '{codes}', (data -> 'codes') - ${hash}::text), used_at = ${at}
    where pool_id = ${poolId} and user_id = ${userId} and kind = 'recovery_code'
      and jsonb_exists(data -> 'codes', ${hash})
    returning jsonb_array_length(data -> 'codes') as left`.execute(db)
  return rows[0]?.left
}

/** Remembers a browser, and forgets those of an earlier era, those of too long ago, and all but the latest twenty. */
export const addDevice = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  { hash, era, forgetBefore }: { hash: string; era: number; forgetBefore: Date },
): Promise<void> => {
  const data = JSON.stringify({ hash, era, at: at.toISOString() })
  await sql`
    with forgotten as (
      delete from credentials where pool_id = ${poolId} and user_id = ${userId} and kind = 'device'
        and ((data ->> 'era')::int <> ${era}::int or created_at < ${forgetBefore} or id not in (
          select id from credentials where pool_id = ${poolId} and user_id = ${userId} and kind = 'device'
          order by id desc limit 19))
    )
    insert into credentials (pool_id, id, user_id, kind, data, created_at)
    values (${poolId}, ${uuidv7(at)}, ${userId}, 'device', ${data}::jsonb, ${at})`.execute(db)
}
