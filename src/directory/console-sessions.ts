import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import type * as operators from './operators.ts'

/** Milliseconds without a request, and since its beginning, after which a visit to the console ends. */
const idleMs = 60 * 60_000
const absoluteMs = 12 * 60 * 60_000
/** A visit's last request is known to the minute, so that most requests write nothing. */
const seenEveryMs = 60_000

/** An operator's visit to the console, in one browser. */
export interface ConsoleSession {
  /** The hash of what the browser presents. */
  id: string
  operator: operators.Operator
  /** What they go by, and what they call themselves. */
  name: string
  /** When they last proved who they are. */
  provedAt: Date
  idTokenSealed: string | null
}

interface Beginning {
  poolId: string
  userId: string
  /** The user's era at the sign-in: what ends everything of a user ends the visit. */
  era: number
  provedAt: Date
  idTokenSealed: string | null
}

/** The era a user is in: every sign-in of theirs before it is over. */
export const findEra = async (db: Db, userId: string): Promise<number | undefined> =>
  (await db.selectFrom('users').select('era').where('id', '=', userId).executeTakeFirst())?.era

/** Begins a visit; answers the token for the browser, which is kept nowhere. */
export const begin = async (db: Db, at: Date, beginning: Beginning): Promise<string> => {
  const token = randomToken()
  const expiresAt = new Date(at.getTime() + absoluteMs)
  const row = { ...beginning, id: sha256(token), seenAt: at, createdAt: at, expiresAt }
  await db.insertInto('consoleSessions').values(row).execute()
  return token
}

/** The visit of a browser's token, while its operator is one and was signed out nowhere. */
export const find = async (db: Db, at: Date, token: string): Promise<ConsoleSession | undefined> => {
  const row = await db
    .selectFrom('consoleSessions as s')
    .innerJoin('users as u', (join) => join.onRef('u.poolId', '=', 's.poolId').onRef('u.id', '=', 's.userId'))
    .innerJoin('operators as o', (join) => join.onRef('o.poolId', '=', 's.poolId').onRef('o.userId', '=', 's.userId'))
    .select(['s.id', 's.provedAt', 's.seenAt', 's.idTokenSealed', 'o.poolId', 'o.userId'])
    .select(['o.role', 'o.workspaces', 'o.pools'])
    .select(
      sql<string>`coalesce(u.profile ->> 'name', (select n.typed from identifiers n
        where n.pool_id = u.pool_id and n.user_id = u.id order by n.created_at limit 1), '')`.as('name'),
    )
    .where('s.id', '=', sha256(token))
    .where('s.expiresAt', '>', at)
    .where('s.seenAt', '>', new Date(at.getTime() - idleMs))
    .where('u.status', '=', 'active')
    .whereRef('u.era', '=', 's.era')
    .executeTakeFirst()
  if (!row) return undefined
  const { id, provedAt, seenAt, idTokenSealed, name, ...operator } = row
  if (at.getTime() - seenAt.getTime() > seenEveryMs) await touch(db, at, id)
  return { id, operator, name, provedAt, idTokenSealed }
}

/**
 * Gives a visit a new token after its operator proved again who they are; undefined where it is not theirs or over. The
 * old token ends.
 */
export const renew = async (db: Db, id: string, { userId, provedAt }: { userId: string; provedAt: Date }) => {
  const token = randomToken()
  const row = await db
    .updateTable('consoleSessions')
    .set({ id: sha256(token), provedAt })
    .where('id', '=', id)
    .where('userId', '=', userId)
    .returning('id')
    .executeTakeFirst()
  return row && token
}

/** Ends a visit. */
export const end = async (db: Db, id: string): Promise<void> => {
  await db.deleteFrom('consoleSessions').where('id', '=', id).execute()
}

const touch = async (db: Db, at: Date, id: string): Promise<void> => {
  await db.updateTable('consoleSessions').set({ seenAt: at }).where('id', '=', id).execute()
}
