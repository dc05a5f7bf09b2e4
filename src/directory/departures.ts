import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { type Keyring, openUnder, randomToken, sealUnder, sha256 } from '../platform/secrets.ts'

/** Somebody's way to an upstream and back. It lasts ten minutes at most, and is used once. */
export interface Departure {
  workspaceId: string
  connectionId: string
  /** What it belongs to: a sign-in attempt, or somebody's account session. */
  boundTo: string
  /** The path in this program that goes on from it. */
  back: string
  /** What the upstream keeps until then; a secret. */
  kept: unknown
}

const lifetimeMs = 600_000

/** Keeps a departure under a state that nobody has seen yet. */
export const begin = async (
  db: Db,
  { keyring, at }: { keyring: Keyring; at: Date },
  { kept, ...departure }: Departure,
  state: string,
): Promise<void> => {
  const stateHash = sha256(state)
  const keptSealed = keyring.seal(JSON.stringify({ kept, state }), contextOf(departure.connectionId, stateHash))
  const expiresAt = new Date(at.getTime() + lifetimeMs)
  await db
    .insertInto('departures')
    .values({ ...departure, stateHash, keptSealed, expiresAt })
    .execute()
}

/**
 * Keeps what a browser brought back from an upstream, sealed under a handle that is told to this browser alone: whoever
 * began the way in another browser cannot go on with it (security.md 57). Undefined where the connection has no such
 * departure, or it was used.
 */
export const bring = async (
  db: Db,
  at: Date,
  { connectionId, state, answer }: { connectionId: string; state: string; answer: unknown },
): Promise<{ back: string; handle: string } | undefined> => {
  const handle = randomToken()
  const row = await db
    .updateTable('departures')
    .set({ answerSealed: sealUnder(handle, JSON.stringify(answer)), answerHash: sha256(handle) })
    .where('connectionId', '=', connectionId)
    .where('stateHash', '=', sha256(state))
    .where('consumedAt', 'is', null)
    .where('expiresAt', '>', at)
    .returning('back')
    .executeTakeFirst()
  return row && { back: row.back, handle }
}

/** A departure that has come back, with what the browser brought. */
export interface Return {
  connectionId: string
  state: string
  kept: unknown
  answer: unknown
}

/** Uses a departure up, in the browser that brought the answer and for what it was begun for: of twenty at once, once. */
export const consume = async (
  db: Db,
  { keyring, at }: { keyring: Keyring; at: Date },
  { workspaceId, boundTo, handle }: { workspaceId: string; boundTo: string; handle: string },
): Promise<Return | undefined> => {
  const { rows } = await sql<{ connectionId: string; stateHash: string; keptSealed: string; answerSealed: string }>`
    update departures set consumed_at = ${at}
    where workspace_id = ${workspaceId} and answer_hash = ${sha256(handle)} and bound_to = ${boundTo}
      and consumed_at is null and expires_at > ${at}
    returning connection_id, state_hash, kept_sealed, answer_sealed`.execute(db)
  const [row] = rows
  const answer = row && openUnder(handle, row.answerSealed)
  if (!row || answer === undefined) return undefined
  const { kept, state } = JSON.parse(keyring.open(row.keptSealed, contextOf(row.connectionId, row.stateHash)))
  return { connectionId: row.connectionId, state, kept, answer: JSON.parse(answer) }
}

const contextOf = (connectionId: string, stateHash: string) => `departure ${connectionId} ${stateHash}`
