import { type Kysely, sql } from 'kysely'

/** What whoever started an import may give to users, beside groups. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table imports
      add column with_roles boolean not null default false,
      add column with_tenants boolean not null default false,
      -- Whether only what is of the pool exists for them: neither global roles nor tenants that are open to every pool.
      add column of_pool_only boolean not null default true;
  `.execute(db)
}
