import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'

/** What a person lets a client know and do. */
export interface Agreed {
  scopes: string[]
  /** Claims that no scope among them carries, agreed to one by one. */
  claims: string[]
  /** Scopes at resources, by their identifiers. */
  resources: Record<string, string[]>
}

interface About {
  workspaceId: string
  clientId: string
  userId: string
}

/** Remembers what a person agreed to besides what they agreed to before, so that they are asked again only for more. */
export const add = async (
  db: Db,
  at: Date,
  { workspaceId, clientId, userId, poolId }: About & { poolId: string },
  { scopes, claims, resources }: Agreed,
  shown: string,
): Promise<void> => {
  await sql`
    insert into consents as c (workspace_id, client_id, user_id, pool_id, scopes, claims, resources, shown, updated_at)
    values (${workspaceId}, ${clientId}, ${userId}, ${poolId}, ${scopes}, ${claims}, ${JSON.stringify(resources)}::jsonb,
      ${shown}, ${at})
    on conflict (workspace_id, client_id, user_id) do update set updated_at = excluded.updated_at, shown = excluded.shown,
      scopes = case when c.shown is distinct from excluded.shown and c.shown is not null then excluded.scopes
        else array(select distinct unnest(c.scopes || excluded.scopes) order by 1) end,
      claims = case when c.shown is distinct from excluded.shown and c.shown is not null then excluded.claims
        else array(select distinct unnest(c.claims || excluded.claims) order by 1) end,
      resources = case when c.shown is distinct from excluded.shown and c.shown is not null then excluded.resources
        else c.resources || (select coalesce(jsonb_object_agg(more.key, coalesce(c.resources -> more.key, '[]') || more.value),
          '{}') from jsonb_each(excluded.resources) more) end`.execute(db)
}

/** What a person has agreed to give a client, as long as it is shown as it was then. */
export const find = async (
  db: Db,
  { workspaceId, clientId, userId }: About,
  shown: string,
): Promise<Agreed | undefined> => {
  const row = await db
    .selectFrom('consents')
    .select(['scopes', 'claims', 'resources', 'shown'])
    .where('workspaceId', '=', workspaceId)
    .where('clientId', '=', clientId)
    .where('userId', '=', userId)
    .executeTakeFirst()
  // Of what was agreed to before this was noted, it is not known.
  return row && (row.shown === null || row.shown === shown) ? row : undefined
}
