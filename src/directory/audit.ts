import { isDeepStrictEqual } from 'node:util'
import type { Db } from '../db/connect.ts'
import { currentWork, type EventRow } from '../db/work.ts'
import { uuidv7 } from '../platform/secrets.ts'

/** Every event there is, with what it tells. A new one is a line here. */
export type Happening =
  | { type: 'sign_in.succeeded'; data: { methods: string[]; interaction?: string; grant_type?: string; risk?: Risk } }
  | { type: 'sign_in.failed'; data: { method: string; why: string; identifier_kind?: string; grant_type?: string } }
  | { type: 'sign_in.refused'; data: { why: string; method?: string; risk?: Risk } }
  | { type: 'user.registered'; data: { identifier_kind: string } }
  | { type: 'user.recovered'; data: Record<string, never> }
  | { type: 'user.registration_repeated'; data: Record<string, never> }
  | { type: 'user.password_set'; data: { by: By; must_change: boolean } }
  | { type: 'user.password_change_failed'; data: { by: By } }
  | { type: 'user.password_reset_sent'; data: { by: By } }
  | { type: 'user.credential_added'; data: { by: By; kind: string } }
  | { type: 'user.credential_removed'; data: { by: By; kind: string } }
  /** A passkey counted backwards: there may be a copy of it. */
  | { type: 'user.passkey_refused'; data: { credential: string; counter: number; known: number } }
  | { type: 'user.sessions_ended'; data: { by: By } }
  | { type: 'user.linked' | 'user.unlinked'; data: { by: By; upstream_pool: string; name: string } }
  /** Somebody who came from an upstream goes by something that another user of the pool has: it was left out. */
  | { type: 'user.identifier_left_out'; data: { identifier_kind: string } }
  | { type: 'user.credential_renamed'; data: { by: By; kind: string } }
  | { type: 'user.data_downloaded'; data: { by: By } }
  | { type: 'user.deletion_requested'; data: { by: By; deletes_at: string } }
  | { type: 'user.deletion_cancelled'; data: { by: By } }
  | { type: 'invitation.sent'; data: { by: By; invitation: string } }
  | { type: 'invitation.accepted'; data: { by: By; invitation: string } }
  | { type: 'consent.given' | 'consent.denied'; data: { scopes: string[]; claims?: string[]; grant_type?: string } }
  | { type: 'consent.revoked'; data: { by: By; scopes: string[] } }
  | { type: 'refresh_token.reused'; data: Record<string, never> }
  | { type: 'code.reused'; data: Record<string, never> }
  /** A token of a person was exchanged for another one; `actor` is who acts for them from now on. */
  | {
      type: 'token.exchanged'
      data: { subject_client: string; resource: string | null; scopes: string[]; actor: string | null }
    }
  | { type: 'session.ended'; data: Record<string, never> }
  /** A client was told by a logout token that a session ended, or could not be told. */
  | { type: 'logout.sent' | 'logout.failed'; data: { attempts: number } }
  | { type: 'export.started'; data: { by: By; format: string; hashes: boolean } }
  | { type: 'import.started'; data: { by: By; import: string; rows: number; dry_run: boolean } }
  | {
      type: 'import.finished'
      data: { by: By; import: string } & Record<'created' | 'updated' | 'skipped' | 'failed', number>
    }
  /** A pool's source stopped answering, or answers again; `detail` is of its type and holds nothing of anybody. */
  | { type: 'source.unavailable'; data: { source: string; why: string; detail: string } }
  | { type: 'source.recovered'; data: { source: string } }
  /** Somebody came from a source, for good or as a copy; the numbers say what of theirs found no place here. */
  | {
      type: 'migration.migrated' | 'migration.synced'
      data: { source: string; first: boolean; role_names?: string[]; group_names?: string[] } & Record<Unplaced, number>
    }
  | { type: 'migration.failed'; data: { source: string; reason: string; detail?: string } }
  /** What would have become of a sign-in, where nothing is written. */
  | { type: 'migration.observed'; data: { source: string; outcome: string } }
  /** Who has not come over is written to; `only` is how many were named, where not everybody is. */
  | { type: 'migration.mailed'; data: { by: By; only: number | null } }
  /** Somebody ended what was being counted or sent. */
  | { type: 'migration.stopped'; data: { by: By } }
  /** The source was taken away for good; `users` lived there until then. */
  | { type: 'migration.finished'; data: { by: By; source: string; users: number } }
  | { type: 'user.tombstone_lifted'; data: { by: By } }
  | { type: 'group.member_added' | 'group.member_removed'; data: { by: By; group: string; name: string } }
  | { type: 'tenant.member_added' | 'tenant.member_removed'; data: { by: By; tenant: string; name: string } }
  | { type: 'role.assigned' | 'role.unassigned'; data: { by: By; role: string; name: string; tenant: string | null } }
  | {
      type: 'workspace.message_changed'
      data: { by: By; name: string; before: Record<string, unknown>; after: Record<string, unknown> }
    }
  | { type: 'workspace.message_tried'; data: { by: By; name: string } }
  | {
      type: 'script.rolled_back'
      data: { by: By; name: string; before: { version: number }; after: { version: number } }
    }
  /** A script did not come to an answer, and what became of the sign-in. */
  | { type: 'script.failed'; data: { script: string; name: string; why: string; on_failure: 'deny' | 'continue' } }
  | { type: 'keys.rotated'; data: { by: By; algorithms: string[] } }
  /** A key was withdrawn before its time. */
  | { type: 'keys.revoked'; data: { by: By; kid: string; algorithm: string } }
  /** A domain was not verified: what its DNS said, or that another workspace answers there. */
  | { type: 'domain.refused'; data: { by: By; name: string; why: 'different' | 'missing' | 'unreachable' | 'taken' } }
  | { type: 'client.secret_rotated' | 'client.secret_ended'; data: { by: By } }
  | {
      type: 'webhook.secret_rotated' | 'webhook.secret_ended' | 'webhook.tested'
      data: { by: By; name: string; webhook: string }
    }
  | { type: 'webhook.disabled'; data: { name: string; webhook: string; why: 'failing' | 'gone' } }
  | { type: 'token.issued'; data: { grant_type: string; scopes: string[]; resource?: string; left_out?: number } }
  /** Somebody was refused; `error` is the protocol's, `reason` ours, and neither holds what was sent. */
  | {
      type: Refusals
      data: { error: string; reason?: string; endpoint: string; grant_type?: string; left_out?: number }
    }
  | {
      type: `${'workspace' | 'pool' | 'client' | 'connection' | 'group' | 'invitation' | 'user' | 'operator' | 'tenant' | 'role' | 'script' | 'domain' | 'resource' | 'registration_token' | 'webhook'}.${'created' | 'updated' | 'deleted'}`
      data: {
        by: By
        name?: string
        group?: string
        tenant?: string
        role?: string
        script?: string
        resource?: string
        registration_token?: string
        webhook?: string
        before?: Record<string, unknown>
        after?: Record<string, unknown>
      }
    }

/** Refusals by the doors of the protocol; they come in floods, so `left_out` of them may be told of by one. */
export type Refusals = `${'token' | 'authorization' | 'userinfo' | 'registration' | 'logout'}.refused`

/** How much of what a source told of somebody found no place here. */
type Unplaced = 'unmapped_roles' | 'unmapped_groups' | 'dropped_fields' | 'dropped_identifiers'

/** How a sign-in was judged (docs/risk.md). */
interface Risk {
  level: string
  reasons: string[]
}

/** Who did something: the program itself, a person for themselves, or whoever an admin token belongs to. */
export interface By {
  kind: 'system' | 'person' | 'client' | 'operator'
  id?: string
}

export const system: By = { kind: 'system' }

/** The fields of a record that a change has changed, before and after. */
export const difference = (
  before: object,
  after: object,
): { before: Record<string, unknown>; after: Record<string, unknown> } => {
  const changed = Object.keys({ ...before, ...after }).filter(
    (name) => name !== 'updatedAt' && !isDeepStrictEqual(Reflect.get(before, name), Reflect.get(after, name)),
  )
  const only = (record: object) => Object.fromEntries(changed.map((name) => [name, Reflect.get(record, name)]))
  return { before: only(before), after: only(after) }
}

/** Whom and what an event is about. */
export interface About {
  workspaceId?: string | undefined
  poolId?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
  /** Of a request that is over; else that of the request that is under way. */
  trace?: string | undefined
}

/** An event as a row, for a work that is committed later. It carries the trace of the request that is under way. */
export const event = (at: Date, about: About, { type, data }: Happening): EventRow => ({
  id: uuidv7(at),
  type,
  ...about,
  data,
  trace: about.trace ?? currentWork()?.trace,
  at,
})

/** Writes an event in the transaction of the change that it tells of. */
export const record = (db: Db, at: Date, about: About, happening: Happening): Promise<void> =>
  recordMany(db, at, [{ about, happening }])

/** The same, and answers its id. */
export const recordOne = async (db: Db, at: Date, about: About, happening: Happening): Promise<string> => {
  const row = event(at, about, happening)
  await db.insertInto('events').values(columnsOf(row)).execute()
  return row.id
}

/** Writes an event for each of what one request changed, in the transaction of the changes. */
export const recordMany = async (db: Db, at: Date, all: { about: About; happening: Happening }[]): Promise<void> => {
  if (all.length === 0) return
  const rows = all.map(({ about, happening }) => event(at, about, happening))
  await db.insertInto('events').values(rows.map(columnsOf)).execute()
}

const columnsOf = ({ id, type, workspaceId, poolId, userId, clientId, data, trace, at }: EventRow) => ({
  id,
  type,
  workspaceId: workspaceId ?? null,
  poolId: poolId ?? null,
  userId: userId ?? null,
  clientId: clientId ?? null,
  data: JSON.stringify(data),
  trace: trace ?? null,
  at,
})
