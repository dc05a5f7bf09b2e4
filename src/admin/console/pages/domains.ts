import type { Json } from '../../openapi.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { demanding, type FactGroup, pagesOf, type Section } from '../section.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const domains: Section = {
  path: '/workspaces/{workspace}/domains',
  param: 'id',
  one: 'domain',
  many: 'Domains',
  about:
    'A workspace can answer at host names of its own, besides its address here. Its pages, its issuer and the links in its mails are at the address that people came to.',
  routes: { list: 'listDomains', get: 'getDomain', create: 'createDomain', remove: 'deleteDomain' },
  id: ({ id }) => String(id),
  name: ({ host }) => String(host),
  columns: [
    { title: 'Host', text: ({ host }) => String(host), as: 'code' },
    { title: 'State', text: ({ state }) => states[String(state)] },
    { title: 'Primary', text: ({ primary }) => (primary ? 'yes' : '') },
    { title: 'Named', text: ({ created_at }) => String(created_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: () => ({
    labels: { host: 'Host' },
    hints: { host: 'Such as login.example.com: no scheme, no port, no path.' },
  }),
  facts: (item) => factsOf(item),
  detail: {
    view: 'console/domain',
    load: async (visit, item) => ({ steps: stepsOf(visit, item), records: item.dns_records }),
  },
  loss: ({ origin }) =>
    `Nobody can sign in at ${origin} any more, and applications that know the workspace by this issuer stop working.`,
}

const states: Record<string, string> = { pending: 'Not verified: it answers nobody', active: 'Answers' }

const proofs: Record<string, string> = {
  dns: 'By its DNS',
  operator: 'By an operator without limits, unasked',
}

const factsOf = (domain: Json): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Issuer', value: String(domain.origin), as: 'code' },
      { name: 'Discovery', value: `${domain.origin}/.well-known/openid-configuration`, as: 'code' },
      { name: 'State', value: states[String(domain.state)] ?? '' },
      ...(domain.proof ? [{ name: 'Proven', value: proofs[String(domain.proof)] ?? '' }] : []),
      ...(domain.proven_at ? [{ name: 'Proven at', value: String(domain.proven_at), as: 'time' as const }] : []),
      { name: 'Primary', value: domain.primary ? 'Yes: mails of operators and the API name it' : 'No' },
      { name: 'Named', value: String(domain.created_at), as: 'time' },
    ],
  },
]

/** What can be done with a domain next, each by a page that says what it means. */
interface Step {
  name: string
  title: string
  lead: string
  route: string
  body?: Json
  notice(answer: Json): string
  fits(domain: Json): boolean
}

const steps: readonly Step[] = [
  {
    name: '~verify',
    title: 'Verify',
    lead: 'The TXT record of the domain is looked up. Where it names this workspace, the workspace answers at the domain from then on, also if its address does not lead here yet.',
    route: 'verifyDomain',
    notice: () => 'The domain is this workspace’s, and the workspace answers at it.',
    fits: ({ state, proof }) => state === 'pending' || proof !== 'dns',
  },
  {
    name: '~check',
    title: 'Check both records',
    lead: 'The TXT record is looked up, and the address of the domain is asked whether it leads here. Nothing changes.',
    route: 'checkDomain',
    notice: ({ dns, leads_here }) =>
      `${found[String(dns)]} ${leads_here ? 'The address leads here.' : 'The address does not lead here yet.'}`,
    fits: () => true,
  },
  {
    name: '~activate',
    title: 'Activate without asking',
    lead: 'The workspace answers at this host from now on, whoever it belongs to. For hosts whose DNS this server cannot ask.',
    route: 'activateDomain',
    notice: () => 'The workspace answers at the domain.',
    fits: ({ state }) => state === 'pending',
  },
  {
    name: '~primary',
    title: 'Make primary',
    lead: 'Invitations and the API name this address as the issuer from now on. The other addresses go on answering.',
    route: 'updateDomain',
    body: { primary: true },
    notice: () => 'The domain is the primary address.',
    fits: ({ state, primary }) => state === 'active' && !primary,
  },
  {
    name: '~secondary',
    title: 'Make primary no more',
    lead: 'Invitations and the API name the address below this installation again. The domain goes on answering.',
    route: 'updateDomain',
    body: { primary: false },
    notice: () => 'The domain is not the primary address any more.',
    fits: ({ primary }) => primary === true,
  },
]

const found: Record<string, string> = {
  proven: 'The TXT record names this workspace.',
  different: 'There is a TXT record, but not with this value.',
  missing: 'There is no TXT record yet.',
  unreachable: 'The name servers of the domain did not answer.',
}

const hrefOf = (visit: Visit): string => `${workspaceHref(visit)}/domains/${encodeURIComponent(visit.params.id ?? '')}`

const stepsOf = (visit: Visit, domain: Json) =>
  steps
    .filter((step) => step.fits(domain) && allows(visit, step.route))
    .map(({ name, title }) => ({ title, href: `${hrefOf(visit)}/${name}` }))

const ask = async (visit: Visit, { title, lead }: Step, alert: string | null = null): Promise<Outcome> => {
  const crumbs = [...(await aboveWorkspace(visit)), { title: 'Domains', href: `${workspaceHref(visit)}/domains` }]
  const status = alert ? 409 : 200
  return { show: { view: 'console/domain-step', title, crumbs, status, values: { lead, alert } } }
}

const take = async (visit: Visit, step: Step): Promise<Outcome> => {
  const asked = step.body ? { body: step.body } : {}
  const told = await call(visit, step.route, asked).catch((error) => faultsFor(error).alert)
  if (typeof told === 'string') return ask(visit, step, told)
  return { to: hrefOf(visit), notice: step.notice(told.body) }
}

const pagesOfStep = (step: Step): ConsolePage[] => {
  const path = `/workspaces/{workspace}/domains/{id}/${step.name}`
  return [
    { method: 'GET', path, handle: (visit) => ask(demanding(visit, step.route), step) },
    { method: 'POST', path, handle: (visit) => take(demanding(visit, step.route), step) },
  ]
}

export const domainPages: ConsolePage[] = [...pagesOf(domains), ...steps.flatMap(pagesOfStep)]
