import { z } from 'zod'
import * as members from '../directory/group-members.ts'
import { type IdentifierKind, readIdentifier } from '../directory/identifiers.ts'
import * as operators from '../directory/operators.ts'
import { findHome, isKeptElsewhere, type Pool } from '../directory/pools.ts'
import { faultsOf, type ProfileFault } from '../directory/profiles.ts'
import * as roles from '../directory/roles.ts'
import * as tenants from '../directory/tenants.ts'
import type * as changes from '../directory/user-changes.ts'
import * as records from '../directory/user-records.ts'
import * as users from '../directory/users.ts'
import * as workspaces from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import { wordsFor } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { faultWord, type Word } from '../signin/form.ts'
import { refusePassword } from '../signin/passwords.ts'
import { type Actor, demand } from './access.ts'
import { amongOf, getPool, getWorkspace } from './reach.ts'

interface Call {
  services: Services
  actor: Actor
}

type Fault = { pointer: string; detail: string }

/** A user of a pool that exists for this actor, also a deleted one. Throws `not_found`. */
export const getRecord = async (call: Call & { params: { pool: string; id: string } }) => {
  const pool = await getPool(call, call.params.pool)
  const user = await records.find(call.services.db, pool.id, call.params.id)
  if (!user) throw new Problem('not_found')
  return { pool, user }
}

/**
 * The same for a change: a deleted user can only be read, and an operator only be changed by whoever may change
 * operators, or a helper could set an owner's password. Throws `not_found` and `forbidden`.
 */
export const getChangeable = async (call: Call & { params: { pool: string; id: string } }) => {
  const { pool, user } = await getRecord(call)
  if (user.status === 'deleted') throw new Problem('not_found')
  if (await operators.isOperator(call.services.db, pool.id, user.id)) demand(call.actor, 'operators:write')
  return { pool, user }
}

/** Throws `conflict` where what is known of a user is their source's to change. */
export const refuseKeptElsewhere = (pool: Pool, user: Pick<records.UserRecord, 'authority'>, what: string): void => {
  if (!isKeptElsewhere(pool, user)) return
  const type = pool.source?.type ?? 'source'
  const detail = `This pool is kept in step with its source (${type}): ${what} of its people can only be changed there.`
  throw new Problem('conflict', { detail })
}

/** The workspace that a message is sent from: the one named, else the first that the pool is connected to. */
export const senderOf = async (call: Call, pool: Pool, named: string | undefined): Promise<workspaces.Workspace> => {
  const pointer = '/workspace'
  const slug = named ?? (await findHome(call.services.db, pool.id, call.actor.workspaces))
  if (slug === undefined) throw refuse([{ pointer, detail: 'The pool is not connected to a workspace' }])
  const workspace = await getWorkspace(call, slug).catch((error: unknown) => {
    throw named !== undefined && error instanceof Problem
      ? refuse([{ pointer, detail: 'There is no such workspace' }])
      : error
  })
  if (!workspaces.openConnection(workspace, pool.id))
    throw refuse([{ pointer, detail: 'The pool is not connected to this workspace' }])
  return workspace
}

/** The name by which an operator invites; a machine has none. */
export const nameOf = async ({ services, actor }: Call): Promise<string | undefined> => {
  if (actor.kind !== 'operator') return undefined
  const user = await users.findById(services.db, actor.id)
  const told = [user?.profile.given_name, user?.profile.family_name]
    .filter((part) => typeof part === 'string')
    .join(' ')
  return told || user?.identifiers[0]?.typed
}

interface Told {
  type: IdentifierKind
  value: string
  verified: boolean
}

/** Identifiers in their canonical form, each once. Throws `unprocessable` with a pointer to each that cannot be. */
export const readIdentifiers = (pool: Pool, told: readonly Told[]) => {
  const faults: Fault[] = []
  const read = told.flatMap(({ type, value, verified }, index) => {
    const known = pool.settings.identifiers.includes(type)
    const identifier = known ? readIdentifier(value, [type], pool.settings.default_country) : undefined
    if (identifier) return [{ ...identifier, verified }]
    const pointer = `/identifiers/${index}/${known ? 'value' : 'type'}`
    faults.push({ pointer, detail: known ? `This is no ${type}` : `The pool does not know people by ${type}` })
    return []
  })
  if (new Set(read.map(({ kind, value }) => `${kind}:${value}`)).size < read.length)
    faults.push({ pointer: '/identifiers', detail: 'One of them is there twice' })
  if (faults.length > 0) throw refuse(faults)
  return read
}

/** Throws `unprocessable` with pointers where a profile or metadata does not fit the pool's schemas. */
export const checkAgainst = async (
  { settings }: Pool,
  { profile, metadata }: { profile: Record<string, unknown>; metadata: Record<string, unknown> },
): Promise<void> => {
  checkParts([
    { pointer: '/profile', value: profile, faults: await faultsOf(settings.user_schema, profile) },
    { pointer: '/metadata', value: metadata, faults: await faultsOf(settings.metadata_schema, metadata) },
  ])
}

/** Throws `unprocessable` where a value is too long to keep, or does not fit. */
export const checkParts = (parts: { pointer: string; value: object; faults: ProfileFault[] }[]): void => {
  const faults = parts.flatMap(({ pointer, value, faults: wrong }) => [
    ...(JSON.stringify(value).length > mostCharacters ? [{ pointer, detail: 'This is too much to keep' }] : []),
    ...wrong.map((fault) => ({ pointer: `${pointer}${pathOf(fault.property)}`, detail: inEnglish(faultWord(fault)) })),
  ])
  if (faults.length > 0) throw refuse(faults)
}

/** Throws `unprocessable` where the pool does not have all of these groups. */
export const checkGroups = async (db: Services['db'], { id }: Pool, wanted: readonly string[]): Promise<void> => {
  if (!(await members.areGroups(db, id, wanted)))
    throw refuse([{ pointer: '/groups', detail: 'The pool has no such group' }])
}

/** What may be promised to somebody who is made or invited. */
export const promised = {
  roles: z.array(z.uuid()).max(100).default([]).describe('Ids of the roles to have; needs the scope roles:write'),
  tenant: z
    .uuid()
    .nullable()
    .default(null)
    .describe('Id of the tenant to belong to, which the roles then count in; needs the scope tenants:write'),
}

/** Throws `unprocessable` where a promise names what does not exist for this actor, or is not for this pool. */
export const checkPromise = async (call: Call, pool: Pool, { roles: ids, tenant }: roles.Promised): Promise<void> => {
  if (ids.length > 0) demand(call.actor, 'roles:write')
  if (tenant !== null) demand(call.actor, 'tenants:write')
  const { db } = call.services
  const found = tenant === null ? undefined : await tenants.find(db, amongOf(call), tenant)
  if (tenant !== null && !(found && tenants.isFor(found, pool.id)))
    throw refuse([{ pointer: '/tenant', detail: 'There is no such tenant for this pool' }])
  const fitting = (await roles.listSome(db, amongOf(call), ids)).filter((role) => roles.mayCount(role, tenant))
  const faults = ids.flatMap((id, index) =>
    fitting.some((role) => role.id === id)
      ? []
      : [{ pointer: `/roles/${index}`, detail: 'There is no such role, or it is of another tenant' }],
  )
  if (faults.length > 0) throw refuse(faults)
}

// Every sign-in and token reads a profile.
const mostCharacters = 32_768

/**
 * Throws `unprocessable` where a password does not keep to the pool's policy, or the pool has none. What they had before
 * does not count: an operator could ask for it one guess after the other.
 */
export const checkPassword = async (
  services: Services,
  pool: Pool,
  password: string,
  known: Pick<changes.NewUser, 'profile'> & { names: string[] },
): Promise<void> => {
  const pointer = '/password'
  demandPasswords(pool, pointer)
  const told = Object.values(known.profile).filter((value) => typeof value === 'string')
  const weak = await refusePassword(services, pool, { password, context: [...known.names, ...told], warned: true })
  if (weak) throw refuse([{ pointer, detail: inEnglish(weak) }])
}

/** Throws `unprocessable` where a pool has no passwords. */
export const demandPasswords = ({ settings }: Pool, pointer: string): void => {
  if (!settings.sign_in_methods.includes('password'))
    throw refuse([{ pointer, detail: 'Nobody signs in to this pool by password' }])
}

export const refuse = (errors: Fault[]): Problem => new Problem('unprocessable', { errors })

export const inEnglish = ({ key, values }: Word): string => wordsFor('en').t(key, values)

const pathOf = (property: string): string =>
  property === '' ? '' : `/${property.replaceAll('~', '~0').replaceAll('/', '~1')}`
