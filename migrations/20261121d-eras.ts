import { type Kysely, sql } from 'kysely'

/** How often everything of a user was ended: what was begun in an earlier era is worth nothing, whenever it is stored. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table users add column era integer not null default 0;
    alter table artifacts add column era integer not null default 0;
  `.execute(db)
}
