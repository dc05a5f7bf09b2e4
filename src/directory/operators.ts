import type { Db } from '../db/connect.ts'

export type OperatorRole = 'owner' | 'admin' | 'helpdesk' | 'viewer'

/** A user of the administrators' pool who may operate; limited to some workspaces and pools where those are named. */
export interface Operator {
  poolId: string
  userId: string
  role: OperatorRole
  workspaces: string[] | null
  pools: string[] | null
}

/** An operator by the `sub` of their token; undefined for anyone else and for whoever is not active. */
export const find = (db: Db, userId: string): Promise<Operator | undefined> =>
  db
    .selectFrom('operators')
    .innerJoin('users', (join) =>
      join.onRef('users.poolId', '=', 'operators.poolId').onRef('users.id', '=', 'operators.userId'),
    )
    .select(['operators.poolId', 'operators.userId', 'role', 'workspaces', 'pools'])
    .where('operators.userId', '=', userId)
    .where('status', '=', 'active')
    .executeTakeFirst()

/** The scopes of the admin API, two a resource, and `admin` for all of them. A new resource is a name here. */
export const resources = [
  'workspaces',
  'clients',
  'connections',
  'keys',
  'scripts',
  'pools',
  'users',
  'groups',
  'invitations',
  'imports',
  'exports',
  'migration',
  'tenants',
  'roles',
  'operators',
  'events',
  'stats',
] as const

export const allScopes: string[] = ['admin', ...resources.flatMap((name) => [`${name}:read`, `${name}:write`])]

/** What a role may do at most. */
export const scopesOf = (role: OperatorRole): ReadonlySet<string> => roles[role]

const reading = resources.map((name) => `${name}:read`)

const roles: Record<OperatorRole, ReadonlySet<string>> = {
  owner: new Set(allScopes),
  admin: new Set(allScopes.filter((scope) => scope !== 'admin' && scope !== 'operators:write')),
  helpdesk: new Set([
    'users:read',
    'users:write',
    'invitations:read',
    'invitations:write',
    'groups:read',
    'pools:read',
  ]),
  viewer: new Set(reading),
}
