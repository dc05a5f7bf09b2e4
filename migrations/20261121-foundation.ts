import { type Kysely, sql } from 'kysely'

/** Workspaces, pools, people, and what the engine and the sign-in keep between requests. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table workspaces (
      id uuid primary key,
      slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
      name text not null,
      status text not null default 'active' check (status in ('active', 'inactive')),
      settings jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );

    create table pools (
      id uuid primary key,
      slug text not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
      name text not null,
      description text not null default '',
      color text not null default '#1f6feb' check (color ~ '^#[0-9a-f]{6}$'),
      kind text not null default 'local' check (kind in ('local', 'external', 'federated')),
      status text not null default 'active' check (status in ('active', 'inactive')),
      -- Not jsonb, which forgets the order of a schema's properties: forms are drawn in it.
      settings json not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );

    create table clients (
      workspace_id uuid not null references workspaces on delete cascade,
      id text not null check (length(id) between 1 and 255),
      status text not null default 'active' check (status in ('active', 'inactive')),
      metadata jsonb not null,
      secret_hash text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id)
    );

    create table connections (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      pool_id uuid not null references pools on delete cascade,
      name text not null,
      position integer not null default 0,
      enabled boolean not null default true,
      hidden boolean not null default false,
      domains text[] not null default '{}',
      amr text[],
      mapping jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id),
      unique (workspace_id, pool_id)
    );
    create index connections_pool on connections (pool_id);

    create table signing_keys (
      workspace_id uuid not null references workspaces on delete cascade,
      id text not null,
      alg text not null check (alg in ('RS256', 'ES256', 'EdDSA', 'PS256')),
      public_jwk jsonb not null,
      private_sealed text not null,
      signs_from timestamptz not null,
      signs_until timestamptz,
      published_until timestamptz,
      created_at timestamptz not null default now(),
      primary key (workspace_id, id)
    );

    create table users (
      pool_id uuid not null references pools on delete cascade,
      id uuid not null,
      status text not null check (status in ('new', 'active', 'inactive', 'deleted')),
      authority text not null default 'local' check (authority in ('local', 'linked', 'migrated')),
      profile jsonb not null default '{}',
      metadata jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      last_sign_in_at timestamptz,
      primary key (pool_id, id)
    ) with (fillfactor = 85);
    create index users_by_id on users (id);

    create table identifiers (
      pool_id uuid not null,
      kind text not null check (kind in ('email', 'mobile', 'username')),
      value text not null check (length(value) between 1 and 320),
      user_id uuid not null,
      typed text not null,
      verified_at timestamptz,
      created_at timestamptz not null default now(),
      primary key (pool_id, kind, value),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index identifiers_user on identifiers (pool_id, user_id);

    create table credentials (
      pool_id uuid not null,
      id uuid not null,
      user_id uuid not null,
      kind text not null,
      data jsonb not null,
      created_at timestamptz not null default now(),
      used_at timestamptz,
      primary key (pool_id, id),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index credentials_user on credentials (pool_id, user_id);
    create unique index credentials_one_password on credentials (pool_id, user_id) where kind = 'password';

    create table consents (
      workspace_id uuid not null,
      client_id text not null,
      user_id uuid not null,
      pool_id uuid not null,
      scopes text[] not null,
      updated_at timestamptz not null default now(),
      primary key (workspace_id, client_id, user_id),
      foreign key (workspace_id, client_id) references clients on delete cascade,
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index consents_user on consents (pool_id, user_id);

    create table events (
      id uuid primary key,
      type text not null,
      workspace_id uuid,
      pool_id uuid,
      user_id uuid,
      client_id text,
      data jsonb not null default '{}',
      at timestamptz not null
    );
    create index events_user on events (pool_id, user_id, id) where user_id is not null;
    create index events_workspace on events (workspace_id, id) where workspace_id is not null;

    create table artifacts (
      workspace_id uuid not null,
      id text not null,
      kind text not null,
      payload jsonb not null,
      grant_id text,
      uid text,
      session_uid text,
      pool_id uuid,
      user_id uuid,
      client_id text,
      consumed_at timestamptz,
      successor text,
      expires_at timestamptz not null,
      primary key (workspace_id, id)
    ) with (fillfactor = 85);
    create index artifacts_expiry on artifacts (expires_at);
    create index artifacts_uid on artifacts (workspace_id, uid) where uid is not null;
    create index artifacts_user on artifacts (pool_id, user_id)
      where user_id is not null and kind in ('Grant', 'Session', 'Interaction');

    create table attempts (
      workspace_id uuid not null,
      id text not null,
      version integer not null,
      pool_id uuid,
      identifier_kind text,
      identifier_value text,
      data jsonb not null,
      expires_at timestamptz not null,
      primary key (workspace_id, id)
    ) with (fillfactor = 85);
    create index attempts_expiry on attempts (expires_at);

    create table challenges (
      pool_id uuid not null,
      id uuid not null,
      purpose text not null,
      bound_to text not null,
      code_hash text not null,
      token_hash text,
      user_id uuid,
      data jsonb not null default '{}',
      tries integer not null default 0,
      max_tries integer not null,
      consumed_at timestamptz,
      expires_at timestamptz not null,
      primary key (pool_id, id)
    );
    create index challenges_token on challenges (pool_id, token_hash) where token_hash is not null;
    create index challenges_user on challenges (pool_id, user_id) where user_id is not null;
    create index challenges_expiry on challenges (expires_at);

    create table limits (
      key text primary key,
      points integer not null,
      resets_at timestamptz not null
    ) with (fillfactor = 70);
    create index limits_expiry on limits (resets_at);

    create table inbox (
      id uuid primary key,
      recipient text not null,
      message jsonb not null,
      sent_at timestamptz not null
    );
    create index inbox_recipient on inbox (recipient, id);

    create function lido_announce() returns trigger language plpgsql as $$
    declare
      changed jsonb := to_jsonb(coalesce(new, old));
    begin
      perform pg_notify('lido', case tg_table_name
        when 'pools' then 'pool:' || (changed ->> 'id')
        when 'workspaces' then 'workspace:' || (changed ->> 'id')
        else 'workspace:' || (changed ->> 'workspace_id') end);
      return null;
    end $$;
    create trigger announce after insert or update or delete on workspaces for each row execute function lido_announce();
    create trigger announce after insert or update or delete on pools for each row execute function lido_announce();
    create trigger announce after insert or update or delete on clients for each row execute function lido_announce();
    create trigger announce after insert or update or delete on connections for each row execute function lido_announce();
    create trigger announce after insert or update or delete on signing_keys for each row execute function lido_announce();
  `.execute(db)
}
