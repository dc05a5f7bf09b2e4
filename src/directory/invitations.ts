import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import type { Database } from '../db/schema.ts'
import { Problem } from '../platform/problem.ts'
import { sha256, uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import type { Client } from './clients.ts'
import type { Identifier } from './identifiers.ts'
import { makeSecrets, type Sender, type Sent, send } from './invitation-links.ts'
import { refuseSecond } from './taken.ts'
import * as users from './users.ts'

const kept = z.object({
  profile: z.record(z.string(), z.unknown()).default({}),
  groups: z.array(z.string()).default([]),
  roles: z.array(z.string()).default([]),
  tenant: z.string().nullable().default(null),
  message: z.string().nullable().default(null),
  client_id: z.string().nullable().default(null),
  return_to: z.string().nullable().default(null),
  hours: z.number(),
  /** What the person may operate as once they have accepted; only in the pool of administrators. */
  operates_as: z.enum(['owner', 'admin', 'helpdesk', 'viewer']).nullable().default(null),
  /** The only workspaces and pools, by id, that exist for them then; null for all. */
  operates_in: z
    .object({ workspaces: z.array(z.string()).nullable(), pools: z.array(z.string()).nullable() })
    .default({ workspaces: null, pools: null }),
  lang: z.string().default('en'),
  code_hash: z.string().optional(),
  tries: z.number().default(0),
  /** Set where a newer invitation took the place of one that had expired. */
  lapsed: z.boolean().default(false),
})

/** What an operator offers, besides to whom. */
export type Offer = Pick<z.infer<typeof kept>, 'profile' | 'groups' | 'message' | 'client_id' | 'return_to' | 'hours'> &
  Partial<Pick<z.infer<typeof kept>, 'operates_as' | 'operates_in' | 'roles' | 'tenant'>>

const inviter = z.object({
  kind: z.enum(['system', 'person', 'client', 'operator']),
  id: z.string().optional(),
  name: z.string().optional(),
})

export type State = 'pending' | 'accepted' | 'expired' | 'revoked'

/** An operator's offer to one identifier to register in a pool. */
export interface Invitation {
  poolId: string
  id: string
  workspaceId: string
  identifier: Identifier
  userId: string | null
  state: State
  offer: z.infer<typeof kept>
  invitedBy: z.infer<typeof inviter>
  tokenHash: string
  createdAt: Date
  updatedAt: Date
  expiresAt: Date
  acceptedAt: Date | null
}

/**
 * Invites an address. Throws `conflict` where it has a pending invitation, or an account; an account that is active may
 * be offered to operate.
 */
export const create = async (
  db: Db,
  at: Date,
  sender: Sender,
  poolId: string,
  {
    identifier,
    inviter: name,
    lang,
    ...offer
  }: Offer & { identifier: Identifier; inviter: string | undefined; lang: string },
  by: audit.By,
): Promise<Sent> => {
  const owner = await users.findByIdentifier(db, poolId, identifier)
  if (owner && owner.status !== 'new' && !(offer.operates_as && owner.status === 'active'))
    throw new Problem('conflict', { detail: `"${identifier.typed}" has an account in this pool already.` })
  await giveWay(db, at, poolId, identifier)
  const id = uuidv7(at)
  const secrets = makeSecrets(sender.services, poolId, id)
  const { kind, value, typed } = identifier
  const row = await db
    .insertInto('invitations')
    .values({
      poolId,
      id,
      workspaceId: sender.workspace.id,
      identifierKind: kind,
      identifierValue: value,
      identifierTyped: typed,
      userId: owner?.id ?? null,
      tokenHash: sha256(secrets.token),
      data: JSON.stringify(kept.parse({ ...offer, lang, code_hash: secrets.codeHash })),
      invitedBy: JSON.stringify({ ...by, name }),
      createdAt: at,
      updatedAt: at,
      expiresAt: expiryOf(at, offer.hours),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch(refuseSecond(`"${typed}" is invited already.`))
  const invitation = invitationFrom(row, at)
  await tell(db, at, invitation, 'invitation.created', by)
  return send(db, sender, invitation, secrets)
}

/** Sends a pending or expired invitation again, with a new link and code; the old ones are dead. Throws `conflict`. */
export const renew = async (
  db: Db,
  at: Date,
  sender: Sender,
  { poolId, id, offer }: Invitation,
  by: audit.By,
): Promise<Sent> => {
  const secrets = makeSecrets(sender.services, poolId, id)
  const row = await db
    .updateTable('invitations')
    .set({
      tokenHash: sha256(secrets.token),
      data: JSON.stringify({ ...offer, code_hash: secrets.codeHash, tries: 0 }),
      updatedAt: at,
      expiresAt: expiryOf(at, offer.hours),
    })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: 'Only an invitation that is not over can be sent again.' })
  const invitation = invitationFrom(row, at)
  await audit.record(
    db,
    at,
    { poolId, workspaceId: invitation.workspaceId, userId: invitation.userId ?? undefined },
    { type: 'invitation.sent', data: { by, invitation: id } },
  )
  return send(db, sender, invitation, secrets)
}

/** Takes an invitation back. Throws `conflict` where it is over already. */
export const revoke = async (db: Db, at: Date, invitation: Invitation, by: audit.By): Promise<void> => {
  const { numUpdatedRows } = await db
    .updateTable('invitations')
    .set({ state: 'revoked', updatedAt: at })
    .where('poolId', '=', invitation.poolId)
    .where('id', '=', invitation.id)
    .where('state', '=', 'pending')
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('conflict', { detail: 'The invitation is over already.' })
  await tell(db, at, invitation, 'invitation.deleted', by)
}

/** Invitations of a pool by id, from the first after `after`; only of workspaces in `among` where that is given. */
export const list = async (
  db: Db,
  at: Date,
  poolId: string,
  { state, among, ...page }: Page & { state: State | undefined; among: readonly string[] | undefined },
): Promise<Invitation[]> => {
  const rows = await db
    .selectFrom('invitations')
    .selectAll()
    .where('poolId', '=', poolId)
    .$if(among !== undefined, (query) => query.where('workspaceId', '=', sql<string>`any(${among}::uuid[])`))
    .$if(state !== undefined, (query) => query.where(inState(state ?? 'pending', at)))
    .$call(pageBy('id', page))
    .execute()
  return rows.map((row) => invitationFrom(row, at))
}

export const find = async (db: Db, at: Date, poolId: string, id: string): Promise<Invitation | undefined> => {
  const row = await one(db, poolId).where('id', '=', id).executeTakeFirst()
  return row && invitationFrom(row, at)
}

/** The pending invitation that a user was made with, or that goes to what they go by; an expired one too. */
export const findOpen = async (db: Db, at: Date, poolId: string, identifier: Identifier) => {
  const row = await one(db, poolId)
    .where('identifierKind', '=', identifier.kind)
    .where('identifierValue', '=', identifier.value)
    .where('state', '=', 'pending')
    .executeTakeFirst()
  return row && invitationFrom(row, at)
}

/** By the hash of its link's token; looking uses nothing up (mail scanners look). */
export const findByHash = async (db: Db, at: Date, poolId: string, tokenHash: string) => {
  const row = await one(db, poolId).where('tokenHash', '=', tokenHash).executeTakeFirst()
  return row && invitationFrom(row, at)
}

/** Whether a client takes people back there: at one of its redirects' origins, or where it begins a sign-in. */
export const mayReturn = ({ metadata }: Client, to: string): boolean => {
  if (to === metadata.initiate_login_uri) return true
  const origin = originOf(to)
  return origin !== undefined && metadata.redirect_uris.some((uri) => originOf(uri) === origin)
}

// Schemes of an application's own have no origin that could be compared.
const originOf = (address: string): string | undefined =>
  /^https?:\/\//i.test(address) && URL.canParse(address) ? new URL(address).origin : undefined

/** An expired invitation makes room for the next one to the same address. */
const giveWay = async (db: Db, at: Date, poolId: string, { kind, value }: Identifier): Promise<void> => {
  await db
    .updateTable('invitations')
    .set({ state: 'revoked', data: sql<string>`data || '{"lapsed": true}'`, updatedAt: at })
    .where('poolId', '=', poolId)
    .where('identifierKind', '=', kind)
    .where('identifierValue', '=', value)
    .where('state', '=', 'pending')
    .where('expiresAt', '<=', at)
    .execute()
}

const tell = (
  db: Db,
  at: Date,
  { poolId, workspaceId, userId, identifier }: Invitation,
  type: 'invitation.created' | 'invitation.deleted',
  by: audit.By,
): Promise<void> =>
  audit.record(
    db,
    at,
    { poolId, workspaceId, userId: userId ?? undefined },
    { type, data: { by, name: identifier.value } },
  )

const one = (db: Db, poolId: string) => db.selectFrom('invitations').selectAll().where('poolId', '=', poolId)

const inState = (state: State, at: Date) =>
  ({
    pending: sql<boolean>`state = 'pending' and expires_at > ${at}`,
    expired: sql<boolean>`(state = 'pending' and expires_at <= ${at} or data @> '{"lapsed": true}')`,
    accepted: sql<boolean>`state = 'accepted'`,
    revoked: sql<boolean>`state = 'revoked' and not data @> '{"lapsed": true}'`,
  })[state]

const expiryOf = (at: Date, hours: number) => new Date(at.getTime() + hours * 3_600_000)

/** An invitation as it is at a time: it expires without anybody doing anything. */
export const invitationFrom = (row: Selectable<Database['invitations']>, at: Date): Invitation => {
  const offer = kept.parse(row.data)
  const over = row.state === 'pending' ? row.expiresAt <= at : offer.lapsed
  return {
    poolId: row.poolId,
    id: row.id,
    workspaceId: row.workspaceId,
    identifier: { kind: row.identifierKind, value: row.identifierValue, typed: row.identifierTyped },
    userId: row.userId,
    state: over ? 'expired' : row.state,
    offer,
    invitedBy: inviter.parse(row.invitedBy),
    tokenHash: row.tokenHash,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
    expiresAt: row.expiresAt,
    acceptedAt: row.acceptedAt,
  }
}
