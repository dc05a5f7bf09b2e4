import { type Kysely, sql } from 'kysely'

/**
 * Domains that workspaces answer at; one of each workspace may be the address that it speaks of as its own. Clients are
 * told that a session has ended with the domain that it was at, whose issuer they know it by.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table domains (
      workspace_id uuid not null references workspaces on delete cascade,
      id uuid not null,
      host text not null check (length(host) between 1 and 253 and host = lower(host)),
      origin text not null,
      state text not null check (state in ('pending', 'active')),
      is_primary boolean not null default false check (not is_primary or state = 'active'),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (workspace_id, id),
      unique (workspace_id, host)
    );
    create unique index domains_active on domains (host) where state = 'active';
    create unique index domains_primary on domains (workspace_id) where is_primary;
    create index domains_host on domains (host);

    create function lido_announce_domain() returns trigger language plpgsql as $$
    begin
      perform pg_notify('lido', 'domains');
      perform pg_notify('lido', 'workspace:' || (to_jsonb(coalesce(new, old)) ->> 'workspace_id'));
      return null;
    end $$;
    create trigger announce after insert or update or delete on domains
      for each row execute function lido_announce_domain();

    create or replace function tell_of_ended_session() returns trigger language plpgsql as $body$
    begin
      perform graphile_worker.add_job(
        'tell_of_logout',
        payload => json_build_object('workspaceId', old.workspace_id, 'clientId', client.id, 'poolId', old.pool_id,
          'userId', old.user_id, 'sid', known.value ->> 'sid', 'origin', old.payload ->> 'at')
      )
      from jsonb_each(old.payload -> 'authorizations') known
      join clients client on client.workspace_id = old.workspace_id and client.id = known.key
        and client.status = 'active' and client.metadata ? 'backchannel_logout_uri'
      left join artifacts going_on on going_on.workspace_id = old.workspace_id and going_on.uid = old.uid
        and going_on.kind = 'Session'
      where known.value ->> 'sid' is not null
        and (going_on.payload -> 'authorizations' -> known.key ->> 'sid') is distinct from (known.value ->> 'sid');
      return null;
    end
    $body$;
  `.execute(db)
}
