import { type Kysely, sql } from 'kysely'

export const up = async (db: Kysely<unknown>): Promise<void> => {
  // What sign-ins have learnt of a user, for when everything of theirs ends.
  await sql`create index artifacts_contexts on artifacts (pool_id, user_id) where kind = 'Context'`.execute(db)
}
