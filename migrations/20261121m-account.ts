import { type Kysely, sql } from 'kysely'

/** Until then a user who asked to be deleted may come back; signing in is enough. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table users add column deletes_at timestamptz`.execute(db)
}
