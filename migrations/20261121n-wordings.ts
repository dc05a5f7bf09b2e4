import { type Kysely, sql } from 'kysely'

/** How a workspace words its messages. Apart from its settings, which every node keeps in memory. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table wordings (
      workspace_id uuid not null references workspaces on delete cascade,
      name text not null,
      words jsonb not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, name)
    );
  `.execute(db)
}
