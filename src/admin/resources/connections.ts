import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as connections from '../../directory/connections.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf } from '../access.ts'
import { patchedBy } from '../check.ts'
import { listRoute, type Position } from '../list.ts'
import { amongOf, checkMatch, etagOf, getChangeableWorkspace, getPool, getWorkspace } from '../reach.ts'
import { reloadFaults } from '../reloading.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const settings = connections.connectionSettings

const written = settings.extend({
  pool: z.string().describe('Slug or id; a pool has at most one connection in a workspace'),
  name: settings.shape.name.optional().describe("The pool's name unless told"),
})

const answered = z.strictObject({
  id: z.uuid(),
  pool: z.string().describe('Slug'),
  pool_id: z.uuid(),
  name: z.string(),
  position: z.int(),
  hidden: z.boolean(),
  domains: z.array(z.string()),
  amr: z.array(z.string()).nullable(),
  mapping: z.record(z.string(), z.string()),
  post_authentication_script: settings.shape.post_authentication_script,
  post_authentication_application: settings.shape.post_authentication_application,
  reload_claims_at_refresh: z.boolean(),
  context_cache_seconds: z.int().nullable(),
  enabled: z.boolean(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneConnection = inWorkspace.extend({ id: z.uuid() })

export const connectionRoutes: Route[] = [
  listRoute({
    path: '/workspaces/{workspace}/connections',
    name: 'listConnections',
    summary: 'List the connections of a workspace, in order',
    scope: 'connections:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { services, params } = call
      const { id } = await getWorkspace(call, params.workspace)
      const read = ({ limit }: Page, [position, last]: Position) => {
        const after = position !== undefined && last !== undefined ? ([position, last] as const) : undefined
        return connections.list(services.db, id, { limit, after, among: amongOf(call) })
      }
      const position = (row: connections.ConnectionRecord) => [String(row.position), row.id]
      return { list: `connections:${id}`, read, position, item: connectionOf }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/connections',
    name: 'createConnection',
    summary: 'Connect a pool to a workspace',
    scope: 'connections:write',
    params: inWorkspace,
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, at, params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const { pool: slugOrId, name, ...rest } = body
      const pool = await getPool(call, slugOrId)
      refuseReloading(pool, rest.reload_claims_at_refresh)
      const wanted = { ...rest, name: name ?? pool.name, pool_id: pool.id }
      const made = await services.db.transaction().execute(async (trx) => {
        const id = await connections.create(trx, at, workspace.id, wanted, byOf(actor))
        return demandFound(await connections.find(trx, workspace.id, id))
      })
      const location = `/workspaces/${workspace.slug}/connections/${made.id}`
      return { body: connectionOf(made), etag: etagOf(made), location }
    },
  }),
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/connections/{id}',
    name: 'getConnection',
    summary: 'Read a connection',
    scope: 'connections:read',
    params: oneConnection,
    answer: answered,
    status: 200,
    async handle(call) {
      const connection = await getConnection(call)
      return { body: connectionOf(connection), etag: etagOf(connection) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/workspaces/{workspace}/connections/{id}',
    name: 'updateConnection',
    summary: 'Change a connection; its pool stays',
    scope: 'connections:write',
    params: oneConnection,
    body: settings,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const before = await getChangeable(call)
      checkMatch(ifMatch, before)
      const merged = patchedBy(settings, connections.settingsOf(before), body)
      if (!before.reloadClaimsAtRefresh)
        refuseReloading(await getPool(call, before.poolId), merged.reload_claims_at_refresh)
      const connection = await inTransaction(call, (trx, at, by) => connections.update(trx, at, before, merged, by))
      return { body: connectionOf(connection), etag: etagOf(connection) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}/connections/{id}',
    name: 'deleteConnection',
    summary: 'Take a pool out of a workspace; its people stay in the pool',
    scope: 'connections:write',
    params: oneConnection,
    status: 204,
    async handle(call) {
      const connection = await getChangeable(call)
      await inTransaction(call, (trx, at, by) => connections.remove(trx, at, connection, by))
    },
  }),
]

/** Throws `unprocessable` where the people of a pool come by an upstream that cannot be asked again. */
const refuseReloading = (...wished: Parameters<typeof reloadFaults>): void => {
  const errors = reloadFaults(...wished)
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

type One = Pick<Call<z.output<typeof oneConnection>, unknown, unknown>, 'services' | 'actor' | 'params'>

/** A connection, if its workspace and its pool both exist for this actor. Throws `not_found`. */
const getConnection = async (call: One): Promise<connections.ConnectionRecord> => {
  const { services, actor, params } = call
  const workspace = await getWorkspace(call, params.workspace)
  const connection = demandFound(await connections.find(services.db, workspace.id, params.id))
  if (actor.pools && !actor.pools.has(connection.poolId)) throw new Problem('not_found')
  return connection
}

/** The same for a change: by which pools operators sign in, and who is led to which, is for whoever may change operators. */
const getChangeable = async (call: One): Promise<connections.ConnectionRecord> => {
  const connection = await getConnection(call)
  await getChangeableWorkspace(call, call.params.workspace)
  return connection
}

const demandFound = (connection: connections.ConnectionRecord | undefined): connections.ConnectionRecord => {
  if (!connection) throw new Problem('not_found')
  return connection
}

const connectionOf = ({
  workspaceId: _,
  poolId,
  createdAt,
  updatedAt,
  postAuthenticationScript,
  postAuthenticationApplication,
  reloadClaimsAtRefresh,
  contextCacheSeconds,
  ...connection
}: connections.ConnectionRecord): z.input<typeof answered> => ({
  ...connection,
  pool_id: poolId,
  post_authentication_script: postAuthenticationScript,
  post_authentication_application: postAuthenticationApplication,
  reload_claims_at_refresh: reloadClaimsAtRefresh,
  context_cache_seconds: contextCacheSeconds,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})
