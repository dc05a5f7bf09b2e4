import type { Db } from '../db/connect.ts'
import * as applications from './applications.ts'
import * as credentials from './credentials.ts'
import * as events from './events.ts'
import * as links from './links.ts'
import * as places from './places.ts'
import * as sessions from './sessions.ts'
import type { UserRecord } from './user-records.ts'

/** The most events that a copy holds, the newest first. */
const mostEvents = 10_000

/**
 * Everything that is kept about somebody, for themselves, as JSON: nothing that proves who they are, nothing of those
 * who work on their account, and not the metadata that applications keep for themselves.
 */
export const copyFor = async (db: Db, at: Date, user: UserRecord) => {
  const { poolId, id: userId } = user
  const [held, open, allowed, been, linked, happened] = await Promise.all([
    credentials.list(db, poolId, userId),
    sessions.list(db, at, poolId, userId, undefined),
    applications.list(db, at, { poolId, userId }),
    places.list(db, poolId, userId),
    links.list(db, poolId, userId),
    readEvents(db, poolId, userId),
  ])
  return {
    id: userId,
    made_at: at.toISOString(),
    status: user.status,
    created_at: user.createdAt.toISOString(),
    last_sign_in_at: user.lastSignInAt?.toISOString() ?? null,
    identifiers: user.identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
    profile: user.profile,
    groups: user.groups,
    roles: user.roles,
    credentials: held.map(({ kind, createdAt, usedAt }) => ({
      type: kind,
      created_at: createdAt.toISOString(),
      used_at: usedAt?.toISOString() ?? null,
    })),
    sessions: open.map(({ workspace, authenticatedAt, seenAt, agent, amr }) => ({
      workspace,
      authenticated_at: authenticatedAt.toISOString(),
      seen_at: seenAt?.toISOString() ?? null,
      browser: agent ?? null,
      amr,
    })),
    applications: allowed.map(({ id, name, scopes, claims, agreedAt }) => ({
      client_id: id,
      name,
      scopes,
      claims,
      agreed_at: agreedAt?.toISOString() ?? null,
    })),
    places: been.map(({ network, country, at: last }) => ({ network, country, last_sign_in_at: last })),
    connected_accounts: linked.map(({ label, linkedAt }) => ({ account: label, connected_at: linkedAt.toISOString() })),
    events: happened,
  }
}

const everywhere = { workspaces: undefined, pools: undefined }

/** Events of one user, the newest first. */
export const eventsOf = (poolId: string, userId: string): events.Filter => ({
  poolId,
  userId,
  types: undefined,
  workspaceId: undefined,
  clientId: undefined,
  since: undefined,
  until: undefined,
})

const readEvents = async (db: Db, poolId: string, userId: string) => {
  const rows = await events.list(db, eventsOf(poolId, userId), everywhere, { limit: mostEvents, after: undefined })
  return rows.map(({ type, at, clientId, data }) => ({
    type,
    at: at.toISOString(),
    client_id: clientId,
    data: ownPart(data),
  }))
}

/** What an event tells of its user: not who of the operators it was, and no metadata. */
const ownPart = ({ by, before, after, ...data }: Record<string, unknown>) => ({
  ...data,
  ...(by ? { by: (by as { kind: string }).kind } : {}),
  ...(before ? { before: withoutMetadata(before) } : {}),
  ...(after ? { after: withoutMetadata(after) } : {}),
})

const withoutMetadata = (record: unknown) => {
  const { metadata: _, ...rest } = record as Record<string, unknown>
  return rest
}
