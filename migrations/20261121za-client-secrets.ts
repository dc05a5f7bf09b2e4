import { type Kysely, sql } from 'kysely'

/** Secrets of clients that sign with them (client_secret_jwt): only for these the secret itself is kept, sealed. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table clients add column sealed_secret text,
      add column previous_sealed_secret text;
  `.execute(db)
}
