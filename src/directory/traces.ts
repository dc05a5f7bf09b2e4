import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'

/** How much of an interaction's id stands in front of the traces of its requests; the indexes know it too. */
const storyLength = 10
const days = 30

/** The reference of a request: random, and behind the story of the interaction that it belongs to, if any. */
export const newTrace = (uid: string | undefined): string => {
  const random = randomToken(9)
  return uid === undefined ? random : traceIn(uid, random)
}

/** A trace as one of an interaction that turned out to begin with its request. */
export const traceIn = (uid: string, trace: string): string => sha256(uid).slice(0, storyLength) + trace.slice(0, 6)

/** What all traces of one interaction share; undefined for a request that belonged to none. */
export const storyOf = (trace: string): string | undefined =>
  trace.length === storyLength + 6 ? trace.slice(0, storyLength) : undefined

/** One thing that was looked at, and whether it was as it has to be. */
export interface Check {
  name: string
  ok: boolean
  detail: string | null
}

/** Why a request was refused, as `ctx.state.refused` holds it until the answer is out. Never a secret. */
export interface Refused {
  code: string
  reason: string | undefined
  clientId?: string | undefined
  /** Of whom it was about, where that is known for sure. */
  person?: { userId: string; poolId: string } | undefined
  /** How a token was asked for; only what there is. */
  grantType?: string | undefined
  /** Something that clients ask in passing and are told no to all day long: an event tells of it, and nothing is kept. */
  passing?: boolean
  checks?: Check[]
}

/** A refusal as it is kept. */
export interface Refusal {
  trace: string
  at: Date
  workspaceId: string | null
  /** Only of a client that exists. */
  clientId: string | null
  /** The id of the attempt that the request belonged to. */
  interaction: string | null
  route: string
  status: number
  code: string
  reason: string | null
  checks: Check[]
}

export const keep = async (db: Db, { checks, ...refusal }: Refusal): Promise<void> => {
  const expiresAt = new Date(refusal.at.getTime() + days * 86_400_000)
  await db
    .insertInto('traces')
    .values({ ...refusal, checks: JSON.stringify(checks), expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The refusal of a trace, and those of the other requests of its interaction, the oldest first. */
export const list = (db: Db, trace: string): Promise<Refusal[]> => {
  const story = storyOf(trace)
  return db
    .selectFrom('traces')
    .select(['trace', 'at', 'workspaceId', 'clientId', 'interaction', 'route', 'status', 'code', 'reason', 'checks'])
    .where((where) =>
      where.or([
        where('trace', '=', trace),
        ...(story === undefined ? [] : [sql<boolean>`left(interaction, ${sql.lit(storyLength)}) = ${story}`]),
      ]),
    )
    .orderBy('at')
    .limit(100)
    .execute()
}

/** What an attempt left behind. */
export interface Story {
  workspaceId: string
  id: string
  poolId: string | null
  identifierKind: string | null
  identifierValue: string | null
  trail: unknown
  expiresAt: Date
}

/** The attempt of an interaction, as long as it is there, else what was kept of it. */
export const findStory = async (db: Db, story: string): Promise<Story | undefined> => {
  const length = sql.lit(storyLength)
  const { rows } = await sql<Story>`
    select workspace_id, id, pool_id, identifier_kind, identifier_value, data -> 'trail' as trail, expires_at
    from attempts where left(id, ${length}) = ${story}
    union all
    select workspace_id, id, pool_id, null, null, trail, ended_at from trails where left(id, ${length}) = ${story}
    limit 1`.execute(db)
  return rows[0]
}
