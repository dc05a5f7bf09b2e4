import { type Kysely, sql } from 'kysely'

/** Two secrets at a time, client ids that never come back, and events by type and by pool. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table clients add column previous_secret_hash text,
      add check (previous_secret_hash is null or secret_hash is not null);

    -- What a deleted client was granted lives until it expires: a new client of that name would inherit it.
    create table retired_clients (
      workspace_id uuid not null references workspaces on delete cascade,
      id text not null,
      primary key (workspace_id, id)
    );

    -- With all that is needed to count, so that counting reads the index alone.
    create index events_type on events (type, id) include (workspace_id, pool_id, at);
    create index events_pool on events (pool_id, id) where pool_id is not null;
  `.execute(db)
}
