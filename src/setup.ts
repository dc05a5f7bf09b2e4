import { sql } from 'kysely'
import * as clients from './directory/clients.ts'
import * as connections from './directory/connections.ts'
import { readIdentifier } from './directory/identifiers.ts'
import * as operatorInvitations from './directory/operator-invitations.ts'
import * as operators from './directory/operators.ts'
import * as pools from './directory/pools.ts'
import * as workspaces from './directory/workspaces.ts'
import * as keys from './oidc/keys.ts'
import type { Services } from './services.ts'

/** Makes what every installation has: the admin workspace with its pool, and the machine client of the environment. */
export const setUp = async (services: Services): Promise<void> => {
  const admin = await ensureAdministration(services)
  const { bootstrapClient } = services.config
  if (bootstrapClient) await ensureMachine(services, admin, bootstrapClient)
  await ensureConsole(services, admin)
}

/** What making and inviting takes; a command has no more. */
type Tools = Pick<Services, 'config' | 'clock' | 'db' | 'keyring'>

/** Makes the admin workspace and the pool of administrators where they are missing; answers the workspace's id. */
export const ensureAdministration = (tools: Tools): Promise<string> =>
  ensureWorkspace(tools, {
    workspace: { slug: workspaces.adminSlug, name: 'Administration' },
    pool: { slug: operators.poolSlug, name: 'Administrators' },
  })

/** Whether there is somebody to operate, or how they come to be. */
export type FirstOperator = { is: 'known' } | { is: 'wanted' } | { is: 'invited'; link: string; expiresAt: Date }

/**
 * Looks for an operator, or an owner who is invited. Development invites a made-up one where there is neither, with a new
 * link at each start; nothing is mailed.
 */
export const findFirstOperator = ({ config, clock, db, keyring }: Tools): Promise<FirstOperator> =>
  db.transaction().execute(async (trx) => {
    const at = clock.now()
    await operators.lock(trx)
    const identifier = config.env === 'production' ? undefined : readIdentifier('admin@example.org', ['email'])
    if (await operators.exist(trx)) return { is: 'known' }
    if (await operatorInvitations.isOwnerInvited(trx, at, identifier)) return { is: 'known' }
    if (!identifier) return { is: 'wanted' }
    const wanted = { identifier, role: 'owner', silent: true } as const
    const { link, expiresAt } = await operatorInvitations.invite(trx, at, { config, keyring }, wanted)
    return { is: 'invited', link, expiresAt }
  })

/** Makes what development mode shows: a workspace that is open to registration, and an application in it. */
export const setUpDemo = async (services: Services): Promise<void> => {
  const user_schema = {
    type: 'object',
    properties: {
      given_name: { type: 'string', title: 'Given name', minLength: 1, maxLength: 100 },
      family_name: { type: 'string', title: 'Family name', maxLength: 100 },
    },
    required: ['given_name'],
  }
  const workspaceId = await ensureWorkspace(services, {
    workspace: { slug: 'demo', name: 'Lido Demo' },
    pool: {
      slug: 'people',
      name: 'People',
      settings: {
        self_registration: true,
        user_schema,
        sign_in_methods: ['password', 'email_code', 'passkey'],
        second_factor: 'optional',
      },
    },
  })
  const { publicUrl } = services.config
  await ensureClient(services, workspaceId, {
    id: 'demo',
    client_name: 'Demo application',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [`${publicUrl}/demo/callback`],
    post_logout_redirect_uris: [`${publicUrl}/demo`],
    first_party: true,
  })
}

interface Wanted {
  workspace: Parameters<typeof workspaces.create>[2]
  pool: Parameters<typeof pools.create>[2]
}

// Two nodes may start at once: the lock lets one of them make it all, and the other find it.
const ensureWorkspace = ({ db, clock, keyring }: Tools, wanted: Wanted): Promise<string> =>
  db.transaction().execute(async (trx) => {
    const now = clock.now()
    const known = await findId(trx, wanted.workspace.slug)
    if (known) return known
    await lock(trx)
    const made = await findId(trx, wanted.workspace.slug)
    if (made) return made
    const { id } = await workspaces.create(trx, now, wanted.workspace)
    const pool = (await pools.findBySlug(trx, wanted.pool.slug)) ?? (await pools.create(trx, now, wanted.pool))
    await connections.create(trx, now, id, { pool_id: pool.id, name: pool.name })
    await keys.generate(trx, keyring, now, id)
    return id
  })

const ensureMachine = (services: Services, workspaceId: string, { id, secret }: { id: string; secret: string }) =>
  ensureClient(services, workspaceId, {
    id,
    secret,
    client_name: 'Bootstrap',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    resources: { [`${services.config.publicUrl}/api/v1`]: operators.allScopes },
  })

const ensureConsole = (services: Services, workspaceId: string) =>
  ensureClient(services, workspaceId, {
    id: 'console',
    client_name: 'Lido Console',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    redirect_uris: [`${services.config.publicUrl}/console/callback`],
    post_logout_redirect_uris: [`${services.config.publicUrl}/console`],
    first_party: true,
  })

type NewClient = Parameters<typeof clients.create>[3]

const ensureClient = ({ db, clock, config }: Services, workspaceId: string, wanted: NewClient): Promise<void> =>
  db.transaction().execute(async (trx) => {
    await lock(trx)
    const { id, secret, ...metadata } = wanted
    const known = await clients.find(trx, workspaceId, id)
    if (!known) {
      await clients.create(trx, clock.now(), workspaceId, wanted)
      return
    }
    const all = { ...metadata, ...(config.env === 'production' ? {} : reachedAt(known.metadata, metadata)) }
    if (clients.differs(known, all, secret)) await clients.replace(trx, workspaceId, id, all, secret)
  })

type Reached = Pick<NewClient, 'redirect_uris' | 'post_logout_redirect_uris'>

// Two development servers on one database differ in their port; an application of ours is reached at both.
const reachedAt = (known: Reached, wanted: Reached): Reached => ({
  redirect_uris: [...new Set([...(known.redirect_uris ?? []), ...(wanted.redirect_uris ?? [])])],
  post_logout_redirect_uris: [
    ...new Set([...(known.post_logout_redirect_uris ?? []), ...(wanted.post_logout_redirect_uris ?? [])]),
  ],
})

const findId = async (db: Services['db'], slug: string): Promise<string | undefined> =>
  (await db.selectFrom('workspaces').select('id').where('slug', '=', slug).executeTakeFirst())?.id

const lock = async (db: Services['db']): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtext('lido.setup'))`.execute(db)
}
