import { hash } from '@node-rs/argon2'
import { system } from '../src/directory/audit.ts'
import { deviceGrant, exchangeGrant } from '../src/directory/client-metadata.ts'
import * as clients from '../src/directory/clients.ts'
import * as connections from '../src/directory/connections.ts'
import type { PoolSettings } from '../src/directory/pool-settings.ts'
import * as pools from '../src/directory/pools.ts'
import * as resources from '../src/directory/resources.ts'
import * as workspaces from '../src/directory/workspaces.ts'
import { engineKeys } from '../src/oidc/engine-keys.ts'
import * as keys from '../src/oidc/keys.ts'
import { type Keyring, openKeyring, randomToken } from '../src/platform/secrets.ts'
import type { Database } from './database.ts'
import { fixture } from './fixture.ts'

/** What the bench put into its database. */
export interface Seed {
  secret: string
  keyring: Keyring
  workspaceId: string
  poolId: string
  /** The pool whose people sign in by a passkey. */
  keysPoolId: string
  /** The workspace's private keys, which the bare engine signs with, too. */
  jwks: string
  passwordHash: string
}

export const users = 400

/** Makes the workspace that is measured: its keys, pool, clients, and people who share one password. */
export const seed = async (database: Database): Promise<Seed> => {
  const secret = randomToken()
  const keyring = openKeyring([secret])
  const now = new Date()
  const { db } = database
  const { id: workspaceId } = await workspaces.create(db, now, { slug: fixture.workspace, name: 'Bench' })
  const pool = await pools.create(db, now, { slug: 'bench', name: 'Bench' })
  await connections.create(db, now, workspaceId, { pool_id: pool.id, name: pool.name })
  await keys.generate(db, keyring, now, workspaceId)
  await registerClients(database, workspaceId)
  const codesPoolId = await makeOther(database, keyring, fixture.codes, ['email_code'])
  const keysPoolId = await makeOther(database, keyring, fixture.keys, ['passkey', 'email_code'])
  const jwks = engineKeys(await keys.load(db, keyring, now, workspaceId))
  const passwordHash = await hash(fixture.password, { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  const made = { secret, keyring, workspaceId, poolId: pool.id, keysPoolId, jwks: JSON.stringify(jwks), passwordHash }
  await addUsers(database, made, 0, users)
  for (const poolId of [codesPoolId, keysPoolId]) await addUsers(database, { ...made, poolId }, 0, users)
  await addArtifacts(database, made, 0, users)
  await addTraces(database, made)
  // What is planned for empty tables would be run on full ones, until PostgreSQL looks at them a minute later.
  await database.pool.query('vacuum analyze')
  return made
}

type Methods = PoolSettings['sign_in_methods']

/** A workspace whose people sign in by other methods; answers its pool's id. */
const makeOther = async ({ db }: Database, keyring: Keyring, slug: string, methods: Methods): Promise<string> => {
  const now = new Date()
  const { id } = await workspaces.create(db, now, { slug, name: slug })
  const pool = await pools.create(db, now, { slug, name: slug, settings: { sign_in_methods: methods } })
  await connections.create(db, now, id, { pool_id: pool.id, name: pool.name })
  await keys.generate(db, keyring, now, id)
  await registerApplication(db, id)
  return pool.id
}

const registerApplication = async (db: Database['db'], workspaceId: string): Promise<void> => {
  await clients.create(db, new Date(), workspaceId, {
    ...fixture.client,
    client_name: 'Application',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [fixture.redirectUri],
    first_party: true,
  })
}

const registerClients = async ({ db }: Database, workspaceId: string): Promise<void> => {
  const { machine, resource, signed } = fixture
  await registerApplication(db, workspaceId)
  await clients.create(db, new Date(), workspaceId, {
    ...machine,
    client_name: 'Machine',
    grant_types: ['client_credentials'],
    resources: Object.fromEntries([resource.uri, ...Object.values(signed)].map((uri) => [uri, [resource.scope]])),
  })
  await clients.create(db, new Date(), workspaceId, {
    ...fixture.gate,
    client_name: 'Gate',
    grant_types: [exchangeGrant],
    token_exchange: { subjects: 'any', impersonation: true },
  })
  await clients.create(db, new Date(), workspaceId, {
    ...fixture.television,
    client_name: 'Television',
    token_endpoint_auth_method: 'none',
    grant_types: [deviceGrant],
  })
  for (const [alg, identifier] of Object.entries(signed) as [keyof typeof signed, string][]) {
    const record = { identifier, name: alg, signing_alg: alg, scopes: [{ name: resource.scope }] }
    await resources.create(db, new Date(), workspaceId, record, system)
  }
}

/**
 * Adds the users numbered from `first` to below `end`, active, each with a proven address and the password. One in a
 * hundred has the same family name: what is found by a name is cut off in the middle of those who bear it.
 */
export const addUsers = async (
  { pool }: Database,
  { poolId, passwordHash }: Pick<Seed, 'poolId' | 'passwordHash'>,
  first: number,
  end: number,
) => {
  await pool.query(
    `with people as materialized (
      select n, uuidv7() as id from generate_series($2::int, $3::int - 1) as n
    ), users as (
      insert into users (pool_id, id, status, profile)
      select $1, id, 'active', jsonb_build_object('given_name', 'Ada' || n % 10, 'family_name', 'Lovelace' || n % 100) from people
    ), identifiers as (
      insert into identifiers (pool_id, kind, value, user_id, typed, verified_at)
      select $1, 'email', 'user' || n || '@bench.example', id, 'user' || n || '@bench.example', now() from people
    )
    insert into credentials (pool_id, id, user_id, kind, data)
    select $1, uuidv7(), id, 'password', jsonb_build_object('hash', $4::text) from people`,
    [poolId, first, end, passwordHash],
  )
}

/** Adds artifacts that are alive: grants, refresh tokens, access tokens and sessions in turn, like the engine's own. */
export const addArtifacts = async ({ pool }: Database, { workspaceId, poolId }: Seed, first: number, end: number) => {
  await pool.query(
    `with made as (
      select n, (array['Grant', 'RefreshToken', 'AccessToken', 'Session'])[1 + n % 4] as kind,
        encode(sha256(('artifact ' || n)::bytea), 'hex') as id, encode(sha256(('grant ' || n / 4)::bytea), 'hex') as grant_id,
        uuidv7() as user_id
      from generate_series($3::int, $4::int - 1) as n
    )
    insert into artifacts (workspace_id, id, kind, payload, grant_id, uid, pool_id, user_id, client_id, expires_at)
    select $1, id, kind, jsonb_build_object('accountId', user_id, 'clientId', 'app', 'scope', 'openid profile email',
        'grantId', grant_id, 'iat', 1790000000, 'exp', 1890000000, 'filler', repeat(id, 4)),
      case when kind in ('RefreshToken', 'AccessToken') then grant_id end, case when kind = 'Session' then id end,
      $2, user_id, 'app', now() + interval '30 days' + n * interval '1 millisecond'
    from made`,
    [workspaceId, poolId, first, end],
  )
}

/** Attempts, counters and events, as if people had been here before. */
const addTraces = async ({ pool }: Database, { workspaceId, poolId }: Seed): Promise<void> => {
  const numbers = `generate_series(1, ${users}) as n`
  await pool.query(
    `insert into attempts (workspace_id, id, version, data, expires_at)
    select $1, 'attempt ' || n, 1, '{}', now() + interval '1 hour' from ${numbers}`,
    [workspaceId],
  )
  await pool.query(
    `insert into events (id, type, workspace_id, pool_id, user_id, at)
    select uuidv7(), 'sign_in.succeeded', $1, $2, uuidv7(), now() from ${numbers}`,
    [workspaceId, poolId],
  )
  await pool.query(
    `insert into limits (key, points, resets_at) select 'key ' || n, 1, now() + interval '1 hour' from ${numbers}`,
  )
}
