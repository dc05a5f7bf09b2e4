import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import * as audit from './audit.ts'

/** A client that somebody has let in, or has signed in to. */
export interface Application {
  workspaceId: string
  id: string
  name: string
  /** Nobody is asked for consent. */
  firstParty: boolean
  /** What they agreed to, and when they last did. */
  scopes: string[]
  /** Claims that they agreed to one by one. */
  claims: string[]
  agreedAt: Date | null
  /** Where a sign-in to it can be begun (OpenID Connect Core 1.0 section 4). */
  begin: string | null
}

/** Whose applications, and where: everywhere without a workspace. */
interface Owner {
  workspaceId?: string
  poolId: string
  userId: string
}

/** The clients that may know or do something in a user's name, by name. */
export const list = async (db: Db, at: Date, { workspaceId, poolId, userId }: Owner): Promise<Application[]> => {
  const { rows } = await sql<Application>`
    select c.workspace_id, c.id, c.metadata ->> 'client_name' as name,
      coalesce((c.metadata ->> 'first_party')::boolean, false) as first_party,
      coalesce(s.scopes, '{}') as scopes, coalesce(s.claims, '{}') as claims, s.updated_at as agreed_at,
      case when c.status = 'active' then c.metadata ->> 'initiate_login_uri' end as begin
    from clients c
    left join consents s on s.workspace_id = c.workspace_id and s.client_id = c.id and s.user_id = ${userId}
    where (s.user_id is not null or (c.workspace_id, c.id) in (
        select a.workspace_id, a.client_id from artifacts a
        where a.pool_id = ${poolId} and a.user_id = ${userId} and a.kind = 'Grant' and a.expires_at > ${at}))
      and ${workspaceId === undefined ? sql`true` : sql`c.workspace_id = ${workspaceId}`}
    order by name, c.id`.execute(db)
  return rows
}

/**
 * Takes back what a user allowed a client: the consent, and every grant with the codes and tokens that hang on it.
 * Answers false where there was nothing. In a transaction.
 */
export const revoke = async (
  db: Db,
  at: Date,
  { workspaceId, poolId, userId, clientId }: Required<Owner> & { clientId: string },
  by: audit.By,
): Promise<boolean> => {
  const consent = await db
    .deleteFrom('consents')
    .where('workspaceId', '=', workspaceId)
    .where('clientId', '=', clientId)
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .returning('scopes')
    .executeTakeFirst()
  const { numDeletedRows } = await db
    .deleteFrom('artifacts')
    .where('workspaceId', '=', workspaceId)
    .where('clientId', '=', clientId)
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'Grant')
    .executeTakeFirst()
  if (!consent && numDeletedRows === 0n) return false
  const data = { by, scopes: consent?.scopes ?? [] }
  await audit.record(db, at, { workspaceId, poolId, userId, clientId }, { type: 'consent.revoked', data })
  return true
}
