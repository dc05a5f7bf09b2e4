import { type Kysely, sql } from 'kysely'

/** A passkey belongs to one user of one pool, whoever else brings its id (WebAuthn L3 section 7.1 step 27). */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create unique index credentials_one_owner on credentials ((data ->> 'credential_id')) where kind = 'passkey'
  `.execute(db)
}
