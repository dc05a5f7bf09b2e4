import { type Kysely, sql } from 'kysely'

/** Users that come from elsewhere: each import with how far it is, its rows until they are worked on. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table users add column external_id text check (length(external_id) between 1 and 255);
    create unique index users_external_id on users (pool_id, external_id) where external_id is not null;

    create table imports (
      pool_id uuid not null references pools on delete cascade,
      id uuid not null,
      state text not null check (state in ('receiving', 'running', 'done')),
      dry_run boolean not null,
      on_duplicate text not null check (on_duplicate in ('skip', 'update', 'fail')),
      with_groups boolean not null,
      started_by jsonb not null,
      rows integer not null default 0,
      position integer not null default 0,
      created integer not null default 0,
      updated integer not null default 0,
      skipped integer not null default 0,
      failed integer not null default 0,
      errors jsonb not null default '[]',
      created_at timestamptz not null,
      finished_at timestamptz,
      expires_at timestamptz not null,
      primary key (pool_id, id)
    );
    create index imports_expiry on imports (expires_at);

    create table import_rows (
      pool_id uuid not null,
      import_id uuid not null,
      number integer not null,
      row jsonb not null,
      primary key (pool_id, import_id, number),
      foreign key (pool_id, import_id) references imports on delete cascade
    );

    -- What a dry run has met: it makes nobody whom a later row could clash with.
    create table import_seen (
      pool_id uuid not null,
      import_id uuid not null,
      kind text not null,
      value text not null,
      primary key (pool_id, import_id, kind, value),
      foreign key (pool_id, import_id) references imports on delete cascade
    );
  `.execute(db)
}
