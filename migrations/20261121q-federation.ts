import { type Kysely, sql } from 'kysely'

/**
 * People who prove who they are elsewhere. A departure is one way there and back: what is kept of it is sealed, and what
 * the browser brought back is sealed under a key that only this browser has. A link lets an identity of a federated pool
 * in as a user of another one. `seen_once` holds what may never come a second time, such as assertions.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table departures (
      workspace_id uuid not null,
      connection_id uuid not null,
      state_hash text not null,
      bound_to text not null,
      back text not null,
      kept_sealed text not null,
      answer_sealed text,
      answer_hash text,
      consumed_at timestamptz,
      expires_at timestamptz not null,
      primary key (connection_id, state_hash),
      foreign key (workspace_id, connection_id) references connections on delete cascade
    );
    create index departures_answer on departures (workspace_id, answer_hash) where answer_hash is not null;
    create index departures_expiry on departures (expires_at);

    create table links (
      pool_id uuid not null references pools on delete cascade,
      subject text not null check (length(subject) between 1 and 255),
      home_pool_id uuid not null,
      user_id uuid not null,
      label text not null default '',
      linked_at timestamptz not null default now(),
      primary key (pool_id, subject),
      foreign key (home_pool_id, user_id) references users on delete cascade
    );
    create unique index links_user on links (home_pool_id, user_id, pool_id);

    create table seen_once (
      key text primary key,
      expires_at timestamptz not null
    );
    create index seen_once_expiry on seen_once (expires_at);

    create table upstream_sessions (
      workspace_id uuid not null,
      id text not null,
      connection_id uuid not null,
      session_sealed text not null,
      expires_at timestamptz not null,
      primary key (workspace_id, id),
      foreign key (workspace_id, connection_id) references connections on delete cascade
    );
    create index upstream_sessions_expiry on upstream_sessions (expires_at);
  `.execute(db)
}
