import type { Json } from '../../openapi.ts'
import type { Wording } from '../fields.ts'
import { allows, type ConsolePage, call, type Visit } from '../page.ts'
import { type FactGroup, pagesOf, type Section } from '../section.ts'
import { aboveWorkspace, workspaceTabs } from './workspaces.ts'

const connections: Section = {
  path: '/workspaces/{workspace}/connections',
  param: 'id',
  one: 'connection',
  many: 'Connections',
  about:
    'A connection lets the users of a pool into this workspace. People choose between them in this order; where there is but one, nobody is asked.',
  routes: {
    list: 'listConnections',
    get: 'getConnection',
    create: 'createConnection',
    update: 'updateConnection',
    remove: 'deleteConnection',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Pool', text: ({ pool }) => String(pool), as: 'code' },
    { title: 'Position', text: ({ position }) => String(position) },
    { title: 'Domains', text: ({ domains }) => (domains as string[]).join(', ') },
    {
      title: 'State',
      text: ({ enabled, hidden }) => (enabled ? (hidden ? 'open, not offered' : 'open') : 'closed'),
    },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: (visit, item) => wordingOf(visit, item),
  facts: (item) => factsIn(item),
  detail: { view: 'console/connection', load: (visit, item) => otherSideOf(visit, item) },
  loss: ({ name }) => `The users of ${name} cannot sign in to this workspace any more. The pool and its users stay.`,
}

const wordingOf = async (visit: Visit, item?: Json): Promise<Wording> => ({
  ...words,
  options: {
    ...(item ? {} : { pool: await unconnected(visit) }),
    post_authentication_script: await scriptsOf(visit, item),
  },
})

/** The scripts that may stand behind a connection; the one that does stays, whoever looks. */
const scriptsOf = async (visit: Visit, item?: Json): Promise<{ value: string; label: string }[]> => {
  const known = allows(visit, 'listScripts') ? await call(visit, 'listScripts', scriptsAsked(visit)) : undefined
  const fitting = ((known?.body.items ?? []) as Json[]).filter(({ point }) => point === 'post_authentication')
  const options = fitting.map(({ id, name }) => ({ value: String(id), label: String(name) }))
  const held = item?.post_authentication_script
  if (typeof held !== 'string' || options.some(({ value }) => value === held)) return options
  return [...options, { value: held, label: 'The one that stands there' }]
}

const scriptsAsked = ({ params }: Visit) => ({
  params: { workspace: params.workspace ?? '' },
  query: { limit: 200 },
})

/** The pools that a workspace has no connection to yet. */
const unconnected = async (visit: Visit): Promise<{ value: string; label: string }[]> => {
  const [held, known] = await Promise.all([
    call(visit, 'listConnections', { query: { limit: 200 } }),
    allows(visit, 'listPools') ? call(visit, 'listPools', { params: {}, query: { limit: 200 } }) : undefined,
  ])
  const taken = new Set((held.body.items as Json[]).map(({ pool }) => pool))
  const pools = (known?.body.items ?? []) as Json[]
  return pools
    .filter(({ slug }) => !taken.has(slug))
    .map(({ slug, name }) => ({ value: String(slug), label: String(name) }))
}

const words: Wording = {
  emptyIsNull: ['amr'],
  labels: {
    position: 'Position',
    enabled: 'Open',
    hidden: 'Not offered to people who choose',
    domains: 'Email domains',
    amr: 'Methods that tokens name',
    mapping: 'Further claims',
    reload_claims_at_refresh: 'Ask again at each refresh',
    context_cache_seconds: 'Tell what was learnt at the sign-in, for seconds',
    post_authentication_script: 'Script',
    post_authentication_application: 'Application',
  },
  whole: ['post_authentication_application'],
  hints: {
    post_authentication_script: 'Runs once somebody has proven who they are; it may deny, ask for more, or add claims.',
    post_authentication_application:
      'People are sent there next; with a script, those whom it redirects. As JSON, with "url" and "public_key".',
    reload_claims_at_refresh:
      'For pools that are kept in step with a source, or that an OpenID Provider lets people into: whoever is closed or signed out there gets no new tokens.',
    context_cache_seconds:
      'From the script or application below, and from outside. Empty: for as long as the sign-in lasts.',
    pool: 'Only those that are not connected yet.',
    name: 'What people choose. Empty: the name of the pool.',
    position: 'The smallest comes first.',
    enabled: 'Closed, the users of the pool are refused everywhere in this workspace.',
    hidden: 'They are found by their email domain, or where it is the only way in.',
    domains: 'Whoever types an address of one of them is sent here at once. One a line.',
    amr: 'In the place of those that were used (RFC 8176). One a line; empty: those that were used.',
    mapping:
      'Claim = field of the profile, metadata.field, or upstream.claim for what was told outside at the sign-in. One a line: department = metadata.department',
  },
  groups: [
    { title: 'The connection', fields: ['pool', 'name', 'enabled'] },
    { title: 'Where people choose', fields: ['position', 'hidden', 'domains'] },
    { title: 'Tokens', fields: ['mapping', 'amr', 'reload_claims_at_refresh', 'context_cache_seconds'] },
    {
      title: 'After authentication',
      fields: ['post_authentication_script', 'post_authentication_application'],
    },
  ],
}

/**
 * What the other side of a federated pool has to know: where it sends people back to, at every address of the workspace.
 * A domain that is not proven is none of them: who holds it would be sent the answers.
 */
const otherSideOf = async (visit: Visit, { id, pool_id }: Json): Promise<{ callbacks: string[]; isSaml: boolean }> => {
  const nothing = { callbacks: [], isSaml: false }
  if (!allows(visit, 'getPool')) return nothing
  const { body: pool } = await call(visit, 'getPool', { params: { pool: String(pool_id) } })
  if (pool.kind !== 'federated') return nothing
  const { workspace = '' } = visit.params
  const known = allows(visit, 'listDomains')
    ? await call(visit, 'listDomains', { params: { workspace }, query: { limit: 200 } })
    : undefined
  const active = ((known?.body.items ?? []) as Json[]).filter(({ state }) => state === 'active')
  const origins = [visit.services.config.publicUrl, ...active.map(({ origin }) => String(origin))]
  const callbacks = origins.map((origin) => `${origin}/callback/${id}`)
  return { callbacks, isSaml: (pool.upstream as Json | null)?.type === 'saml' }
}

const factsIn = (item: Json): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Pool', value: String(item.pool), href: `/console/pools/${item.pool}` },
      { name: 'State', value: item.enabled ? 'Open' : 'Closed: its users are refused in this workspace' },
      { name: 'Changed', value: String(item.updated_at), as: 'time' },
    ],
  },
  {
    title: 'Where people choose',
    facts: [
      { name: 'Position', value: String(item.position) },
      { name: 'Offered', value: item.hidden ? 'No' : 'Yes' },
      { name: 'Email domains', value: (item.domains as string[]).join(', ') },
    ],
  },
  {
    title: 'Tokens',
    facts: [
      {
        name: 'Further claims',
        value: Object.entries(item.mapping as Record<string, string>)
          .map(([claim, field]) => `${claim} = ${field}`)
          .join('\n'),
        as: 'pre' as const,
      },
      { name: 'Methods that they name', value: (item.amr as string[] | null)?.join(', ') ?? 'Those that were used' },
    ].filter(({ value }) => value !== ''),
  },
]

export const connectionPages: ConsolePage[] = pagesOf(connections)
