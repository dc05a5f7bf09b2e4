import { createLocalJWKSet, errors, jwtVerify } from 'jose'
import type { Changes } from '../db/changes.ts'
import type { By } from '../directory/audit.ts'
import * as clients from '../directory/clients.ts'
import * as operators from '../directory/operators.ts'
import { keyStoreOf } from '../oidc/key-store.ts'
import { publicSet } from '../oidc/signing-keys.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { checkSender, presented, type Sender } from './sender.ts'

/** Who calls: a machine by its scopes, or an operator by the scopes of their token and what their role may do. */
export interface Actor {
  kind: 'client' | 'operator'
  id: string
  scopes: ReadonlySet<string>
  /** The only workspaces and pools that exist for this actor, by id; undefined where all do. */
  workspaces: ReadonlySet<string> | undefined
  pools: ReadonlySet<string> | undefined
}

export interface Access {
  /** Reads the token of a request. Throws `unauthorized` on anything but a live token for this API, and of its sender. */
  identify(sender: Sender): Promise<Actor>
}

/** Opens the check of tokens of the `admin` workspace (RFC 9068 section 4). */
export const openAccess = (services: Services, changes: Changes): Access => {
  const { db, config, clock } = services
  let kept: Promise<Issuer> | undefined
  changes.subscribe(() => {
    kept = undefined
  })
  const forget = (reading: Promise<Issuer>): void => {
    if (kept === reading) kept = undefined
  }
  const keep = (): Promise<Issuer> => {
    if (kept) return kept
    const reading = readIssuer(services)
    kept = reading
    reading.catch(() => forget(reading))
    return reading
  }
  const issuer = async (): Promise<Issuer> => {
    if (!changes.listening()) return readIssuer(services)
    const reading = keep()
    const { changesAt } = await reading
    if (!changesAt || changesAt > clock.now()) return reading
    // Nobody announces that a file is another one, or that a time has come.
    forget(reading)
    return keep()
  }
  return {
    async identify(sender) {
      const { token } = presented(sender)
      const { workspaceId, keys } = await issuer()
      const { payload } = await jwtVerify(token, keys, {
        issuer: `${config.publicUrl}/w/admin`,
        audience: `${config.publicUrl}/api/v1`,
        typ: 'at+jwt',
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
        requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
        clockTolerance: 5,
        currentDate: clock.now(),
      }).catch(refuse)
      await checkSender(services, sender, payload)
      const scopes = new Set(
        String(payload.scope ?? '')
          .split(' ')
          .filter(Boolean),
      )
      const client = await clients.find(db, workspaceId, String(payload.client_id))
      if (client?.status !== 'active') throw new Problem('unauthorized')
      if (payload.sub === payload.client_id) return machine(client.id, scopes)
      const grant = await operators.find(db, String(payload.sub))
      if (!grant) throw new Problem('forbidden', { detail: 'This account is not an operator.' })
      return operatorOf(grant, scopes)
    },
  }
}

/** Throws `forbidden` where the actor's scopes do not reach. */
export const demand = (actor: Actor, scope: string): void => {
  if (!may(actor, scope)) throw new Problem('forbidden', { detail: `This needs the scope "${scope}".` })
}

/** Whether the actor's scopes reach; whoever may write a resource may read it. */
export const may = ({ scopes }: Actor, scope: string): boolean => {
  const [resource] = scope.split(':')
  return scopes.has('admin') || scopes.has(scope) || (scope.endsWith(':read') && scopes.has(`${resource}:write`))
}

/** Throws `forbidden` for whoever may only see some workspaces or pools: what belongs to none is not theirs to make. */
export const demandEverything = ({ workspaces, pools }: Actor): void => {
  if (workspaces || pools) throw new Problem('forbidden', { detail: 'This needs an operator without limits.' })
}

/** Throws `forbidden` for whoever may only see some pools: what is told of all of a workspace's is not theirs to make. */
export const demandEveryPool = ({ pools }: Actor): void => {
  if (pools) throw new Problem('forbidden', { detail: 'This needs an operator who may see every pool.' })
}

/** The actor as events tell of it. */
export const byOf = ({ kind, id }: Actor): By => ({ kind, id })

interface Issuer {
  workspaceId: string
  keys: ReturnType<typeof createLocalJWKSet>
  /** When they have to be read again, if nothing changes before. */
  changesAt: Date | undefined
}

const readIssuer = async (services: Services): Promise<Issuer> => {
  const workspace = await services.db
    .selectFrom('workspaces')
    .select(['id', 'slug'])
    .where('slug', '=', 'admin')
    .where('status', '=', 'active')
    .executeTakeFirst()
  if (!workspace) throw new Problem('unauthorized')
  const keys = await (await keyStoreOf(services, workspace)).load(services.clock.now())
  return { workspaceId: workspace.id, keys: createLocalJWKSet(publicSet(keys)), changesAt: keys.changesAt }
}

const refuse = (error: unknown): never => {
  if (error instanceof errors.JOSEError)
    throw new Problem('unauthorized', { detail: 'The access token is not valid here.', cause: error })
  throw error
}

const machine = (id: string, scopes: Set<string>): Actor => ({
  kind: 'client',
  id,
  scopes,
  workspaces: undefined,
  pools: undefined,
})

/** An operator can do what their role may do and what their token was given, whichever is less; in the console, all of it. */
export const operatorOf = (
  { userId, role, workspaces, pools }: operators.Operator,
  asked: ReadonlySet<string> = new Set(['admin']),
): Actor => {
  const allowed = operators.scopesOf(role)
  const scopes = new Set(
    asked.has('admin') ? allowed : [...asked].filter((scope) => allowed.has(scope) || allowed.has('admin')),
  )
  return {
    kind: 'operator',
    id: userId,
    scopes,
    workspaces: workspaces ? new Set(workspaces) : undefined,
    pools: pools ? new Set(pools) : undefined,
  }
}
