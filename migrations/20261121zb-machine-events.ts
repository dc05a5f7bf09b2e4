import { type Kysely, sql } from 'kysely'

/**
 * Tokens of machines leave events by default, many of them written at once. Whoever wanted all of them until now had each
 * in a commit before its token, and keeps that; `people` was the default, which nobody had to choose.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    update workspaces set settings = settings || '{"machine_events": "committed"}' where settings ->> 'token_events' = 'all';
    update workspaces set settings = settings || '{"token_events": "all"}' where settings ->> 'token_events' = 'people';
  `.execute(db)
}
