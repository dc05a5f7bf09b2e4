import { type Kysely, sql } from 'kysely'

/**
 * Pools whose people live elsewhere: where that is, and what is kept of whoever came from there. A tombstone holds what
 * somebody deleted went by, as a hash: their source may still know them, and must not bring them back.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table pools
      add column source jsonb,
      add column upstream jsonb,
      add constraint pools_source check ((kind = 'external') = (source is not null)),
      add constraint pools_upstream check ((kind = 'federated') = (upstream is not null));

    alter table users
      add column source text check (length(source) between 1 and 100),
      add column migrated_at timestamptz,
      add column second_factor_due boolean not null default false;

    create table tombstones (
      pool_id uuid not null references pools on delete cascade,
      kind text not null,
      value_hash text not null,
      user_id uuid not null,
      created_at timestamptz not null default now(),
      primary key (pool_id, kind, value_hash)
    );
    create index tombstones_user on tombstones (pool_id, user_id);
  `.execute(db)
}
