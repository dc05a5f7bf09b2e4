import { type Kysely, sql } from 'kysely'

/**
 * Operators' scripts: each save is a version that stays, and one of them is current. What a connection does after somebody
 * has proven who they are: a script of its workspace, an application that people are sent to, or both.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table scripts (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      name text not null check (length(name) between 1 and 200),
      point text not null check (point in ('post_authentication', 'mapping')),
      enabled boolean not null default true,
      on_failure text not null default 'deny' check (on_failure in ('deny', 'continue')),
      version int not null,
      record_next boolean not null default false,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id)
    );
    create unique index scripts_id on scripts (id);

    create table script_versions (
      workspace_id uuid not null,
      script_id uuid not null,
      number int not null,
      code text not null,
      written_by jsonb not null,
      created_at timestamptz not null default now(),
      primary key (workspace_id, script_id, number),
      foreign key (workspace_id, script_id) references scripts on delete cascade
    );

    create table script_samples (
      workspace_id uuid not null,
      script_id uuid not null,
      id uuid not null,
      name text not null check (length(name) between 1 and 200),
      input jsonb not null,
      recorded boolean not null default false,
      created_at timestamptz not null default now(),
      primary key (workspace_id, script_id, id),
      foreign key (workspace_id, script_id) references scripts on delete cascade
    );

    create table script_runs (
      workspace_id uuid not null,
      script_id uuid not null,
      id uuid not null,
      at timestamptz not null,
      version int not null,
      ok boolean not null,
      why text,
      detail text,
      ms double precision not null,
      logs text not null,
      trace text,
      user_id uuid,
      client_id text,
      expires_at timestamptz not null,
      primary key (workspace_id, script_id, id),
      foreign key (workspace_id, script_id) references scripts on delete cascade
    );
    create index script_runs_expiry on script_runs (expires_at);

    alter table connections
      add column post_authentication_script uuid,
      add column post_authentication_application jsonb,
      add constraint connections_script foreign key (workspace_id, post_authentication_script) references scripts;

    create trigger announce after insert or update or delete on scripts for each row execute function lido_announce();
  `.execute(db)
}
