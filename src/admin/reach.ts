import * as operators from '../directory/operators.ts'
import * as pools from '../directory/pools.ts'
import * as workspaces from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type Actor, demand } from './access.ts'

interface Caller {
  services: Services
  actor: Actor
}

/** A pool by slug or id, if it exists for this actor. Throws `not_found`, whichever it is. */
export const getPool = async ({ services, actor }: Caller, slugOrId: string): Promise<pools.Pool> => {
  const pool = isId(slugOrId)
    ? await pools.findById(services.db, slugOrId)
    : await pools.findBySlug(services.db, slugOrId)
  if (!pool || (actor.pools && !actor.pools.has(pool.id))) throw new Problem('not_found')
  return pool
}

/** The same for a change: how operators sign in is a matter of whoever may change operators. Throws `forbidden` too. */
export const getChangeablePool = async (call: Caller, slugOrId: string): Promise<pools.Pool> => {
  const pool = await getPool(call, slugOrId)
  if (pool.slug === operators.poolSlug) demand(call.actor, 'operators:write')
  return pool
}

/** A workspace by slug or id, if it exists for this actor. Throws `not_found`, whichever it is. */
export const getWorkspace = async ({ services, actor }: Caller, slugOrId: string): Promise<workspaces.Workspace> => {
  const { db } = services
  const workspace = isId(slugOrId) ? await workspaces.findById(db, slugOrId) : await workspaces.findBySlug(db, slugOrId)
  if (!workspace || (actor.workspaces && !actor.workspaces.has(workspace.id))) throw new Problem('not_found')
  return workspace
}

/** The same for a change, as for a pool. */
export const getChangeableWorkspace = async (call: Caller, slugOrId: string): Promise<workspaces.Workspace> => {
  const workspace = await getWorkspace(call, slugOrId)
  if (workspace.slug === workspaces.adminSlug) demand(call.actor, 'operators:write')
  return workspace
}

/** The ids of the only pools that exist for this actor; undefined where all do. */
export const amongOf = ({ actor }: Pick<Caller, 'actor'>): readonly string[] | undefined =>
  actor.pools && [...actor.pools]

/** The ETag of something people edit: it changes with every change. */
export const etagOf = ({ updatedAt }: { updatedAt: Date }): string => `"${updatedAt.getTime().toString(36)}"`

/** Throws `precondition_failed` where a change was meant for another version. */
export const checkMatch = (ifMatch: string | undefined, current: { updatedAt: Date }): void => {
  if (ifMatch === undefined || ifMatch === '*') return
  const named = ifMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  if (!named.includes(etagOf(current))) throw new Problem('precondition_failed')
}

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
