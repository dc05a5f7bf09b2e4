import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { type Keyring, randomToken, sha256 } from '../platform/secrets.ts'

/** What signing out at an upstream needs of a browser that came from there. */
export interface UpstreamSession {
  connectionId: string
  session: unknown
}

/** Keeps it, sealed, under a token that only the browser gets. */
export const keep = async (
  db: Db,
  keyring: Keyring,
  workspaceId: string,
  { connectionId, session }: UpstreamSession,
  expiresAt: Date,
): Promise<string> => {
  const token = randomToken()
  const id = sha256(token)
  const sessionSealed = keyring.seal(JSON.stringify(session ?? null), contextOf(id))
  await db.insertInto('upstreamSessions').values({ workspaceId, id, connectionId, sessionSealed, expiresAt }).execute()
  return token
}

/** Takes it out; of two at once, one gets it. */
export const take = async (
  db: Db,
  keyring: Keyring,
  workspaceId: string,
  token: string,
): Promise<UpstreamSession | undefined> => {
  const id = sha256(token)
  const { rows } = await sql<{ connectionId: string; sessionSealed: string }>`
    delete from upstream_sessions where workspace_id = ${workspaceId} and id = ${id}
    returning connection_id, session_sealed`.execute(db)
  const [row] = rows
  return row && { connectionId: row.connectionId, session: JSON.parse(keyring.open(row.sessionSealed, contextOf(id))) }
}

const contextOf = (id: string) => `upstream session ${id}`
