import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import * as members from './group-members.ts'
import type { Identifier } from './identifiers.ts'
import * as links from './links.ts'
import * as operators from './operators.ts'
import * as roles from './roles.ts'
import * as tombstones from './tombstones.ts'
import * as identifiersOf from './user-identifiers.ts'
import * as records from './user-records.ts'
import * as users from './users.ts'
import { nextVersion } from './version.ts'

/** What an operator makes a user of. */
export interface NewUser {
  status: 'new' | 'active'
  identifiers: (Identifier & { verified: boolean })[]
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  /** Groups of the pool, by id. */
  groups: string[]
  /** What they are from the start; nothing where absent. */
  promised?: roles.Promised
}

/** Makes a user as an operator asks. Throws `conflict` on a taken identifier, `unprocessable` on an unknown group or role. */
export const make = async (
  db: Db,
  at: Date,
  poolId: string,
  { status, identifiers, profile, metadata, groups, promised }: NewUser,
  by: audit.By,
): Promise<string> => {
  const id = uuidv7(at)
  await db
    .insertInto('users')
    .values({ poolId, id, status, profile: JSON.stringify(profile), metadata: JSON.stringify(metadata) })
    .execute()
  await identifiersOf.add(db, at, poolId, id, identifiers)
  if (!(await members.join(db, at, poolId, id, groups)))
    throw new Problem('unprocessable', { errors: [{ pointer: '/groups', detail: 'The pool has no such group' }] })
  const name = identifiers[0]?.typed ?? ''
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.created', data: { by, name } })
  if (promised && !(await roles.keepPromise(db, at, { poolId, userId: id }, promised, by)))
    throw new Problem('unprocessable', { errors: [{ pointer: '/roles', detail: 'A role or the tenant is gone' }] })
  return id
}

/** What an operator may change of a user. */
export interface Change {
  status: users.User['status']
  identifiers: (Identifier & { verified: boolean })[]
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
}

/**
 * Changes a user whom `findForUpdate` has read. Whoever is not active any more is signed out everywhere. Throws
 * `conflict` on a taken identifier and where nobody would be left to own the installation.
 */
export const update = async (
  db: Db,
  at: Date,
  before: records.UserRecord,
  { identifiers, ...change }: Change,
  by: audit.By,
): Promise<records.UserRecord> => {
  const { poolId, id } = before
  const { status, profile, metadata } = change
  if (before.status === 'active' && status !== 'active') await operators.keepAnOwner(db, poolId, id)
  await db
    .updateTable('users')
    .set({
      status,
      profile: JSON.stringify(profile),
      metadata: JSON.stringify(metadata),
      updatedAt: nextVersion(at, before),
    })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  await identifiersOf.replace(db, at, before, identifiers)
  await revokeStrayed(db, at, poolId, id)
  if (status === 'inactive') await users.endEverything(db, poolId, id)
  const after = (await records.find(db, poolId, id)) ?? before
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.updated', data })
  return after
}

/**
 * Deletes a user for good: a tombstone stays, so that the `sub` is never anybody else's. Throws `conflict` where nobody
 * would be left to own the installation.
 */
export const remove = async (db: Db, at: Date, before: records.UserRecord, by: audit.By): Promise<void> => {
  const { poolId, id } = before
  await operators.keepAnOwner(db, poolId, id)
  const named = before.identifiers.map(({ kind, value }) => ({ kind, value }))
  const outside = before.externalId === null ? [] : [{ kind: 'external_id', value: before.externalId } as const]
  await tombstones.lay(db, at, poolId, id, [...outside, ...named])
  await db
    .updateTable('users')
    .set({ status: 'deleted', profile: '{}', metadata: '{}', externalId: null, updatedAt: nextVersion(at, before) })
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .execute()
  const theirs = [
    'identifiers',
    'credentials',
    'consents',
    'places',
    'groupMembers',
    'userRoles',
    'tenantMembers',
    'operators',
  ] as const
  for (const table of theirs) await db.deleteFrom(table).where('poolId', '=', poolId).where('userId', '=', id).execute()
  await links.removeAll(db, poolId, id)
  await revokeStrayed(db, at, poolId, id)
  await users.endEverything(db, poolId, id)
  await audit.record(db, at, { poolId, userId: id }, { type: 'user.deleted', data: { by } })
}

/** Takes back invitations to a user by what they do not go by any more. */
const revokeStrayed = async (db: Db, at: Date, poolId: string, userId: string): Promise<void> => {
  await sql`
    update invitations v set state = 'revoked', updated_at = ${at}
    where pool_id = ${poolId} and user_id = ${userId} and state = 'pending' and not exists (
      select from identifiers n where n.pool_id = v.pool_id and n.user_id = v.user_id
        and n.kind = v.identifier_kind and n.value = v.identifier_value)`.execute(db)
}
