import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import * as users from '../directory/users.ts'
import { openConnection, type Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import { claimsOf } from './claims.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { seeAccount, seenHere } from './seen.ts'
import type { Wiring } from './wiring.ts'

/** Whoever a `sub` belongs to, if they may still sign in to this client here. */
export const findAccount = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  ctx: KoaContextWithOIDC,
  sub: string,
) => {
  const user = await findUser(services, sub)
  const account = user && accountOf(user, workspace, ctx.oidc.client?.connections as string[] | null | undefined)
  if (!account) return undefined
  return {
    ...account,
    // Asked of the database only where they are asked for: most tokens tell nothing of these.
    claims: async (_use: string, scope: string) => ({
      ...(await account.claims()),
      ...(await belongings(services, user, new Set(scope.split(' ')))),
    }),
  }
}

/** A user as the engine knows one; undefined where they may not sign in to this workspace, or not by these connections. */
export const accountOf = (user: users.User, workspace: Workspace, connections: string[] | null | undefined) => {
  const connection = openConnection(workspace, user.poolId)
  if (user.status !== 'active' || !connection) return undefined
  if (connections && !connections.includes(connection.id)) return undefined
  return { accountId: user.id, claims: async () => claimsOf(user, connection) }
}

/** What somebody belongs to and may do, where scopes ask for it. */
const belongings = async ({ db }: Services, { poolId, id }: users.User, scopes: ReadonlySet<string>) => {
  const [paths, standing] = await Promise.all([
    scopes.has('groups') ? groups.pathsOf(db, poolId, id) : undefined,
    scopes.has('roles') || scopes.has('tenant') ? roles.standingOf(db, poolId, id) : undefined,
  ])
  return {
    ...(paths ? { groups: paths } : {}),
    ...(standing && scopes.has('roles') ? { roles: standing.roles, permissions: standing.permissions } : {}),
    ...(standing?.tenantId && scopes.has('tenant') ? { tenant_id: standing.tenantId } : {}),
  }
}

/** RFC 9068 section 2.2.3.1: a token for a resource that may know of groups and roles tells them itself. */
export const toldFor = async (services: Services, token: object): Promise<Record<string, unknown> | undefined> => {
  const { accountId, scopes, aud } = token as { accountId?: string; scopes?: Set<string>; aud?: unknown }
  if (!accountId || !aud || !scopes || !['groups', 'roles', 'tenant'].some((scope) => scopes.has(scope)))
    return undefined
  const user = await findUser(services, accountId)
  return user && belongings(services, user, scopes)
}

const findUser = async ({ db }: Services, sub: string) => {
  const here = seenHere()
  const known = here?.seen.accounts.get(sub)
  if (known) return known
  const found = /^[0-9a-f-]{36}$/.test(sub) ? await users.findById(db, sub) : undefined
  if (found && here) seeAccount(here.seen, found)
  return found
}

/** Whether the person of a token, if it has one, may still sign in to its client. */
export const isAlive = async (
  wiring: Pick<Wiring, 'services' | 'workspace'>,
  ctx: KoaContextWithOIDC,
  token: object,
): Promise<boolean> => {
  const { accountId } = token as { accountId?: string }
  return accountId === undefined || (await findAccount(wiring, ctx, accountId)) !== undefined
}
