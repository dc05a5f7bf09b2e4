import { z } from 'zod'
import * as domains from '../../directory/domains.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { pageOf, readCursor } from '../list.ts'
import { getWorkspace } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'

const answered = z.strictObject({
  id: z.uuid(),
  host: z.string(),
  origin: z.string().describe('The issuer there, and what every link begins with'),
  state: z.enum(['pending', 'active']).describe('A pending domain answers nobody'),
  primary: z.boolean().describe('Whether the workspace speaks of it as its own address'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneDomain = inWorkspace.extend({ id: z.uuid() })
const { primary } = answered.shape
const patched = z.strictObject({ primary })

export const domainRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/domains',
    name: 'listDomains',
    summary: 'List the domains that a workspace answers at',
    scope: 'workspaces:read',
    params: inWorkspace,
    query: listQuery({}),
    answer: listOf(answered),
    status: 200,
    async handle(call) {
      const { db, keyring } = call.services
      const { limit, cursor } = call.query
      const workspace = await getWorkspace(call, call.params.workspace)
      const list = `domains:${workspace.id}`
      const [after] = readCursor(keyring, list, cursor) ?? []
      const rows = await domains.list(db, workspace.id, { limit: limit + 1, after })
      return { body: pageOf(rows, { limit, keyring, list, position: ({ id }) => [id], item: domainOf }) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/domains',
    name: 'createDomain',
    summary: 'Name a domain; the workspace answers there once it is verified or activated',
    scope: 'workspaces:write',
    params: inWorkspace,
    body: z.strictObject({ host: domains.hostName.describe('Its host name alone') }),
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, at, params, body } = call
      const { config, db } = services
      const workspace = await getWorkspace(call, params.workspace)
      const wanted = { config, workspace, host: body.host }
      const domain = await db.transaction().execute((trx) => domains.add(trx, at, wanted, byOf(actor)))
      return { body: domainOf(domain), location: `/workspaces/${workspace.slug}/domains/${domain.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/domains/{id}',
    name: 'getDomain',
    summary: 'Read a domain',
    scope: 'workspaces:read',
    params: oneDomain,
    answer: answered,
    status: 200,
    async handle(call) {
      return { body: domainOf(await getDomain(call)) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/workspaces/{workspace}/domains/{id}',
    name: 'updateDomain',
    summary: 'Make an active domain the address that the workspace speaks of as its own, or no more',
    scope: 'workspaces:write',
    params: oneDomain,
    body: patched,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, body } = call
      const before = await getDomain(call)
      const { primary } = patchedBy(patched, { primary: before.isPrimary }, body)
      const domain = await services.db
        .transaction()
        .execute((trx) => domains.setPrimary(trx, at, before, primary, byOf(actor)))
      return { body: domainOf(domain) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/domains/{id}/verify',
    name: 'verifyDomain',
    summary: 'Ask the domain whether it leads here; the workspace answers there from then on',
    scope: 'workspaces:write',
    params: oneDomain,
    answer: answered,
    status: 200,
    async handle(call) {
      const before = await getDomain(call)
      const { workspaces, pools } = call.actor
      if (workspaces || pools) await domains.refuseNamedByOthers(call.services.db, before)
      await domains.prove(call.services, before)
      return { body: domainOf(await activate(call, before)) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/domains/{id}/activate',
    name: 'activateDomain',
    summary: 'Answer at a domain without asking it, for operators without limits',
    scope: 'workspaces:write',
    params: oneDomain,
    answer: answered,
    status: 200,
    async handle(call) {
      const before = await getDomain(call)
      demandEverything(call.actor)
      return { body: domainOf(await activate(call, before)) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}/domains/{id}',
    name: 'deleteDomain',
    summary: 'Answer at a domain no more',
    scope: 'workspaces:write',
    params: oneDomain,
    status: 204,
    async handle(call) {
      const { services, actor, at } = call
      const domain = await getDomain(call)
      await services.db.transaction().execute((trx) => domains.remove(trx, at, domain, byOf(actor)))
      return { body: undefined }
    },
  }),
]

type One = Pick<Call<z.output<typeof oneDomain>, unknown, unknown>, 'services' | 'actor' | 'params'>

const getDomain = async (call: One): Promise<domains.Domain> => {
  const workspace = await getWorkspace(call, call.params.workspace)
  const domain = await domains.find(call.services.db, workspace.id, call.params.id)
  if (!domain) throw new Problem('not_found')
  return domain
}

const activate = ({ services, actor, at }: One & { at: Date }, domain: domains.Domain): Promise<domains.Domain> =>
  services.db.transaction().execute((trx) => domains.activate(trx, at, domain, byOf(actor)))

const domainOf = ({
  id,
  host,
  origin,
  state,
  isPrimary,
  createdAt,
  updatedAt,
}: domains.Domain): z.input<typeof answered> => ({
  id,
  host,
  origin,
  state,
  primary: isPrimary,
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})
