import { sha256, uuidv7 } from '../src/platform/secrets.ts'
import { open } from './connection.ts'
import type { Database } from './database.ts'
import { fixture } from './fixture.ts'
import type { Served } from './processes.ts'
import type { Seed } from './seed.ts'

/** Bytes of one process that has built one workspace, and of the same process after many. */
export interface ManyWorkspaces {
  count: number
  one: number
  many: number
}

/** Builds many workspaces in one process, each with keys, a pool, a client and a token signed. */
export const measureWorkspaces = async (
  database: Database,
  seed: Seed,
  server: Served,
  count: number,
): Promise<ManyWorkspaces> => {
  await addWorkspaces(database, seed, count)
  await useAll(server, [fixture.workspace])
  const one = await rssAfterCollection(server)
  await useAll(
    server,
    Array.from({ length: count }, (_, n) => slugOf(n)),
  )
  return { count, one, many: await rssAfterCollection(server) }
}

const slugOf = (n: number): string => `many-${n}`

const rssAfterCollection = async (server: Served): Promise<number> => {
  await server.ask({ ask: 'collect' })
  return (await server.ask({ ask: 'usage' })).rss
}

const useAll = async (server: Served, slugs: string[]): Promise<void> => {
  const { resource, machine } = fixture
  const body = new URLSearchParams({ grant_type: 'client_credentials', resource: resource.uri }).toString()
  const authorization = `Basic ${Buffer.from(`${machine.id}:${machine.secret}`).toString('base64')}`
  const connection = open(server.origin)
  for (const slug of slugs) {
    const discovery = await connection.get(`/w/${slug}/.well-known/openid-configuration`)
    const token = await connection.post(`/w/${slug}/token`, body, { authorization })
    if (discovery.status !== 200 || token.status !== 200) throw new Error(`The workspace ${slug} does not answer.`)
  }
  await connection.close()
}

// Making two RSA keys takes a tenth of a second, so they share theirs; each opens its own.
const addWorkspaces = async ({ pool }: Database, { keyring, jwks, poolId }: Seed, count: number): Promise<void> => {
  const { keys } = JSON.parse(jwks) as { keys: { kid: string; alg: string }[] }
  const made = Array.from({ length: count }, (_, n) => {
    const id = uuidv7()
    const sealed = keys.map((key) => ({
      id: key.kid,
      alg: key.alg,
      sealed: keyring.seal(JSON.stringify(key), `signing-key:${id}:${key.kid}`),
    }))
    return { id, slug: slugOf(n), connection: uuidv7(), keys: sealed }
  })
  const { machine, resource } = fixture
  const metadata = {
    client_name: 'Machine',
    grant_types: ['client_credentials'],
    resources: { [resource.uri]: ['read'] },
  }
  await pool.query(
    `with wanted as materialized (
      select * from jsonb_to_recordset($1::jsonb) as x (id uuid, slug text, connection uuid, keys jsonb)
    ), made as (
      insert into workspaces (id, slug, name) select id, slug, slug from wanted
    ), connected as (
      insert into connections (workspace_id, id, pool_id, name) select id, connection, $2, slug from wanted
    ), registered as (
      insert into clients (workspace_id, id, metadata, secret_hash) select id, $3, $4::jsonb, $5 from wanted
    )
    insert into signing_keys (workspace_id, id, alg, public_jwk, private_sealed, signs_from)
    select w.id, k.id, k.alg, '{}', k.sealed, now()
    from wanted w, jsonb_to_recordset(w.keys) as k (id text, alg text, sealed text)`,
    [JSON.stringify(made), poolId, machine.id, JSON.stringify(metadata), sha256(machine.secret)],
  )
}
