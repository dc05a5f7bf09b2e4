import { type Kysely, sql } from 'kysely'

/**
 * Names in the order in which a search shows them. Without the id, everybody who shares a name was read and sorted for
 * each page: among a million users, a tenth of a second for a name that one in a hundred has.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    drop index users_names;
    drop index users_given_names;
    create index users_names on users (pool_id, lower(profile ->> 'family_name') text_pattern_ops, id)
      where profile ? 'family_name';
    create index users_given_names on users (pool_id, lower(profile ->> 'given_name') text_pattern_ops, id)
      where profile ? 'given_name';
  `.execute(db)
}
