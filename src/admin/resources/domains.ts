import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { askOwner, challengeNameOf, leadsHere, verify } from '../../directory/domain-proofs.ts'
import * as domains from '../../directory/domains.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { byOf, demandEverything } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const answered = z.strictObject({
  id: z.uuid(),
  host: z.string(),
  origin: z.string().describe('The issuer there, and what every link begins with'),
  state: z.enum(['pending', 'active']).describe('A pending domain answers nobody'),
  primary: z.boolean().describe('Whether the workspace speaks of it as its own address'),
  dns_records: z
    .array(z.strictObject({ type: z.enum(['TXT', 'CNAME']), name: z.string(), value: z.string() }))
    .describe('What its DNS needs: the TXT says whose it is, the CNAME (or an address) leads here'),
  proof: z
    .enum(['dns', 'operator'])
    .nullable()
    .describe('What it became active by: its DNS, or an operator without limits; null where that was not kept'),
  proven_at: z.iso.datetime().nullable().describe('Since when it is proven in this way'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const looked = z.strictObject({
  dns: z
    .enum(['proven', 'different', 'missing', 'unreachable'])
    .describe('Whether its TXT record says what it has to, something else, or nothing, or nobody answered'),
  leads_here: z.boolean().describe('Whether whoever goes to its address comes here'),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneDomain = inWorkspace.extend({ id: z.uuid() })
const { primary } = answered.shape
const patched = z.strictObject({ primary })

export const domainRoutes: Route[] = [
  listRoute({
    path: '/workspaces/{workspace}/domains',
    name: 'listDomains',
    summary: 'List the domains that a workspace answers at',
    scope: 'workspaces:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { services, params } = call
      const { id } = await getWorkspace(call, params.workspace)
      const read = (page: Page) => domains.list(services.db, id, page)
      const item = (row: domains.Domain) => domainOf(services, row)
      return { list: `domains:${id}`, read, position: byId, item }
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
      const { services, params, body } = call
      const workspace = await getWorkspace(call, params.workspace)
      const wanted = { config: services.config, workspace, host: body.host }
      const domain = await inTransaction(call, (trx, at, by) => domains.add(trx, at, wanted, by))
      return { body: domainOf(services, domain), location: `/workspaces/${workspace.slug}/domains/${domain.id}` }
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
      return { body: domainOf(call.services, await getDomain(call)) }
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
      const { services, body } = call
      const before = await getDomain(call)
      const { primary } = patchedBy(patched, { primary: before.isPrimary }, body)
      const domain = await inTransaction(call, (trx, at, by) => domains.setPrimary(trx, at, before, primary, by))
      return { body: domainOf(services, domain) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/domains/{id}/verify',
    name: 'verifyDomain',
    summary: 'Ask the DNS of a domain whose it is; the workspace answers there from then on',
    scope: 'workspaces:write',
    params: oneDomain,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at } = call
      return { body: domainOf(services, await verify(services, at, await getDomain(call), byOf(actor))) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/domains/{id}/check',
    name: 'checkDomain',
    summary: 'Look what the DNS of a domain says and where its address leads; nothing changes',
    scope: 'workspaces:write',
    params: oneDomain,
    answer: looked,
    status: 200,
    async handle({ services, ...call }) {
      const domain = await getDomain({ services, ...call })
      const [dns, leads_here] = await Promise.all([askOwner(services, domain), leadsHere(services, domain)])
      return { body: { dns, leads_here } }
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
      const { services, actor } = call
      const before = await getDomain(call)
      demandEverything(actor)
      const domain = await inTransaction(call, (trx, at, by) => domains.activate(trx, at, before, 'operator', by))
      return { body: domainOf(services, domain) }
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
      const domain = await getDomain(call)
      await inTransaction(call, (trx, at, by) => domains.remove(trx, at, domain, by))
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

const domainOf = ({ config }: Pick<Services, 'config'>, domain: domains.Domain): z.input<typeof answered> => ({
  id: domain.id,
  host: domain.host,
  origin: domain.origin,
  state: domain.state,
  primary: domain.isPrimary,
  dns_records: [
    { type: 'TXT', name: challengeNameOf(domain), value: domain.challenge },
    { type: 'CNAME', name: domain.host, value: new URL(config.publicUrl).hostname },
  ],
  proof: domain.proof,
  proven_at: domain.provenAt?.toISOString() ?? null,
  created_at: domain.createdAt.toISOString(),
  updated_at: domain.updatedAt.toISOString(),
})
