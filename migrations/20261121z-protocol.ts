import { type Kysely, sql } from 'kysely'

/** What pairwise subjects are made with. It never changes, as SECRETS does: people would become others. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table workspaces add column pairwise_salt text not null
      default encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'hex');
  `.execute(db)
}
