import { type Kysely, sql } from 'kysely'

/**
 * Events are sent to who asked for them, and counted by the day. The database itself notes both in the statement that
 * writes an event, so that no way of writing one can forget them, and none is sent of a change that was undone: an event
 * may commit long after one with a later id, so that no reader could tell by ids alone what it has seen.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table webhooks (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      name text not null check (length(name) between 1 and 200),
      url text not null,
      types text[] not null,
      enabled boolean not null default true,
      disabled_why text check (disabled_why in ('failing', 'gone')),
      sealed_secret text not null,
      previous_sealed_secret text,
      failing_since timestamptz,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id)
    );

    create table webhook_deliveries (
      workspace_id uuid not null,
      webhook_id uuid not null,
      event_id uuid not null,
      state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
      attempts int not null default 0,
      due_at timestamptz not null,
      tried_at timestamptz,
      status int,
      why text,
      expires_at timestamptz not null,
      primary key (workspace_id, webhook_id, event_id),
      foreign key (workspace_id, webhook_id) references webhooks on delete cascade
    );
    create index webhook_deliveries_due on webhook_deliveries (workspace_id, webhook_id, due_at) where state = 'pending';
    create index webhook_deliveries_dead on webhook_deliveries (workspace_id, webhook_id, event_id) where state = 'dead';
    create index webhook_deliveries_expiry on webhook_deliveries (expires_at);

    -- What happened on a day (UTC) that is over.
    create table event_counts (
      day date not null,
      type text not null,
      workspace_id uuid,
      pool_id uuid,
      times int not null
    );
    create index event_counts_day on event_counts (day, type);
    create table event_days (
      day date primary key,
      counted_at timestamptz not null
    );
    -- Days that something was added to when they were over.
    create table late_events (
      day date not null
    );
    create index late_events_day on late_events (day);

    create function lido_events_written() returns trigger language plpgsql as $body$
    begin
      if exists (select from webhooks where enabled) then
        insert into webhook_deliveries (workspace_id, webhook_id, event_id, due_at, expires_at)
        select w.workspace_id, w.id, e.id, e.at, e.at + interval '40 days'
        from written e join webhooks w on w.enabled
          and ('*' = any(w.types) or e.type = any(w.types) or split_part(e.type, '.', 1) || '.*' = any(w.types))
          and (w.workspace_id = e.workspace_id
            or e.workspace_id is null and exists (
              select from connections c where c.workspace_id = w.workspace_id and c.pool_id = e.pool_id))
        where e.type <> 'webhook.tested';
      end if;
      insert into late_events (day)
      select distinct (at at time zone 'UTC')::date from written
      where at < date_trunc('day', now() at time zone 'UTC') at time zone 'UTC';
      return null;
    end
    $body$;
    create trigger events_written after insert on events
      referencing new table as written for each statement execute function lido_events_written();

    create index events_client on events (client_id, id) where client_id is not null;
  `.execute(db)
}
