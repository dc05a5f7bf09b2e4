import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { sha256 } from '../platform/secrets.ts'
import { idOf } from './contexts.ts'

const payload = z.object({
  iat: z.number(),
  uid: z.string().optional(),
  loginTs: z.number().optional(),
  amr: z.array(z.string()).default([]),
  agent: z.string().optional(),
  seen: z.number().optional(),
  authorizations: z.record(z.string(), z.object({ grantId: z.string().optional() }).loose()).default({}),
})

/** A browser in which somebody is signed in. */
export interface Session {
  /** Derived from what is stored, which itself is a hash: nobody can sign in with it. */
  id: string
  stored: string
  workspaceId: string
  workspace: string
  createdAt: Date
  authenticatedAt: Date
  amr: string[]
  /** How the browser described itself, and when it was last here; undefined where neither was kept. */
  agent: string | undefined
  seenAt: Date | undefined
  /** Hashes of the grants that hang on it. */
  grants: string[]
  /** What it has learnt is stored under. */
  context: string | undefined
}

/** Where a user is signed in; only in workspaces of `among` where that is given. */
export const list = async (
  db: Db,
  at: Date,
  poolId: string,
  userId: string,
  among: readonly string[] | undefined,
): Promise<Session[]> => {
  const rows = await db
    .selectFrom('artifacts')
    .innerJoin('workspaces', 'workspaces.id', 'artifacts.workspaceId')
    .select(['artifacts.id', 'workspaceId', 'slug', 'payload'])
    .where('poolId', '=', poolId)
    .where('userId', '=', userId)
    .where('kind', '=', 'Session')
    .where('expiresAt', '>', at)
    .$if(among !== undefined, (query) => query.where('workspaceId', '=', sql<string>`any(${among}::uuid[])`))
    .orderBy('artifacts.id')
    .limit(1000)
    .execute()
  return rows.map(({ id, workspaceId, slug, payload: stored }) => {
    const { iat, uid, loginTs = iat, amr, agent, seen, authorizations } = payload.parse(stored)
    return {
      id: sha256(`session:${workspaceId}:${id}`),
      stored: id,
      workspaceId,
      workspace: slug,
      createdAt: new Date(iat * 1000),
      authenticatedAt: new Date(loginTs * 1000),
      amr,
      agent,
      seenAt: seen === undefined ? undefined : new Date(seen * 1000),
      grants: Object.values(authorizations).flatMap(({ grantId }) => (grantId ? [sha256(grantId)] : [])),
      context: uid === undefined ? undefined : idOf(uid),
    }
  })
}

/** Ends sessions, and with them what they have learnt, their grants and every token that hangs on those. */
export const end = async (db: Db, sessions: readonly Session[]): Promise<void> => {
  const rows = sessions.flatMap(({ workspaceId, stored, grants, context }) =>
    [stored, ...grants, ...(context === undefined ? [] : [context])].map((id) => ({ workspace_id: workspaceId, id })),
  )
  await sql`
    delete from artifacts a using jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as x (workspace_id uuid, id text)
    where a.workspace_id = x.workspace_id and a.id = x.id and a.kind in ('Session', 'Grant', 'Context')`.execute(db)
}

/** A session that goes on: what it is stored under, and the hashes of its grants. */
export interface Kept {
  workspaceId: string
  stored: string
  grants: readonly string[]
}

/**
 * Ends everything of a user but one session with its grants and what hangs on those. A new era begins, as it does where
 * everything ends: what a request that is under way elsewhere stores in a moment is over, too.
 */
export const endOthers = async (
  db: Db,
  poolId: string,
  userId: string,
  { workspaceId, stored, grants }: Kept,
): Promise<void> => {
  await sql`
    with person as (
      update users set era = era + 1 where pool_id = ${poolId} and id = ${userId} returning era
    ), kept as (
      select workspace_id, id from artifacts
      where pool_id = ${poolId} and user_id = ${userId} and workspace_id = ${workspaceId}
        and (id = ${stored} or id = any(${grants}::text[]) or grant_id = any(${grants}::text[])
          or (kind = 'Context' and session_uid in (
            select s.uid from artifacts s where s.workspace_id = ${workspaceId} and s.id = ${stored})))
    ), moved as (
      update artifacts a set era = person.era from person, kept k
      where a.workspace_id = k.workspace_id and a.id = k.id
    ), learnt as (
      delete from artifacts a where a.pool_id = ${poolId} and a.user_id = ${userId} and a.kind = 'Context'
        and not exists (select from kept k where k.workspace_id = a.workspace_id and k.id = a.id)
    )
    delete from artifacts a where a.pool_id = ${poolId} and a.user_id = ${userId}
      and a.kind in ('Grant', 'Session', 'Interaction')
      and not exists (select from kept k where k.workspace_id = a.workspace_id and k.id = a.id)`.execute(db)
}
