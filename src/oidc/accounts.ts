import { unmappedClaims } from '../directory/connections.ts'
import { namesUpstream } from '../directory/contexts.ts'
import * as groups from '../directory/groups.ts'
import * as roles from '../directory/roles.ts'
import * as users from '../directory/users.ts'
import { type Connection, openConnection, type Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import { claimsOf, mappedClaims } from './claims.ts'
import { findContext, sessionBehind, toldIn } from './contexts.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { claimsCarried, type Wishes, withValues } from './requested-claims.ts'
import { inIdToken, marked, saidIn } from './said.ts'
import { seeAccount, seenHere } from './seen.ts'
import { referenceFor } from './subject-reference.ts'
import type { Wiring } from './wiring.ts'

/** Whoever a `sub` belongs to, if they may still sign in to this client here. */
export const findAccount = async (
  { services, workspace, reload }: Pick<Wiring, 'services' | 'workspace'> & Partial<Pick<Wiring, 'reload'>>,
  ctx: KoaContextWithOIDC,
  sub: string,
) => {
  const known = await findUser(services, sub)
  const connection = known && openConnection(workspace, known.poolId)
  const open = ctx.oidc.client?.connections as string[] | null | undefined
  // Whoever may not come in anyway is asked about nowhere.
  if (!known || !connection || !accountOf(known, workspace, open)) return undefined
  const reloads = connection.reloadClaimsAtRefresh && ctx.oidc.params?.grant_type === 'refresh_token'
  const user = reload && reloads ? await reloaded({ services, workspace, reload }, ctx, known, connection) : known
  const account = user && accountOf(user, workspace, open)
  if (!account) return undefined
  return {
    ...account,
    // Asked of the database only where they are asked for: most tokens tell nothing of these.
    claims: async (use: string, scope: string, asked: Wishes = {}) => {
      const scopes = new Set(scope.split(' '))
      const belonging = await belongings(services, user, scopes, new Set(Object.keys(asked)))
      const upstream = await toldOutside({ services, workspace }, user, connection, sessionBehind(ctx))
      const told = withValues({ ...(await account.claims(upstream)), ...belonging }, asked)
      return {
        ...told,
        sub: user.id,
        ...(use === 'id_token' ? inIdToken(ofIdToken({ services, workspace }, ctx, scopes, told, user)) : {}),
        ...marked(saidIn(services, user.id, ctx.oidc.grant, connection.contextCacheSeconds)),
      }
    },
  }
}

/** Brings somebody up to date, and remembers for this request what was learnt of them anew. */
const reloaded = async (
  wiring: Pick<Wiring, 'services' | 'workspace' | 'reload'>,
  ctx: KoaContextWithOIDC,
  known: users.User,
  connection: Connection,
): Promise<users.User | undefined> => {
  const session = sessionBehind(ctx)
  const after = await wiring.reload(known, connection, () => findContext(wiring, known, connection, session))
  if (session !== undefined && after?.context) seenHere()?.seen.contexts.set(session, Promise.resolve(after.context))
  if (after) seenHere()?.seen.reloaded.set(known.id, after.user)
  return after?.user
}

/** What was told of somebody outside, where their connection's mapping names any of it. */
const toldOutside = async (
  wiring: Pick<Wiring, 'services' | 'workspace'>,
  user: users.User,
  connection: Connection,
  session: string | undefined,
): Promise<Record<string, unknown> | undefined> =>
  namesUpstream(connection.mapping)
    ? toldIn(wiring.services, await findContext(wiring, user, connection, session), connection)
    : undefined

/** What an ID token tells besides what the engine puts there: claims of its scopes, for a client that wants them there. */
const ofIdToken = (
  { services: { keyring }, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  { oidc: { client, grant } }: KoaContextWithOIDC,
  scopes: ReadonlySet<string>,
  told: Record<string, unknown>,
  { id }: users.User,
): Record<string, unknown> => {
  const granted = grant?.getOIDCScopeFiltered(new Set(scopes)).split(' ') ?? scopes
  const names = client?.id_token_claims === 'scopes' ? claimsCarried(workspace, granted) : new Set<string>()
  const chosen = Object.entries(told).filter(([name]) => names.has(name))
  return { ...Object.fromEntries(chosen), ...referenceFor(keyring, client, id) }
}

/** A user as the engine knows one; undefined where they may not sign in to this workspace, or not by these connections. */
const accountOf = (user: users.User, workspace: Workspace, connections: string[] | null | undefined) => {
  const connection = openConnection(workspace, user.poolId)
  if (user.status !== 'active' || !connection) return undefined
  if (connections && !connections.includes(connection.id)) return undefined
  const { script, application } = connection.postAuthentication
  const askedOf = script !== null || application !== null
  return {
    accountId: user.id,
    askedOf,
    claims: async (upstream?: Record<string, unknown>) => claimsOf(user, connection, upstream),
  }
}

/** What somebody belongs to and may do, where scopes ask for it, or a request does claim by claim. */
const belongings = async (
  { db }: Services,
  { poolId, id }: users.User,
  scopes: ReadonlySet<string>,
  asked: ReadonlySet<string> = new Set(),
) => {
  const wants = (claim: string, scope: string) => scopes.has(scope) || asked.has(claim)
  const wanted = {
    groups: wants('groups', 'groups'),
    roles: wants('roles', 'roles'),
    permissions: wants('permissions', 'roles'),
    tenant: wants('tenant_id', 'tenant'),
  }
  const [paths, standing] = await Promise.all([
    wanted.groups ? groups.pathsOf(db, poolId, id) : undefined,
    wanted.roles || wanted.permissions || wanted.tenant ? roles.standingOf(db, poolId, id) : undefined,
  ])
  return {
    ...(paths ? { groups: paths } : {}),
    ...(standing && wanted.roles ? { roles: standing.roles } : {}),
    ...(standing && wanted.permissions ? { permissions: standing.permissions } : {}),
    ...(standing?.tenantId && wanted.tenant ? { tenant_id: standing.tenantId } : {}),
  }
}

/**
 * What a token for a resource tells by itself: how its person was authenticated (RFC 9068 section 2.2.1), their groups and
 * roles where the scopes ask for them (section 2.2.3.1), and with the scope `profile` what the connection's mapping adds.
 */
export const toldFor = async (
  wiring: Pick<Wiring, 'services' | 'workspace'>,
  ctx: KoaContextWithOIDC,
  token: object,
): Promise<Record<string, unknown> | undefined> => {
  const { services } = wiring
  const { accountId, scopes, aud } = token as { accountId?: string; scopes?: Set<string>; aud?: unknown }
  if (!accountId || !aud) return undefined
  const belonging = scopes && ['groups', 'roles', 'tenant'].some((scope) => scopes.has(scope))
  const user = belonging ? await findUser(services, accountId) : undefined
  return {
    // What is stored tells nothing of this by itself: it is looked up when somebody asks.
    ...(isSigned(token) ? await mappedFor(wiring, token) : {}),
    ...authenticationOf(ctx),
    ...(user && scopes ? await belongings(services, user, scopes) : {}),
  }
}

const isSigned = (token: object): boolean =>
  (token as { resourceServer?: { accessTokenFormat?: string } }).resourceServer?.accessTokenFormat === 'jwt'

/** What a connection's mapping adds to a token of one of its people, where its scopes ask for that. */
const mappedFor = async (
  wiring: Pick<Wiring, 'services' | 'workspace'>,
  token: object,
): Promise<Record<string, unknown>> => {
  const { accountId, scopes, sessionUid } = token as { accountId?: string; scopes?: Set<string>; sessionUid?: string }
  const { connections } = wiring.workspace
  if (accountId === undefined || !scopes?.has('profile')) return {}
  if (connections.every(({ mapping }) => Object.keys(mapping).length === 0)) return {}
  const user = seenHere()?.seen.reloaded.get(accountId) ?? (await findUser(wiring.services, accountId))
  const connection = user && openConnection(wiring.workspace, user.poolId)
  if (!connection) return {}
  return mappedClaims(user, connection.mapping, (await toldOutside(wiring, user, connection, sessionUid)) ?? {})
}

interface Source {
  acr?: string
  amr?: string[]
  authTime?: number
}

/** How whoever a token is made for has proven who they are, by what it is made from. */
const authenticationOf = ({ oidc }: KoaContextWithOIDC): Record<string, unknown> => {
  const { AuthorizationCode, RefreshToken, DeviceCode, BackchannelAuthenticationRequest } = oidc.entities
  const from: Source = (RefreshToken ??
    AuthorizationCode ??
    DeviceCode ??
    BackchannelAuthenticationRequest ??
    {}) as Source
  const { acr, amr, authTime } = from
  return {
    ...(authTime === undefined ? {} : { auth_time: authTime }),
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  }
}

const findUser = async ({ db }: Services, sub: string) => {
  const here = seenHere()
  const known = here?.seen.accounts.get(sub)
  if (known) return known
  const found = /^[0-9a-f-]{36}$/.test(sub) ? await users.findById(db, sub) : undefined
  if (found && here) seeAccount(here.seen, found)
  return found
}

/** What was said at the sign-in that a token is from, for whoever may ask what the token means. */
export const saidBehind = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  { oidc }: KoaContextWithOIDC,
  token: object,
): Promise<Record<string, unknown>> => {
  const { accountId } = token as { accountId?: string }
  if (accountId === undefined || !oidc.grant) return {}
  const user = await findUser(services, accountId)
  const connection = user && openConnection(workspace, user.poolId)
  if (!connection) return {}
  const said = saidIn(services, user.id, oidc.grant, connection.contextCacheSeconds)
  // What an answer says of the token itself, such as who acts by it, is nobody else's to say.
  const beside = Object.entries(said).filter(([name]) => !unmappedClaims.has(name))
  return { ...(await mappedFor({ services, workspace }, token)), ...Object.fromEntries(beside) }
}

/** Whether the person of a token, if it has one, may still sign in to its client. */
export const isAlive = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  client: object,
  token: object,
): Promise<boolean> => {
  const { accountId } = token as { accountId?: string }
  if (accountId === undefined) return true
  const user = await findUser(services, accountId)
  const { connections } = client as { connections?: string[] | null }
  return user !== undefined && accountOf(user, workspace, connections) !== undefined
}
