import { type Kysely, sql } from 'kysely'

/** Resources: the APIs that a workspace gives access tokens for (RFC 8707), by the identifiers that clients ask by. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table resources (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      identifier text not null check (length(identifier) between 1 and 500),
      settings jsonb not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id)
    );
    create unique index resources_identifier on resources (workspace_id, identifier);
    create trigger announce after insert or update or delete on resources for each row execute function lido_announce();
  `.execute(db)
}
