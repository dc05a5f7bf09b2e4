import { type Kysely, sql } from 'kysely'

/**
 * Grants that wait for a person. A device code is found by the code that its device shows, kept as a MAC of it; how often
 * its client asks is kept with it, so that every node knows. What a client asks of somebody who is not at its place waits in a table of its own.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table artifacts
      add column user_code text,
      add column polled_at timestamptz,
      add column poll_seconds smallint not null default 5;
    create index artifacts_user_code on artifacts (workspace_id, user_code) where user_code is not null;

    create table backchannel_requests (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      request_sealed text not null,
      pool_id uuid not null,
      user_id uuid not null,
      client_id text not null,
      answered_at timestamptz,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      primary key (workspace_id, id),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index backchannel_requests_user on backchannel_requests (pool_id, user_id);
    create index backchannel_requests_expiry on backchannel_requests (expires_at);
  `.execute(db)
}
