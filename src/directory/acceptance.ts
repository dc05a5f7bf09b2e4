import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { plainCode } from '../platform/digits.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import * as credentials from './credentials.ts'
import * as members from './group-members.ts'
import type { Identifier } from './identifiers.ts'
import { type Invitation, invitationFrom } from './invitations.ts'
import * as operators from './operators.ts'
import * as roles from './roles.ts'
import * as users from './users.ts'

const mostTries = 5

/** Tries the code of a mail. One atomic statement, so that fifty wrong ones at once count fifty; five close it. */
export const tryCode = async (
  db: Db,
  at: Date,
  { keyring }: Services,
  workspaceId: string,
  poolIds: string[],
  { kind, value }: Identifier,
  code: string,
): Promise<Invitation | undefined> => {
  const found = await db
    .selectFrom('invitations')
    .select(['poolId', 'id'])
    .where('workspaceId', '=', workspaceId)
    .where('poolId', '=', sql<string>`any(${poolIds}::uuid[])`)
    .where('identifierKind', '=', kind)
    .where('identifierValue', '=', value)
    .where('state', '=', 'pending')
    .executeTakeFirst()
  if (!found) return undefined
  const typed = plainCode(code)
  const hashes = keyring.hmacs('code', `${found.id}:${typed}`)
  const row = await db
    .updateTable('invitations')
    .set({
      data: sql<string>`data || jsonb_build_object('tries',
        (data ->> 'tries')::int + (data ->> 'code_hash' <> all(${hashes}))::int)`,
    })
    .where('poolId', '=', found.poolId)
    .where('id', '=', found.id)
    .where('state', '=', 'pending')
    .where('expiresAt', '>', at)
    .where(sql<number>`(data ->> 'tries')::int`, '<', mostTries)
    .returningAll()
    .executeTakeFirst()
  const fits = row && hashes.includes(String((row.data as { code_hash?: string }).code_hash))
  return fits ? invitationFrom(row, at) : undefined
}

/** What somebody brings along who accepts. */
interface Acceptance {
  /** What the schema still needed. */
  profile: Record<string, unknown>
  passwordHash: string | undefined
}

/**
 * Accepts an invitation for whoever holds its link, which proves the mailbox: with the identifier, the groups, the
 * roles and the profile that are stored. One atomic statement takes it: of twenty at once one gets in. Answers undefined where it is
 * over.
 */
export const accept = (
  { db, clock }: Services,
  { poolId, tokenHash, workspaceId, offer: { operates_as } }: Invitation,
  { profile, passwordHash }: Acceptance,
): Promise<string | undefined> =>
  db.transaction().execute(async (trx) => {
    const at = clock.now()
    // In the order in which an invitation to operate is written, so that the two never wait for each other.
    if (operates_as) await operators.lock(trx)
    const row = await trx
      .updateTable('invitations')
      .set({ state: 'accepted', acceptedAt: at, updatedAt: at })
      .where('poolId', '=', poolId)
      .where('tokenHash', '=', tokenHash)
      .where('workspaceId', '=', workspaceId)
      .where('state', '=', 'pending')
      .where('expiresAt', '>', at)
      .returningAll()
      .executeTakeFirst()
    if (!row) return undefined
    const invitation = invitationFrom(row, at)
    const { id, offer } = invitation
    const userId = await letIn(trx, at, invitation, { profile: { ...offer.profile, ...profile }, passwordHash })
    // A group may be gone meanwhile; the others stand.
    await members.join(trx, at, poolId, userId, offer.groups)
    if (offer.operates_as) await makeOperator(trx, at, invitation, userId, offer.operates_as)
    await trx.updateTable('invitations').set({ userId }).where('poolId', '=', poolId).where('id', '=', id).execute()
    const about = { workspaceId, poolId, userId }
    const by = { kind: 'person', id: userId } as const
    await roles.keepPromise(trx, at, { poolId, userId }, offer, by)
    await audit.record(trx, at, about, { type: 'invitation.accepted', data: { by, invitation: id } })
    return userId
  })

/**
 * Whether nothing has to be set up any more: the address was proven before, and their password is their own. Not where
 * they are to operate: a helper may have made the account with a password that the helper knows.
 */
export const isSettled = (user: users.User, { identifier: { kind, value }, offer }: Invitation): boolean =>
  offer.operates_as === null &&
  user.status === 'active' &&
  user.identifiers.some((one) => one.kind === kind && one.value === value && one.verified)

/** Makes or activates whoever goes by an identifier that is proven now. Throws `expired` where they are locked out. */
const letIn = async (
  db: Db,
  at: Date,
  invitation: Invitation,
  { profile, passwordHash }: Acceptance,
): Promise<string> => {
  const { poolId, identifier } = invitation
  const made = await users.create(db, at, poolId, { identifier, status: 'active', verified: true, profile })
  if (made) {
    if (passwordHash) await credentials.setPassword(db, at, poolId, made, passwordHash)
    await tellOfRegistration(db, at, poolId, made, identifier)
    return made
  }
  const user = await users.lockByIdentifier(db, poolId, identifier)
  if (user?.status !== 'new' && user?.status !== 'active') throw new Problem('expired', { key: 'invitation_over' })
  if (isSettled(user, invitation)) return user.id
  await db
    .updateTable('users')
    .set({ status: 'active', profile: JSON.stringify({ ...user.profile, ...profile }), updatedAt: at })
    .where('poolId', '=', poolId)
    .where('id', '=', user.id)
    .execute()
  // Whatever was added before anybody proved this address may be a hijacker's (security.md A03–A05).
  await credentials.removeAll(db, poolId, user.id)
  await users.endEverything(db, poolId, user.id)
  if (passwordHash) await credentials.setPassword(db, at, poolId, user.id, passwordHash)
  await users.verifyIdentifier(db, at, poolId, identifier)
  await tellOfRegistration(db, at, poolId, user.id, identifier)
  return user.id
}

const makeOperator = async (
  db: Db,
  at: Date,
  { poolId, invitedBy: { kind, id }, offer }: Invitation,
  userId: string,
  role: operators.OperatorRole,
): Promise<void> => {
  const grant = { role, ...(await operators.stillThere(db, offer.operates_in)) }
  await operators.put(db, at, { poolId, userId }, grant, { kind, ...(id ? { id } : {}) }, () => {})
}

const tellOfRegistration = (db: Db, at: Date, poolId: string, userId: string, { kind }: Identifier): Promise<void> =>
  audit.record(db, at, { poolId, userId }, { type: 'user.registered', data: { identifier_kind: kind } })
