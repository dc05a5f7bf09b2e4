import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import type { Identifier } from './identifiers.ts'
import type { Sent } from './invitation-links.ts'
import * as invitations from './invitations.ts'
import * as operators from './operators.ts'
import * as pools from './pools.ts'
import * as workspaces from './workspaces.ts'

interface Wanted {
  identifier: Identifier
  /** Unless told: what a pending invitation says, else `owner` while there is none, else `admin`. */
  role?: operators.OperatorRole | undefined
  /** The only workspaces and pools, by id; unless told what a pending invitation says, else all. */
  limits?: Pick<operators.Grant, 'workspaces' | 'pools'>
  /** Whether the link is only told to whoever invites. */
  silent: boolean
  by?: audit.By
}

/**
 * Invites an address to operate everywhere, or again where it is invited: then the link before is dead. Needs a
 * transaction. Throws `conflict` where its account is deactivated, `not_found` where the administrators are missing.
 */
export const invite = async (
  db: Db,
  at: Date,
  services: Pick<Services, 'config' | 'keyring'>,
  { identifier, role: told, limits, silent, by = audit.system }: Wanted,
): Promise<Sent & { role: operators.OperatorRole }> => {
  await operators.lock(db)
  const [workspace, pool] = await Promise.all([
    workspaces.findBySlug(db, workspaces.adminSlug),
    pools.findBySlug(db, operators.poolSlug),
  ])
  if (!workspace || !pool) throw new Problem('not_found', { detail: 'There is no pool of administrators.' })
  const open = await invitations.findOpen(db, at, pool.id, identifier)
  const role = told ?? open?.offer.operates_as ?? (await usualRole(db, at))
  const sender = { services, workspace, silent }
  const operates_in = limits ?? open?.offer.operates_in ?? { workspaces: null, pools: null }
  await operators.refuseStrangers(db, operates_in)
  if (open?.offer.operates_as) {
    const changed = { ...open, offer: { ...open.offer, operates_as: role, operates_in, hours } }
    return { ...(await invitations.renew(db, at, sender, changed, by)), role }
  }
  // What somebody else put into an invitation of theirs is not taken over into one to operate.
  if (open) await invitations.revoke(db, at, open, by)
  const offer = {
    profile: {},
    groups: [],
    message: null,
    client_id: 'console',
    return_to: `${services.config.publicUrl}/console`,
    hours,
    operates_as: role,
    operates_in,
  }
  const wanted = { ...offer, identifier, inviter: undefined, lang: sender.workspace.settings.default_language }
  return { ...(await invitations.create(db, at, sender, pool.id, wanted, by)), role }
}

/** Whether somebody is invited to be an owner, besides `except`. */
export const isOwnerInvited = async (db: Db, at: Date, except?: Identifier): Promise<boolean> => {
  const row = await db
    .selectFrom('invitations')
    .innerJoin('pools', 'pools.id', 'invitations.poolId')
    .select('invitations.id')
    .where('pools.slug', '=', operators.poolSlug)
    .where('state', '=', 'pending')
    .where('expiresAt', '>', at)
    .where(sql<string>`invitations.data ->> 'operates_as'`, '=', 'owner')
    .$if(except !== undefined, (query) => query.where('identifierValue', '<>', except?.value ?? ''))
    .executeTakeFirst()
  return row !== undefined
}

const hours = 72

const usualRole = async (db: Db, at: Date): Promise<operators.OperatorRole> =>
  (await operators.exist(db)) || (await isOwnerInvited(db, at)) ? 'admin' : 'owner'
