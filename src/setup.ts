import { sql } from 'kysely'
import * as clients from './directory/clients.ts'
import * as connections from './directory/connections.ts'
import { allScopes } from './directory/operators.ts'
import * as pools from './directory/pools.ts'
import * as workspaces from './directory/workspaces.ts'
import * as keys from './oidc/keys.ts'
import type { Services } from './services.ts'

/** Makes what every installation has: the admin workspace with its pool, and the machine client of the environment. */
export const setUp = async (services: Services): Promise<void> => {
  const admin = await ensureWorkspace(services, {
    workspace: { slug: 'admin', name: 'Administration' },
    pool: { slug: 'administrators', name: 'Administrators' },
  })
  const { bootstrapClient } = services.config
  if (bootstrapClient) await ensureMachine(services, admin, bootstrapClient)
}

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
    pool: { slug: 'people', name: 'People', settings: { self_registration: true, user_schema } },
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
const ensureWorkspace = ({ db, clock, keyring }: Services, wanted: Wanted): Promise<string> =>
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
    resources: { [`${services.config.publicUrl}/api/v1`]: allScopes },
  })

type NewClient = Parameters<typeof clients.create>[3]

const ensureClient = async ({ db, clock }: Services, workspaceId: string, wanted: NewClient): Promise<void> => {
  const { id, secret, ...metadata } = wanted
  const known = await clients.find(db, workspaceId, id)
  if (!known) {
    await clients.create(db, clock.now(), workspaceId, wanted).catch(ignoreConflict)
    return
  }
  if (clients.differs(known, metadata, secret)) await clients.replace(db, workspaceId, id, metadata, secret)
}

const ignoreConflict = (error: unknown) => {
  if ((error as { code?: string }).code !== 'conflict') throw error
}

const findId = async (db: Services['db'], slug: string): Promise<string | undefined> =>
  (await db.selectFrom('workspaces').select('id').where('slug', '=', slug).executeTakeFirst())?.id

const lock = async (db: Services['db']): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtext('lido.setup'))`.execute(db)
}
