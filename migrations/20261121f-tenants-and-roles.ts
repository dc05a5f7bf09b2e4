import { type Kysely, sql } from 'kysely'

/** Customer organisations that users act for, and named sets of permissions, global or of a tenant. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    -- Of one pool, whose users alone may be members, or of none and open to every pool. That never changes.
    create table tenants (
      id uuid primary key,
      pool_id uuid references pools on delete cascade,
      slug text not null,
      name text not null,
      metadata jsonb not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint tenants_slug unique nulls not distinct (pool_id, slug)
    );

    create table tenant_members (
      pool_id uuid not null,
      tenant_id uuid not null references tenants on delete cascade,
      user_id uuid not null,
      created_at timestamptz not null default now(),
      primary key (pool_id, tenant_id, user_id),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index tenant_members_user on tenant_members (pool_id, user_id);
    create index tenant_members_tenant on tenant_members (tenant_id, user_id);

    -- A key stands alone in tokens, so no two roles share one, whichever tenant they belong to.
    create table roles (
      id uuid primary key,
      tenant_id uuid references tenants on delete cascade,
      key text not null,
      name text not null,
      description text not null default '',
      permissions text[] not null default '{}',
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      constraint roles_key unique (key)
    );
    create index roles_tenant on roles (tenant_id) where tenant_id is not null;

    -- Everywhere where tenant_id is null. Whoever leaves a tenant loses what they were there.
    create table user_roles (
      pool_id uuid not null,
      user_id uuid not null,
      role_id uuid not null references roles on delete cascade,
      tenant_id uuid,
      created_at timestamptz not null default now(),
      constraint user_roles_once unique nulls not distinct (pool_id, user_id, role_id, tenant_id),
      foreign key (pool_id, user_id) references users on delete cascade,
      foreign key (pool_id, tenant_id, user_id) references tenant_members on delete cascade
    );
    create index user_roles_role on user_roles (role_id);
  `.execute(db)
}
