import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Keyring, sha256 } from '../platform/secrets.ts'

const learnt = z.object({
  /** The connection that they came by: its mapping alone may name what was told. */
  connection: z.string(),
  /** What the upstream or source told, under its own names. */
  claims: z.record(z.string(), z.unknown()),
  /** When it was told, in milliseconds; whether that was at a refresh. */
  at: z.number(),
  again: z.boolean().optional(),
  /** Whether they were refused when it was asked last. */
  refused: z.boolean().optional(),
  /** What the upstream is asked again with; a secret. */
  renewal: z.unknown().optional(),
})

/** What was learnt of somebody outside, at their sign-in or at a refresh since. */
export type Learnt = z.infer<typeof learnt>

/** Where it is stored: a row of the session that it belongs to, sealed for this row and its user alone. */
export interface Place {
  workspaceId: string
  id: string
  userId: string
}

/** What a session's sign-in has learnt, as it was read. */
export interface Context extends Place {
  /** Counts what was stored: of two who learn something anew, one stores it. */
  version: number
  learnt: Learnt
}

/** The kind of the rows among the engine's records; the engine knows none such. */
export const contextKind = 'Context'

/** What the context of a session is stored under, by the uid that its tokens remember it by. */
export const idOf = (sessionUid: string): string => sha256(`context of ${sessionUid}`)

const payload = z.object({ sealed: z.string(), version: z.int() })

/** A context as its row holds it. */
export const payloadOf = (keyring: Keyring, place: Place, told: Learnt, version: number): z.infer<typeof payload> => ({
  sealed: keyring.seal(JSON.stringify(told), sealedFor(place)),
  version,
})

/** Reads a row; undefined where it does not open: it is of another row or user, or of an older program. */
export const read = (
  keyring: Keyring,
  place: Place,
  stored: unknown,
): Pick<Context, 'version' | 'learnt'> | undefined => {
  try {
    const { sealed, version } = payload.parse(stored)
    return { version, learnt: learnt.parse(JSON.parse(keyring.open(sealed, sealedFor(place)))) }
  } catch {
    return undefined
  }
}

const sealedFor = ({ workspaceId, id, userId }: Place): string => `context ${workspaceId} ${id} ${userId}`

/** Whether what was told is told on: until so many seconds after, where the connection sets an end; null for none. */
export const isTold = ({ at }: Pick<Learnt, 'at'>, seconds: number | null, now: Date): boolean =>
  seconds === null || now.getTime() < at + seconds * 1000

/** For how many milliseconds nobody else asks the upstream, while one node does. */
const leaseMs = 30_000

/** Takes the right to ask the upstream again; of twenty at once on any nodes, one has it. */
export const lease = async (db: Db, now: Date, { workspaceId, id, version }: Context): Promise<boolean> => {
  const { numAffectedRows } = await sql`
    update artifacts set payload = jsonb_set(payload, '{leased}', to_jsonb(${now.getTime() + leaseMs}::bigint))
    where workspace_id = ${workspaceId} and id = ${id} and kind = ${contextKind}
      and (payload ->> 'version')::bigint = ${version}
      and coalesce((payload ->> 'leased')::bigint, 0) <= ${now.getTime()}`.execute(db)
  return numAffectedRows === 1n
}

/** Stores what was learnt anew, and gives the lease back; undefined where the context is gone, or somebody was quicker. */
export const replace = async (
  db: Db,
  keyring: Keyring,
  context: Context,
  told: Learnt,
): Promise<Context | undefined> => {
  const version = context.version + 1
  const { numAffectedRows } = await sql`
    update artifacts set payload = ${JSON.stringify(payloadOf(keyring, context, told, version))}::jsonb
    where workspace_id = ${context.workspaceId} and id = ${context.id} and kind = ${contextKind}
      and (payload ->> 'version')::bigint = ${context.version}`.execute(db)
  return numAffectedRows === 1n ? { ...context, version, learnt: told } : undefined
}

/** Gives the lease back where nothing was learnt. */
export const release = async (db: Db, { workspaceId, id, version }: Context): Promise<void> => {
  await sql`
    update artifacts set payload = payload - 'leased'
    where workspace_id = ${workspaceId} and id = ${id} and kind = ${contextKind}
      and (payload ->> 'version')::bigint = ${version}`.execute(db)
}

/** The context as it is now, and whether somebody is asking the upstream; undefined where it is gone. */
export const look = async (
  db: Db,
  keyring: Keyring,
  now: Date,
  context: Context,
): Promise<{ context: Context; isLeased: boolean } | undefined> => {
  const row = await db
    .selectFrom('artifacts')
    .select('payload')
    .where('workspaceId', '=', context.workspaceId)
    .where('id', '=', context.id)
    .where('kind', '=', contextKind)
    .executeTakeFirst()
  const stored = row && read(keyring, context, row.payload)
  const isLeased = Number(row?.payload.leased ?? 0) > now.getTime()
  return stored && { context: { ...context, ...stored }, isLeased }
}

/** Ends everything that was learnt of a user. */
export const endAll = async (db: Db, poolId: string, userId: string): Promise<void> => {
  await sql`
    delete from artifacts where pool_id = ${poolId} and user_id = ${userId} and kind = 'Context'`.execute(db)
}

const upstreamPrefix = 'upstream.'

/** The path of a mapping's source into what was learnt outside; undefined where it names something else. */
export const upstreamPath = (from: string): string | undefined =>
  from.startsWith(upstreamPrefix) ? from.slice(upstreamPrefix.length) : undefined

/** Whether a mapping names anything that was learnt outside. */
export const namesUpstream = (mapping: Record<string, string>): boolean =>
  Object.values(mapping).some((from) => upstreamPath(from) !== undefined)

/** The most bytes of claims, as JSON, that are kept of one sign-in. */
const mostBytes = 16 * 1024

/**
 * What of some claims is kept: all of them up to 16 KiB; else those that a mapping names, the smallest first, as far as
 * they fit. Text that would change what a record is, is left out.
 */
export const fitting = (claims: Record<string, unknown>, mapping: Record<string, string>): Record<string, unknown> => {
  const all = plain(claims)
  if (sizeOf(all) <= mostBytes) return all
  const wanted = new Set(Object.values(mapping).flatMap((from) => namesIn(upstreamPath(from))))
  const named = Object.entries(all)
    .filter(([name]) => wanted.has(name))
    .map((one) => ({ one, size: sizeOf(one) }))
    .sort((one, other) => one.size - other.size)
  const fits = named.filter(
    (_, index) => named.slice(0, index + 1).reduce((sum, { size }) => sum + size, 0) <= mostBytes,
  )
  return Object.fromEntries(fits.map(({ one }) => one))
}

const namesIn = (path: string | undefined): string[] => (path === undefined ? [] : [path, path.split('.')[0] ?? path])

const plain = (claims: Record<string, unknown>): Record<string, unknown> => {
  try {
    return JSON.parse(JSON.stringify(claims), (name, value) => (name === '__proto__' ? undefined : value))
  } catch {
    // What is nested too deep to be walked through.
    return {}
  }
}

/** How many bytes something takes as JSON. */
export const sizeOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? '')
