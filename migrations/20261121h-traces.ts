import { type Kysely, sql } from 'kysely'

/** What was refused and why, findable by the reference that people are shown. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    -- The requests of one interaction have traces that begin alike, like the id of its attempt.
    alter table events add column trace text;
    create index events_story on events (left(trace, 10)) where trace is not null;
    create index attempts_story on attempts (left(id, 10));

    create table traces (
      trace text primary key,
      at timestamptz not null,
      workspace_id uuid,
      client_id text,
      interaction text,
      route text not null,
      status integer not null,
      code text not null,
      reason text,
      checks jsonb not null default '[]',
      expires_at timestamptz not null
    );
    create index traces_story on traces (left(interaction, 10)) where interaction is not null;
    create index traces_expiry on traces (expires_at);

    -- Trails of attempts that are over and that somebody may yet ask about.
    create table trails (
      workspace_id uuid not null,
      id text not null,
      pool_id uuid,
      trail jsonb not null,
      ended_at timestamptz not null,
      expires_at timestamptz not null,
      primary key (workspace_id, id)
    );
    create index trails_story on trails (left(id, 10));
    create index trails_expiry on trails (expires_at);
  `.execute(db)
}
