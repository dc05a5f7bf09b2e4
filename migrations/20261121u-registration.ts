import { type Kysely, sql } from 'kysely'

/** Clients that come by themselves: by registration (RFC 7591), or by a document of their own at their address. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table clients add column registered_by text not null default 'operator'
      check (registered_by in ('operator', 'registration', 'document'));
    create index clients_registered on clients (workspace_id, registered_by) where registered_by <> 'operator';
    create table registration_tokens (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      name text not null,
      token_hash text not null,
      uses_left integer check (uses_left >= 0),
      created_by jsonb not null,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      primary key (workspace_id, id)
    );
    create unique index registration_tokens_hash on registration_tokens (workspace_id, token_hash);
    create index registration_tokens_expiry on registration_tokens (expires_at);
    create table registrations (
      workspace_id uuid not null,
      client_id text not null,
      token_hash text,
      used_at timestamptz not null,
      primary key (workspace_id, client_id),
      foreign key (workspace_id, client_id) references clients on delete cascade
    );
    create index registrations_used on registrations (used_at);
  `.execute(db)
  // A new client is nothing that anybody keeps an old state of; strangers who register must not drop engines.
  await sql`
    drop trigger announce on clients;
    create trigger announce after update or delete on clients for each row execute function lido_announce();
  `.execute(db)
}
