import { type Kysely, sql } from 'kysely'

/** Everybody has at most one authenticator and one set of recovery codes, however many answers come at once. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create unique index credentials_one_totp on credentials (pool_id, user_id) where kind = 'totp';
    create unique index credentials_one_set_of_codes on credentials (pool_id, user_id) where kind = 'recovery_code';
  `.execute(db)
}
