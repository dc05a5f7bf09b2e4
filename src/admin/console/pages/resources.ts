import type { Json } from '../../openapi.ts'
import { type ConsolePage, call, type Visit } from '../page.ts'
import { type FactGroup, pagesOf, type Section } from '../section.ts'
import { aboveWorkspace, workspaceTabs } from './workspaces.ts'

const formats: Record<string, string> = {
  jwt: 'Signed: it checks tokens itself (JWT)',
  opaque: 'Opaque: it asks us what a token means',
}

const resources: Section = {
  path: '/workspaces/{workspace}/resources',
  param: 'id',
  one: 'resource',
  many: 'Resources',
  about:
    'A resource is an API that the workspace gives access tokens for. A client gets them where it names the resource among its APIs.',
  routes: {
    list: 'listResources',
    get: 'getResource',
    create: 'createResource',
    update: 'updateResource',
    remove: 'deleteResource',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Identifier', text: ({ identifier }) => String(identifier), as: 'code' },
    {
      title: 'Tokens',
      text: ({ token_format: format, signing_alg: alg }) => (format === 'jwt' ? `JWT, ${alg}` : 'opaque'),
    },
    { title: 'Scopes', text: ({ scopes }) => namesOf(scopes).join(' ') },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: async (visit) => ({
    labels: {
      identifier: 'Identifier',
      token_format: 'Tokens',
      signing_alg: 'Signed by',
      access_token_lifetime: 'Seconds that a token is valid',
      introspection_client_ids: 'Clients that it asks by',
      authorization_details_types: 'Types of details',
      scopes: 'Scopes',
    },
    options: {
      token_format: Object.entries(formats).map(([value, label]) => ({ value, label })),
      introspection_client_ids: await clientsOf(visit),
    },
    hints: {
      identifier: 'An address of the API, letter by letter as clients name it. It stays.',
      access_token_lifetime: 'Empty: as long as the workspace says.',
      introspection_client_ids: 'The API asks about its tokens with the secret of one of these.',
      scopes: 'As JSON: [{ "name": "orders:read", "description": { "en": "Read your orders" } }]',
      authorization_details_types:
        'As JSON: [{ "type": "payment", "schema": { … }, "description": { "en": "Make a payment" } }] (RFC 9396)',
    },
    groups: [
      { title: 'The resource', fields: ['name', 'identifier'] },
      {
        title: 'Its tokens',
        fields: ['token_format', 'signing_alg', 'access_token_lifetime', 'introspection_client_ids'],
      },
      { title: 'What can be allowed', fields: ['scopes', 'authorization_details_types'] },
    ],
  }),
  facts: (item) => factsOf(item),
  loss: ({ name }) => `Nobody gets tokens for ${name} any more; those that are out are good until they expire.`,
}

const clientsOf = async (visit: Visit): Promise<{ value: string; label: string }[]> => {
  const params = { workspace: visit.params.workspace ?? '' }
  const { body } = await call(visit, 'listClients', { params, query: { limit: '200' } })
  return (body.items as Json[])
    .filter(({ token_endpoint_auth_method: by }) => by !== 'none')
    .map(({ client_id: id, client_name: name }) => ({ value: String(id), label: String(name) }))
}

const factsOf = (item: Json): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Identifier', value: String(item.identifier), as: 'code' },
      { name: 'Tokens', value: formats[String(item.token_format)] ?? '' },
      ...(item.token_format === 'jwt' ? [{ name: 'Signed by', value: String(item.signing_alg) }] : []),
      {
        name: 'Seconds that a token is valid',
        value: String(item.access_token_lifetime ?? 'As the workspace says'),
      },
      { name: 'Clients that it asks by', value: (item.introspection_client_ids as string[]).join('\n') || 'None' },
      { name: 'Made', value: String(item.created_at), as: 'time' },
      { name: 'Changed', value: String(item.updated_at), as: 'time' },
    ],
  },
  {
    title: 'What can be allowed',
    facts: [
      { name: 'Scopes', value: worded(item.scopes, 'name') || 'None' },
      { name: 'Types of details', value: worded(item.authorization_details_types, 'type') || 'None' },
    ],
  },
]

const worded = (records: unknown, name: 'name' | 'type'): string =>
  (records as Json[]).map((one) => [one[name], (one.description as Json).en].filter(Boolean).join(': ')).join('\n')

const namesOf = (scopes: unknown): string[] => (scopes as Json[]).map(({ name }) => String(name))

export const resourcePages: ConsolePage[] = pagesOf(resources)
