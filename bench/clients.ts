import { sha256 } from '../src/platform/secrets.ts'
import { open } from './connection.ts'
import type { Database } from './database.ts'
import { fixture } from './fixture.ts'
import type { Served } from './processes.ts'
import type { Seed } from './seed.ts'

/** Bytes of one process in which one client has got many tokens, and of the same process after as many clients. */
export interface ManyClients {
  count: number
  one: number
  many: number
}

/** Lets many clients of one workspace get a token each, in one process. */
export const measureClients = async (
  database: Database,
  seed: Seed,
  server: Served,
  count: number,
): Promise<ManyClients> => {
  await addClients(database, seed, count)
  // As often as all of the others together: what a process needs to get warm is not theirs.
  await useAll(
    server,
    Array.from({ length: count }, () => fixture.machine.id),
  )
  const one = await rssAfterCollection(server)
  await useAll(
    server,
    Array.from({ length: count }, (_, n) => idOf(n)),
  )
  return { count, one, many: await rssAfterCollection(server) }
}

const idOf = (n: number): string => `many-${n}`

const rssAfterCollection = async (server: Served): Promise<number> => {
  await server.ask({ ask: 'collect' })
  return (await server.ask({ ask: 'usage' })).rss
}

const useAll = async (server: Served, ids: string[]): Promise<void> => {
  const { resource, machine, workspace } = fixture
  const body = new URLSearchParams({ grant_type: 'client_credentials', resource: resource.uri }).toString()
  const connection = open(server.origin)
  for (const id of ids) {
    const authorization = `Basic ${Buffer.from(`${id}:${machine.secret}`).toString('base64')}`
    const { status } = await connection.post(`/w/${workspace}/token`, body, { authorization })
    if (status !== 200) throw new Error(`The client ${id} gets no token.`)
  }
  await connection.close()
}

const addClients = async ({ pool }: Database, { workspaceId }: Seed, count: number): Promise<void> => {
  const { machine, resource } = fixture
  const metadata = {
    client_name: 'Machine',
    grant_types: ['client_credentials'],
    resources: { [resource.uri]: [resource.scope] },
  }
  await pool.query(
    `insert into clients (workspace_id, id, metadata, secret_hash)
    select $1, 'many-' || n, $2::jsonb, $3 from generate_series(0, $4::int - 1) as n`,
    [workspaceId, JSON.stringify(metadata), sha256(machine.secret), count],
  )
}
