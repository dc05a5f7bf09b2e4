import { type Kysely, sql } from 'kysely'

/** Imports of files as other systems write them: which system, what was left out of them, and what came in without. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table imports
      add column preset text,
      -- Fields that neither the import nor a schema of the pool knows, with how many rows had them.
      add column left_out jsonb not null default '[]',
      add column warned integer not null default 0,
      -- Of the first thousand rows that came in without something.
      add column warnings jsonb not null default '[]';
  `.execute(db)
}
