import { type Kysely, sql } from 'kysely'

/** What operators work with: their own grants, groups, invitations, and answers that may be asked for twice. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table operators (
      pool_id uuid not null,
      user_id uuid not null,
      role text not null check (role in ('owner', 'admin', 'helpdesk', 'viewer')),
      workspaces uuid[],
      pools uuid[],
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (pool_id, user_id),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index operators_user on operators (user_id);

    create table idempotency (
      actor text not null,
      key text not null check (length(key) between 1 and 255),
      request_hash text not null,
      status integer,
      answer_sealed text,
      expires_at timestamptz not null,
      primary key (actor, key)
    );
    create index idempotency_expiry on idempotency (expires_at);

    create table groups (
      pool_id uuid not null references pools on delete cascade,
      id uuid not null,
      parent_id uuid,
      name text not null check (length(name) between 1 and 100 and position('/' in name) = 0),
      description text not null default '',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (pool_id, id),
      foreign key (pool_id, parent_id) references groups on delete restrict,
      check (parent_id <> id)
    );
    create unique index groups_name on groups (pool_id, coalesce(parent_id, pool_id), lower(name));
    create index groups_parent on groups (pool_id, parent_id);

    create table group_members (
      pool_id uuid not null,
      group_id uuid not null,
      user_id uuid not null,
      created_at timestamptz not null default now(),
      primary key (pool_id, group_id, user_id),
      foreign key (pool_id, group_id) references groups on delete cascade,
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index group_members_user on group_members (pool_id, user_id);

    create table invitations (
      pool_id uuid not null references pools on delete cascade,
      id uuid not null,
      workspace_id uuid not null references workspaces on delete cascade,
      identifier_kind text not null,
      identifier_value text not null,
      identifier_typed text not null,
      user_id uuid,
      state text not null default 'pending' check (state in ('pending', 'accepted', 'revoked')),
      token_hash text not null,
      data jsonb not null default '{}',
      invited_by jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      expires_at timestamptz not null,
      accepted_at timestamptz,
      primary key (pool_id, id),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create unique index invitations_token on invitations (pool_id, token_hash);
    create unique index invitations_pending on invitations (pool_id, identifier_kind, identifier_value) where state = 'pending';

    create index users_status on users (pool_id, status, id);
    create index identifiers_prefix on identifiers (pool_id, value text_pattern_ops);
    create index users_names on users (pool_id, lower(profile ->> 'family_name') text_pattern_ops)
      where profile ? 'family_name';
    create index users_given_names on users (pool_id, lower(profile ->> 'given_name') text_pattern_ops)
      where profile ? 'given_name';
  `.execute(db)
}
