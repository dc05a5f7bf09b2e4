import { sql } from 'kysely'
import { z } from 'zod'
import { system } from '../../directory/audit.ts'
import { type ClientMetadata, refuseMisfits } from '../../directory/client-metadata.ts'
import { hasSecret, needsSecretItself } from '../../directory/client-protocol.ts'
import * as clients from '../../directory/clients.ts'
import { adminSlug, type WorkspaceRecord } from '../../directory/workspaces.ts'
import { sha256 } from '../../platform/secrets.ts'
import * as resource from '../resources/clients.ts'
import { all, type Fault, type Kind, missing, named, type Remarks, type Scene } from './kind.ts'

const byVariable = z.strictObject(
  { env: z.string().regex(/^[A-Z][A-Z0-9_]{0,199}$/, 'A variable is named in capitals') },
  {
    error: (issue) =>
      issue.code === 'invalid_type'
        ? 'A secret does not stand in a file: write { env: NAME_OF_A_VARIABLE }'
        : undefined,
  },
)

const schema = z
  .strictObject({
    workspace: z.string(),
    client_id: resource.clientId,
    ...resource.fields,
    status: resource.status.default('active'),
    connections: z.array(z.string()).nullable().default(null).describe('Slugs of pools'),
    client_secret: byVariable.optional(),
  })
  .superRefine(refuseMisfits)
type Fields = z.output<typeof schema>

interface Row {
  workspace: WorkspaceRecord
  client: clients.Client
}

/** Clients. Their secrets come from the environment, and are known here by their hashes alone. */
export const clientKind: Kind<Fields, Row> = {
  name: 'clients',
  noun: 'client',
  naming: z.object({ workspace: z.string(), client_id: z.string() }),
  keyOf: ({ workspace, client_id }) => `${workspace}/${client_id}`,
  schema,
  aside: ['client_secret'],
  async list({ db, workspaces, reach, config }) {
    const found: Row[] = []
    for (const workspace of workspaces.values()) {
      if (reach && !reach.workspaces.has(workspace.slug)) continue
      const own = await clients.list(db, workspace.id, all)
      const ours = own.filter(({ registeredBy }) => registeredBy === 'operator')
      found.push(...ours.map((client) => ({ workspace, client })))
    }
    return found.filter(({ workspace, client }) => !isOwn(config, workspace.slug, client.id))
  },
  tell: (scene, { workspace, client }) => {
    const { connections, ...metadata } = partOf(client.metadata, true)
    const poolOf = (id: string) => scene.connections.get(id)?.pool ?? []
    return {
      workspace: workspace.slug,
      client_id: client.id,
      status: client.status,
      ...metadata,
      connections: connections?.flatMap(poolOf) ?? null,
    }
  },
  mayPrune: (_scene, { workspace }) => workspace.slug !== adminSlug,
  remark: (scene, row, wished) => {
    const remarks = secretRemarks(scene, row?.client, wished)
    return { ...remarks, faults: [...(remarks.faults ?? []), ...referenceFaults(scene, wished)] }
  },
  async create(scene, wished) {
    const { db, at, variable, workspaces, keyring } = scene
    const { workspace, status, client_secret, ...rest } = wished
    const { id: workspaceId } = named(workspaces, workspace)
    const { client_id: id, ...metadata } = { ...rest, connections: idsOf(scene, wished) }
    const secret = client_secret && variable(client_secret.env)
    await clients.register(db, at, workspaceId, { id, ...metadata, keyring, ...(secret ? { secret } : {}) }, system)
    const before = status === 'active' ? undefined : await clients.find(db, workspaceId, id)
    if (before) await clients.update(db, at, { workspaceId, before, status, ...metadata }, system)
  },
  write: (scene, row, rows) => {
    const env = row.client.secretHash === null ? undefined : variables(rows).get(row)
    return { ...clientKind.tell(scene, row), ...(env ? { client_secret: { env } } : {}) }
  },
  async update(scene, row, wished, changed) {
    const { db, at, keyring } = scene
    const { workspace, client } = row
    const workspaceId = workspace.id
    const { workspace: _w, client_id: _c, client_secret: _s, ...fields } = wished
    const kept = partOf(client.metadata, false)
    const secret = newSecret(scene, client, wished)
    const changing = {
      workspaceId,
      before: client,
      ...kept,
      ...fields,
      connections: idsOf(scene, wished),
      secret,
      keyring,
    }
    const before = changed.size > 0 ? (await clients.update(db, at, changing, system)).client : client
    if (secret && client.secretHash && before.secretHash !== sha256(secret))
      await clients.rotateSecret(db, at, { workspaceId, before, keyring }, system, secret)
  },
  remove: ({ db, at }, { workspace, client }) =>
    clients.remove(db, at, { workspaceId: workspace.id, before: client }, system),
  touched: async ({ db }, change) => {
    if (change.is === 'create' || (change.is === 'update' && [...change.changed].every((field) => shown.has(field))))
      return undefined
    return countUsers(db, change.row)
  },
}

const shown: ReadonlySet<string> = new Set(['client_name', 'logo_uri', 'client_uri', 'policy_uri', 'tos_uri'])

/** The fields of a client that may be written, or those that may not and stay as they are. */
const partOf = (metadata: ClientMetadata, written: boolean): ClientMetadata =>
  Object.fromEntries(
    Object.entries(metadata).filter(([name]) => Object.hasOwn(resource.fields, name) === written),
  ) as ClientMetadata

/** Those that the program makes by itself at every start, from its own configuration. */
const isOwn = ({ bootstrapClient }: Scene['config'], workspace: string, id: string): boolean =>
  resource.isConsole(workspace, id) || (workspace === adminSlug && id === bootstrapClient?.id)

const referenceFaults = (scene: Scene, wished: Fields): Fault[] => [
  ...missing('workspace', '/workspace', [wished.workspace], scene.workspaces),
  ...missing('connection', '/connections', keysOf(wished), scene.connectionIds),
  ...(isOwn(scene.config, wished.workspace, wished.client_id)
    ? [{ pointer: '/client_id', detail: 'This client belongs to the program itself' }]
    : []),
]

const keysOf = ({ workspace, connections }: Fields): string[] =>
  (connections ?? []).map((pool) => `${workspace}/${pool}`)

const idsOf = (scene: Scene, wished: Fields): string[] | null =>
  wished.connections && keysOf(wished).map((key) => named(scene.connectionIds, key))

const secretRemarks = (scene: Scene, client: clients.Client | undefined, wished: Fields): Remarks => {
  const env = wished.client_secret?.env
  if (!hasSecret(wished.token_endpoint_auth_method))
    return env ? refuse('A client that does not authenticate has no secret') : {}
  const known = client && knownOf(client, wished)
  if (!env) return known ? {} : refuse(`It needs a secret: write { env: ${variableOf(wished)} }`)
  const { value, detail } = lookUp(scene, env)
  if (detail) return refuse(detail)
  if (!value && !known) return refuse(`It has no secret yet, and the variable ${env} is not set`)
  if (!value) return { notes: [`client_secret: stays as it is, for ${env} is not set`] }
  if (value.length < 32) return refuse(`The secret in ${env} needs at least 32 characters`)
  if (!known) return { changes: [`client_secret: that of ${env}`] }
  if (known === sha256(value)) return {}
  return { changes: [`client_secret: that of ${env}; the one before stays good until it is ended`] }
}

const lookUp = ({ variable }: Scene, env: string): { value?: string | undefined; detail?: string } => {
  try {
    return { value: variable(env) }
  } catch (error) {
    return { detail: error instanceof Error ? error.message : `${env} cannot be read` }
  }
}

const newSecret = (scene: Scene, client: clients.Client, wished: Fields): string | undefined => {
  const { value } = wished.client_secret ? lookUp(scene, wished.client_secret.env) : {}
  return value && knownOf(client, wished) !== sha256(value) ? value : undefined
}

/** The hash of the secret that a client goes on with; null where it begins to sign with one, and none is kept. */
const knownOf = ({ secretHash, sealedSecret }: clients.Client, wished: Fields): string | null =>
  needsSecretItself(wished) && sealedSecret === null ? null : secretHash

const refuse = (detail: string): Remarks => ({ faults: [{ pointer: '/client_secret', detail }] })

/** The variable that an export names for a client's secret. */
const variableOf = ({ workspace, client_id }: { workspace: string; client_id: string }): string =>
  `LIDO_SECRET_${workspace}_${client_id}`.toUpperCase().replace(/[^A-Z0-9]/g, '_')

// Two clients may come to the same name, which has fewer characters to choose from: the later one gets a number.
const variables = (rows: readonly Row[]): ReadonlyMap<Row, string> => {
  const taken = new Map<string, number>()
  const secret = rows.filter(({ client }) => client.secretHash !== null)
  return new Map(
    secret.map((row) => {
      const name = variableOf({ workspace: row.workspace.slug, client_id: row.client.id })
      const count = (taken.get(name) ?? 0) + 1
      taken.set(name, count)
      return [row, count === 1 ? name : `${name}_${count}`]
    }),
  )
}

/** Whoever has let the client do something for them, so far. */
const countUsers = async (db: Scene['db'], { workspace, client }: Row): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(distinct (pool_id, user_id)) as count from artifacts
    where workspace_id = ${workspace.id} and kind = 'Grant' and client_id = ${client.id} and user_id is not null
      and expires_at > now()`.execute(db)
  return rows[0]?.count ?? 0
}
