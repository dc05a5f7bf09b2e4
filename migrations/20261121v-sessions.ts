import { type Kysely, sql } from 'kysely'

/**
 * Clients that want to hear of it are told whenever a session ends, whatever ends it: a person, an operator, a recovery, a
 * deletion. The database itself notes them in the outbox, in the statement that ends the session, so that no way of
 * ending one can forget them (OpenID Connect Back-Channel Logout 1.0 section 2.5). A session that gets another id at a
 * sign-in goes on under its uid, and what expires was not ended. A consent remembers also what was agreed to at resources
 * and of whom: of a client that calls itself something else or is reached elsewhere, people are asked again.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function tell_of_ended_session() returns trigger language plpgsql as $body$
    begin
      perform graphile_worker.add_job(
        'tell_of_logout',
        payload => json_build_object('workspaceId', old.workspace_id, 'clientId', client.id, 'poolId', old.pool_id,
          'userId', old.user_id, 'sid', known.value ->> 'sid')
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
    create trigger artifacts_session_ended after delete on artifacts for each row
      when (old.kind = 'Session' and old.user_id is not null and old.expires_at > now()
        and old.payload ? 'authorizations')
      execute function tell_of_ended_session();

    alter table consents add column resources jsonb not null default '{}', add column shown text;

    alter table connections add column reload_claims_at_refresh boolean not null default false,
      add column context_cache_seconds integer check (context_cache_seconds >= 0);
  `.execute(db)
}
