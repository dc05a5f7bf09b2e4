import { type Kysely, sql } from 'kysely'

/**
 * What the cockpit of an external pool reads. Users are counted as they come and go: each change is a line of a ledger
 * that nobody has to wait for, and that readers add up. What became of sign-ins is kept by the hour, so that no page
 * counts a month of events. A round goes through everybody at the source, to count or to write to who has not come.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table pool_people (
      pool_id uuid not null references pools on delete cascade,
      authority text not null,
      people bigint not null
    );
    create index pool_people_pool on pool_people (pool_id);

    insert into pool_people (pool_id, authority, people)
      select u.pool_id, u.authority, count(*) from users u join pools p on p.id = u.pool_id and p.kind = 'external'
      where u.status <> 'deleted' group by 1, 2;

    create function lido_people_came() returns trigger language plpgsql as $$
    begin
      insert into pool_people (pool_id, authority, people)
        select c.pool_id, c.authority, count(*) from changed c join pools p on p.id = c.pool_id and p.kind = 'external'
        where c.status <> 'deleted' group by 1, 2;
      return null;
    end $$;
    create trigger people_came after insert on users referencing new table as changed
      for each statement execute function lido_people_came();

    create function lido_people_went() returns trigger language plpgsql as $$
    begin
      insert into pool_people (pool_id, authority, people)
        select c.pool_id, c.authority, -count(*) from changed c join pools p on p.id = c.pool_id and p.kind = 'external'
        where c.status <> 'deleted' group by 1, 2;
      return null;
    end $$;
    create trigger people_went after delete on users referencing old table as changed
      for each statement execute function lido_people_went();

    create function lido_person_moved() returns trigger language plpgsql as $$
    begin
      insert into pool_people (pool_id, authority, people)
        select new.pool_id, moved.authority, moved.people
        from (values (old.authority, old.status, -1), (new.authority, new.status, 1)) as moved (authority, status, people)
        where moved.status <> 'deleted' and exists (select from pools where id = new.pool_id and kind = 'external');
      return null;
    end $$;
    create trigger person_moved after update of authority, status on users for each row
      when (old.authority <> new.authority or (old.status = 'deleted') <> (new.status = 'deleted'))
      execute function lido_person_moved();

    create index events_migration on events (pool_id, id)
      where type in ('migration.migrated', 'migration.synced', 'migration.failed', 'migration.observed', 'source.unavailable');
    create index events_migration_faults on events (pool_id, id) where type in ('migration.failed', 'source.unavailable');

    create table migration_hours (
      pool_id uuid not null references pools on delete cascade,
      hour timestamptz not null,
      kind text not null,
      name text not null default '',
      times integer not null,
      primary key (pool_id, hour, kind, name)
    );
    create table migration_counted (
      pool_id uuid primary key references pools on delete cascade,
      until timestamptz not null
    );

    create table migration_rounds (
      pool_id uuid not null references pools on delete cascade,
      id uuid not null,
      kind text not null check (kind in ('count', 'mail')),
      state text not null check (state in ('running', 'done', 'failed', 'stopped')),
      workspace_id uuid,
      per_minute integer not null default 60,
      days integer not null default 7,
      started_by jsonb not null,
      waiting_sealed text,
      cursor text,
      at_end boolean not null default false,
      seen integer not null default 0,
      missing integer not null default 0,
      sent integer not null default 0,
      skipped integer not null default 0,
      faults integer not null default 0,
      why text,
      step integer not null default 0,
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      expires_at timestamptz not null,
      primary key (pool_id, id)
    );
    create unique index migration_rounds_running on migration_rounds (pool_id, kind) where state = 'running';
    create index migration_rounds_expiry on migration_rounds (expires_at);
  `.execute(db)
}
