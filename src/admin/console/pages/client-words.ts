import type { Json } from '../../openapi.ts'
import type { Wording } from '../fields.ts'
import type { Fact, FactGroup } from '../section.ts'

const choices = {
  application_type: { web: 'On the web', native: 'On a phone or desktop' },
  grant_types: {
    authorization_code: 'People sign in to it (authorization code)',
    refresh_token: 'It stays signed in (refresh token)',
    client_credentials: 'It acts for itself (client credentials)',
    password: 'It asks for passwords by itself (password); for what cannot open a browser',
  },
  token_endpoint_auth_method: {
    client_secret_basic: 'By a secret, in a header (client_secret_basic)',
    client_secret_post: 'By a secret, in the body (client_secret_post)',
    none: 'Not at all: it runs where a secret cannot be kept (none, with PKCE)',
  },
  acr_values_default: {
    'urn:lido:acr:1fa': 'One factor',
    'urn:lido:acr:2fa': 'Two factors',
    phr: 'Resistant to phishing',
  },
  scope: {
    openid: 'openid: who it is',
    profile: 'profile: names and the like',
    email: 'email: the address',
    phone: 'phone: the number',
    address: 'address: where they live',
    offline_access: 'offline_access: while they are away',
    groups: 'groups: those they are in',
    roles: 'roles: with their permissions',
    tenant: 'tenant: whom they act for',
  },
  status: { active: 'Open', inactive: 'Closed: it is refused everywhere' },
} as const

const optionsOf = (words: Record<string, string>) => Object.entries(words).map(([value, label]) => ({ value, label }))

/** The fields of a client as an operator meets them; `connections` are those of its workspace. */
export const clientWording = (connections: { value: string; label: string }[]): Wording => ({
  options: {
    ...Object.fromEntries(Object.entries(choices).map(([name, words]) => [name, optionsOf(words)])),
    connections,
  },
  spaced: ['scope'],
  emptyIsNull: ['connections'],
  labels: {
    client_name: 'Name',
    client_id: 'Client ID',
    application_type: 'Where it runs',
    grant_types: 'What it does',
    token_endpoint_auth_method: 'How it proves who it is',
    redirect_uris: 'Where people come back to',
    post_logout_redirect_uris: 'Where people go after signing out',
    scope: 'What it may ask for',
    connections: 'Through which connections',
    first_party: 'It is one of ours: people are not asked for consent',
    id_token_signed_response_alg: 'ID tokens are signed by',
    default_max_age: 'Seconds until people sign in again',
    require_auth_time: 'ID tokens say when people signed in',
    acr_values_default: 'How surely people have to be known',
    resources: 'APIs',
    logo_uri: 'Logo',
    client_uri: 'Home page',
    policy_uri: 'Privacy policy',
    tos_uri: 'Terms of service',
  },
  hints: {
    client_name: 'What people see when they sign in.',
    client_id: 'Made where none is given. Never used again once the client is deleted.',
    first_party: '',
    redirect_uris: 'One a line; compared letter by letter. https, or http://localhost while it is built.',
    post_logout_redirect_uris: 'One a line.',
    scope: 'None ticked: all of them.',
    connections: 'None ticked: all connections of the workspace.',
    default_max_age: 'Empty: as long as their session lasts.',
    acr_values_default:
      'Whatever a request asks for, it gets no less. None ticked: one factor, or what the pool asks for.',
    resources:
      'For which it may get tokens, with the scopes it may have there. One a line: https://api.example.com = orders:read orders:write',
    logo_uri: 'An https address; shown where people are asked for consent.',
  },
  groups: [
    { title: 'The client', fields: ['client_name', 'client_id', 'status', 'application_type'] },
    { title: 'Kind', fields: ['grant_types', 'token_endpoint_auth_method'] },
    { title: 'Addresses', fields: ['redirect_uris', 'post_logout_redirect_uris'] },
    { title: 'People', fields: ['connections', 'first_party', 'scope', 'acr_values_default', 'default_max_age'] },
    { title: 'Tokens', fields: ['id_token_signed_response_alg', 'require_auth_time', 'resources'] },
    {
      title: 'For the page that asks for consent',
      fields: ['logo_uri', 'client_uri', 'policy_uri', 'tos_uri'],
    },
  ],
})

/** A client in words. */
export const clientFacts = (client: Json, connections: { value: string; label: string }[]): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Client ID', value: String(client.client_id), as: 'code' },
      { name: 'Status', value: String(client.status), as: 'badge' },
      { name: 'Where it runs', value: wordsOf('application_type', [client.application_type]) },
      { name: 'What it does', value: wordsOf('grant_types', client.grant_types, '\n') },
      {
        name: 'How it proves who it is',
        value: wordsOf('token_endpoint_auth_method', [client.token_endpoint_auth_method]),
      },
      { name: 'Made', value: String(client.created_at), as: 'time' },
      { name: 'Changed', value: String(client.updated_at), as: 'time' },
    ],
  },
  {
    title: 'Addresses',
    facts: [
      listed('Where people come back to', client.redirect_uris),
      listed('Where people go after signing out', client.post_logout_redirect_uris),
    ],
  },
  {
    title: 'People and tokens',
    facts: [
      { name: 'Through which connections', value: connectionWords(client.connections, connections) },
      { name: 'Consent', value: client.first_party ? 'Not asked for: it is one of ours' : 'Asked for' },
      { name: 'What it may ask for', value: typeof client.scope === 'string' ? client.scope : 'Every scope' },
      { name: 'ID tokens are signed by', value: String(client.id_token_signed_response_alg) },
      listed(
        'APIs',
        Object.entries(client.resources as Record<string, string[]>).map(
          ([uri, scopes]) => `${uri} = ${scopes.join(' ')}`,
        ),
      ),
    ],
  },
]

const listed = (name: string, values: unknown): Fact => {
  const value = (values as string[]).join('\n')
  return value ? { name, value, as: 'pre' } : { name, value }
}

const connectionWords = (ids: unknown, known: { value: string; label: string }[]): string => {
  if (!Array.isArray(ids)) return 'All of the workspace'
  return ids.map((id) => known.find(({ value }) => value === id)?.label ?? id).join(', ') || 'None'
}

const wordsOf = (name: keyof typeof choices, values: unknown, between = ', '): string =>
  (values as string[]).map((value) => (choices[name] as Record<string, string>)[value] ?? value).join(between)
