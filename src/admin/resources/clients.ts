import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { type ClientMetadata, clientMetadata, refuseMisfits, writtenMetadata } from '../../directory/client-metadata.ts'
import * as clients from '../../directory/clients.ts'
import { refuseUnsignable } from '../../directory/key-settings.ts'
import { sectorFault } from '../../directory/sector.ts'
import { adminSlug, type Workspace } from '../../directory/workspaces.ts'
import { claimsOfScopes } from '../../oidc/claims.ts'
import { Problem } from '../../platform/problem.ts'
import { uuidv7 } from '../../platform/secrets.ts'
import { type Actor, byOf, demand, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const known = new Set([...Object.keys(claimsOfScopes), 'offline_access'])

/** What may be written of a client; what the fields mean together is for `refuseMisfits` to check. */
export const fields = {
  ...writtenMetadata,
  scope: writtenMetadata.scope.refine(
    (scope) => scope === undefined || scope.split(' ').every((one) => known.has(one)),
    `The scopes are ${[...known].join(', ')}; those of a resource stand in "resources"`,
  ),
}

/** The id that a client is registered with. */
export const clientId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,199}$/)

/** Whether a client is answered at all. */
export const status = z.enum(['active', 'inactive'])

const chosenId = clientId.optional().describe('Made where none is given; never used again once it is deleted')
const written = z.strictObject({ client_id: chosenId, ...fields }).superRefine(refuseMisfits)
const patched = z.strictObject({ ...fields, status }).superRefine(refuseMisfits)

const answered = z.strictObject({
  client_id: z.string(),
  client_secret: z.string().optional().describe('Only in the answer to what made it'),
  status: status.describe('An inactive client is refused everywhere'),
  old_secret_valid: z.boolean().describe('Whether the secret before the newest is still good'),
  registered_by: z
    .enum(['operator', 'registration', 'document'])
    .describe('Who brought it: an operator, itself (RFC 7591), or the document at its address'),
  ...clientMetadata.shape,
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneClient = inWorkspace.extend({ client_id: z.string().max(255) })

export const clientRoutes: Route[] = [
  listRoute({
    path: '/workspaces/{workspace}/clients',
    name: 'listClients',
    summary: 'List the clients of a workspace',
    scope: 'clients:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { id } = await getWorkspace(call, call.params.workspace)
      const read = (page: Page) => clients.list(call.services.db, id, page)
      return { list: `clients:${id}`, read, position: byId, item: clientOf }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/clients',
    name: 'createClient',
    summary: 'Register a client; its secret is shown this once',
    scope: 'clients:write',
    params: inWorkspace,
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, at, params, body } = call
      const workspace = await getWorkspace(call, params.workspace)
      const { client_id: id = uuidv7(at), ...metadata } = body
      demandGrantable(call, workspace, metadata)
      refuseUnsignable(workspace.settings.keys, metadata)
      demandConnections(actor, workspace, metadata.connections, null)
      await demandSector(services, metadata)
      const wanted = { id, ...metadata, keyring: services.keyring }
      const { client, secret } = await services.db.transaction().execute(async (trx) => {
        const made = await clients.register(trx, at, workspace.id, wanted, byOf(actor))
        return { client: demandFound(await clients.find(trx, workspace.id, id)), secret: made.secret }
      })
      return { body: clientOf(client, secret), etag: etagOf(client), location: locationOf(workspace, id) }
    },
  }),
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/clients/{client_id}',
    name: 'getClient',
    summary: 'Read a client',
    scope: 'clients:read',
    params: oneClient,
    answer: answered,
    status: 200,
    async handle(call) {
      const { before } = await getClient(call)
      return { body: clientOf(before), etag: etagOf(before) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/workspaces/{workspace}/clients/{client_id}',
    name: 'updateClient',
    summary: 'Change a client; a secret that it gets by this is shown this once',
    scope: 'clients:write',
    params: oneClient,
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, ifMatch, body } = call
      const { workspace, before } = await getChangeable(call)
      checkMatch(ifMatch, before)
      const current = before.metadata
      const merged = patchedBy(patched, { ...current, status: before.status }, body)
      demandGrantable(call, workspace, merged)
      refuseUnsignable(workspace.settings.keys, merged)
      demandConnections(actor, workspace, merged.connections, current.connections)
      if (movesSector(current, merged)) await demandSector(services, merged)
      const changing = { workspaceId: workspace.id, before, ...merged, keyring: services.keyring }
      const { client, secret } = await inTransaction(call, (trx, at, by) => clients.update(trx, at, changing, by))
      return { body: clientOf(client, secret), etag: etagOf(client) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}/clients/{client_id}',
    name: 'deleteClient',
    summary: 'Delete a client; nobody gets its id again',
    scope: 'clients:write',
    params: oneClient,
    status: 204,
    async handle(call) {
      const { workspace, before } = await getChangeable(call)
      const changing = { workspaceId: workspace.id, before }
      await inTransaction(call, (trx, at, by) => clients.remove(trx, at, changing, by))
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/clients/{client_id}/secret',
    name: 'rotateClientSecret',
    summary: 'Make a new secret, shown this once; the one before stays good until it is ended or the next is made',
    scope: 'clients:write',
    params: oneClient,
    answer: answered,
    status: 201,
    async handle(call) {
      const { workspace, before } = await getChangeable(call)
      const changing = { workspaceId: workspace.id, before, keyring: call.services.keyring }
      const { client, secret } = await inTransaction(call, (trx, at, by) => clients.rotateSecret(trx, at, changing, by))
      return { body: clientOf(client, secret), etag: etagOf(client), location: locationOf(workspace, client.id) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}/clients/{client_id}/secret',
    name: 'endOldClientSecret',
    summary: 'End the secret before the newest',
    scope: 'clients:write',
    params: oneClient,
    status: 204,
    async handle(call) {
      const { workspace, before } = await getChangeable(call)
      const changing = { workspaceId: workspace.id, before }
      await inTransaction(call, (trx, at, by) => clients.endOldSecret(trx, at, changing, by))
    },
  }),
]

type One = Pick<Call<z.output<typeof oneClient>, unknown, unknown>, 'services' | 'actor' | 'params'>

const getClient = async (call: One): Promise<{ workspace: Workspace; before: clients.Client }> => {
  const { services, params } = call
  const workspace = await getWorkspace(call, params.workspace)
  return { workspace, before: demandFound(await clients.find(services.db, workspace.id, params.client_id)) }
}

/** The same for a change. Throws `forbidden` too for one that is stronger than who asks, and `conflict` for the console. */
const getChangeable = async (call: One): Promise<{ workspace: Workspace; before: clients.Client }> => {
  const { workspace, before } = await getClient(call)
  demandGrantable(call, workspace, before.metadata)
  if (isConsole(workspace.slug, before.id))
    throw new Problem('conflict', { detail: 'This client belongs to the program itself.' })
  return { workspace, before }
}

/** Whether it is the client that operators sign in to the console by, which the program makes as it has to be. */
export const isConsole = (workspace: string, id: string): boolean => workspace === adminSlug && id === 'console'

type Belonging = Parameters<typeof sectorFault>[1]

/** Throws `unprocessable` where the sector that a client names does not know it. */
const demandSector = async ({ fetch }: One['services'], client: Belonging): Promise<void> => {
  const detail = await sectorFault(fetch, client)
  if (detail) throw new Problem('unprocessable', { errors: [{ pointer: '/sector_identifier_uri', detail }] })
}

const movesSector = (before: Belonging, after: Belonging): boolean =>
  (['sector_identifier_uri', 'redirect_uris', 'jwks_uri', 'grant_types'] as const).some(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  )

const demandFound = (client: clients.Client | undefined): clients.Client => {
  if (!client) throw new Problem('not_found')
  return client
}

/**
 * A client of the admin workspace that reaches this API is as strong as its scopes: whoever could make one, or learn its
 * secret, without having them all would promote themselves.
 */
const demandGrantable = (
  { actor, services: { config } }: One | Pick<One, 'actor' | 'services'>,
  { slug }: Workspace,
  { resources }: Pick<ClientMetadata, 'resources'>,
): void => {
  const scopes = slug === adminSlug ? resources[`${config.publicUrl}/api/v1`] : undefined
  if (!scopes) return
  demandEverything(actor)
  for (const scope of scopes) demand(actor, scope)
}

/**
 * Throws `unprocessable` for a connection that is not one of the workspace, or none that this actor may know of; and where
 * an actor with limits would open a client to all of them.
 */
const demandConnections = (
  { pools }: Actor,
  { connections }: Workspace,
  wanted: string[] | null,
  before: readonly string[] | null,
): void => {
  if (pools && before && !wanted) {
    const detail = 'Only an operator without limits opens it to every connection'
    throw new Problem('unprocessable', { errors: [{ pointer: '/connections', detail }] })
  }
  const reachable = connections.filter(({ pool }) => !pools || pools.has(pool.id)).map(({ id }) => id)
  const errors = (wanted ?? []).flatMap((id, index) =>
    reachable.includes(id) || before?.includes(id)
      ? []
      : [{ pointer: `/connections/${index}`, detail: 'This is no connection of the workspace' }],
  )
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

const locationOf = ({ slug }: Workspace, id: string): string => `/workspaces/${slug}/clients/${id}`

const clientOf = (
  { id, status: now, metadata, previousSecretHash, registeredBy, createdAt, updatedAt }: clients.Client,
  secret?: string,
): z.input<typeof answered> => {
  return {
    client_id: id,
    ...(secret ? { client_secret: secret } : {}),
    status: now,
    old_secret_valid: previousSecretHash !== null,
    registered_by: registeredBy,
    ...metadata,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  }
}
