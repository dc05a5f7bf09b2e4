import { cibaGrant, deviceGrant, exchangeGrant } from '../../../directory/client-metadata.ts'
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
    [deviceGrant]: 'It runs on devices without a keyboard (device code)',
    [exchangeGrant]: 'It exchanges tokens of people (token exchange)',
    [cibaGrant]: 'It asks people who are elsewhere (CIBA)',
  },
  backchannel_token_delivery_mode: {
    poll: 'It asks again and again (poll)',
    ping: 'It is told when to ask (ping)',
  },
  token_endpoint_auth_method: {
    client_secret_basic: 'By a secret, in a header (client_secret_basic)',
    client_secret_post: 'By a secret, in the body (client_secret_post)',
    private_key_jwt: 'By what it signs with a key of its own (private_key_jwt)',
    client_secret_jwt: 'By what it signs with a secret (client_secret_jwt)',
    tls_client_auth: 'By a certificate with its name (tls_client_auth)',
    self_signed_tls_client_auth: 'By a certificate that it registered (self_signed_tls_client_auth)',
    none: 'Not at all: it runs where a secret cannot be kept (none, with PKCE)',
  },
  profile: {
    fapi2_security: 'FAPI 2.0 Security Profile',
    fapi2_message_signing: 'FAPI 2.0 Message Signing',
  },
  subject_type: {
    public: 'By the same name as every other client (public)',
    pairwise: 'By a name of their own at each sector (pairwise)',
  },
  id_token_claims: {
    minimal: 'Who it is; the rest is at userinfo (minimal)',
    scopes: 'Also what its scopes let it know (scopes)',
  },
  response_types: {
    code: 'A code (code)',
    'code id_token': 'A code and an ID token (code id_token); for certification',
    id_token: 'An ID token (id_token); for certification',
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
  whole: ['jwks', 'token_exchange'],
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
    backchannel_logout_uri: 'Where it hears of logouts',
    backchannel_logout_session_required: 'It has to know which session ended',
    initiate_login_uri: 'Where a sign-in to it begins',
    sso: 'A sign-in to another client counts',
    access_token_lifetime: 'Access token lasts',
    id_token_lifetime: 'ID token lasts',
    refresh_idle: 'Refresh token lasts, unused',
    refresh_absolute: 'Refresh token lasts, at most',
    require_auth_time: 'ID tokens say when people signed in',
    acr_values_default: 'How surely people have to be known',
    resources: 'APIs',
    token_exchange: 'What it may exchange tokens for',
    backchannel_token_delivery_mode: 'How it learns of answers from elsewhere',
    backchannel_client_notification_endpoint: 'Where it is told to ask',
    profile: 'Held to',
    jwks: 'Public keys',
    jwks_uri: 'Where its public keys are',
    token_endpoint_auth_signing_alg: 'Assertions are signed by',
    tls_client_auth_subject_dn: 'Its certificate has this subject',
    tls_client_auth_san_dns: 'Its certificate has this host name',
    tls_client_auth_san_uri: 'Its certificate has this address',
    tls_client_auth_san_ip: 'Its certificate has this IP address',
    tls_client_auth_san_email: 'Its certificate has this mail address',
    response_types: 'What comes back through the browser',
    require_pkce: 'It uses PKCE',
    require_pushed_authorization_requests: 'It pushes its requests',
    require_signed_request_object: 'It signs its requests',
    request_object_signing_alg: 'Requests are signed by',
    authorization_signed_response_alg: 'Answers in a JWT are signed by',
    userinfo_signed_response_alg: 'Userinfo is a JWT signed by',
    introspection_signed_response_alg: 'Introspection in a JWT is signed by',
    id_token_encrypted_response_alg: 'ID tokens are encrypted by',
    id_token_encrypted_response_enc: 'ID tokens are encrypted with',
    userinfo_encrypted_response_alg: 'Userinfo is encrypted by',
    userinfo_encrypted_response_enc: 'Userinfo is encrypted with',
    introspection_encrypted_response_alg: 'Introspection is encrypted by',
    introspection_encrypted_response_enc: 'Introspection is encrypted with',
    authorization_encrypted_response_alg: 'Answers in a JWT are encrypted by',
    authorization_encrypted_response_enc: 'Answers in a JWT are encrypted with',
    id_token_claims: 'ID tokens tell',
    subject_type: 'It knows people',
    sector_identifier_uri: 'Where its sector is described',
    dpop_bound_access_tokens: 'Its tokens need its key (DPoP)',
    tls_client_certificate_bound_access_tokens: 'Its tokens need its certificate',
    authorization_details_types: 'Details that it may ask for',
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
    backchannel_logout_uri:
      'Is sent a logout token whenever a session of its people ends. https, or http://localhost while it is built.',
    initiate_login_uri: 'An https address of the application that begins a sign-in; the account page leads there.',
    sso: 'Off: people prove themselves for this client, whoever else they are signed in to.',
    access_token_lifetime: 'Seconds. Empty: as the workspace says.',
    id_token_lifetime: 'Seconds. Empty: as the workspace says.',
    refresh_idle: 'Seconds. Empty: as the workspace says.',
    refresh_absolute: 'Seconds. Empty: as the workspace says.',
    scope: 'None ticked: all of them.',
    connections: 'None ticked: all connections of the workspace.',
    default_max_age: 'Empty: as long as their session lasts.',
    acr_values_default:
      'Whatever a request asks for, it gets no less. None ticked: one factor, or what the pool asks for.',
    resources:
      'For which it may get tokens, with the scopes it may have there. One a line: https://api.example.com = orders:read orders:write',
    token_exchange:
      'As JSON: {"resources": ["https://api.example.com"], "subjects": "own", "delegation": true}. With the grant type for it.',
    backchannel_token_delivery_mode: 'With the grant type CIBA.',
    backchannel_client_notification_endpoint: 'An https address; with ping.',
    profile: 'What the profile needs is on then, and what contradicts it is refused.',
    jwks: 'As a JSON Web Key Set: {"keys": [...]}. Only public keys.',
    jwks_uri: 'An https address; in place of the keys themselves.',
    require_pkce: 'Only a client that proves who it is may do without.',
    id_token_claims: 'For applications that read the ID token and never ask userinfo.',
    authorization_details_types: 'Types of its resources, one a line. Empty: all of them.',
    sector_identifier_uri: 'An https address with a JSON list of all of its redirect addresses.',
    logo_uri: 'An https address; shown where people are asked for consent.',
  },
  groups: [
    { title: 'The client', fields: ['client_name', 'client_id', 'status', 'application_type'] },
    { title: 'Kind', fields: ['grant_types', 'token_endpoint_auth_method'] },
    {
      title: 'Addresses',
      fields: ['redirect_uris', 'post_logout_redirect_uris', 'initiate_login_uri', 'backchannel_logout_uri'],
    },
    {
      title: 'People',
      fields: ['connections', 'first_party', 'scope', 'acr_values_default', 'default_max_age', 'sso'],
    },
    {
      title: 'Keys and certificates',
      fields: [
        'jwks',
        'jwks_uri',
        'token_endpoint_auth_signing_alg',
        'tls_client_auth_subject_dn',
        'tls_client_auth_san_dns',
        'tls_client_auth_san_uri',
        'tls_client_auth_san_ip',
        'tls_client_auth_san_email',
      ],
    },
    {
      title: 'Requests and answers',
      about: 'As they are, these are right for nearly every client.',
      fields: [
        'profile',
        'require_pkce',
        'require_pushed_authorization_requests',
        'require_signed_request_object',
        'request_object_signing_alg',
        'response_types',
        'authorization_signed_response_alg',
        'userinfo_signed_response_alg',
        'introspection_signed_response_alg',
        'id_token_encrypted_response_alg',
        'id_token_encrypted_response_enc',
        'userinfo_encrypted_response_alg',
        'userinfo_encrypted_response_enc',
        'introspection_encrypted_response_alg',
        'introspection_encrypted_response_enc',
        'authorization_encrypted_response_alg',
        'authorization_encrypted_response_enc',
        'subject_type',
        'sector_identifier_uri',
      ],
    },
    {
      title: 'Tokens',
      fields: [
        'id_token_signed_response_alg',
        'id_token_claims',
        'require_auth_time',
        'resources',
        'authorization_details_types',
        'dpop_bound_access_tokens',
        'tls_client_certificate_bound_access_tokens',
      ],
    },
    {
      title: 'Exchange, and people who are elsewhere',
      fields: ['token_exchange', 'backchannel_token_delivery_mode', 'backchannel_client_notification_endpoint'],
    },
    {
      title: 'Lifetimes',
      fields: ['access_token_lifetime', 'id_token_lifetime', 'refresh_idle', 'refresh_absolute'],
    },
    {
      title: 'For the page that asks for consent',
      fields: ['logo_uri', 'client_uri', 'policy_uri', 'tos_uri'],
    },
  ],
})

const comings: Record<string, string> = {
  registration: 'Itself: it registered here',
  document: 'Itself: the document at its address says what it is',
}

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
      ...(client.profile ? [{ name: 'Held to', value: wordsOf('profile', [client.profile]) }] : []),
      ...(client.registered_by === 'operator'
        ? []
        : [{ name: 'Came by', value: comings[String(client.registered_by)] ?? '' }]),
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
      ...(client.subject_type === 'pairwise'
        ? [{ name: 'It knows people', value: wordsOf('subject_type', [client.subject_type]) }]
        : []),
      { name: 'ID tokens are signed by', value: String(client.id_token_signed_response_alg) },
      { name: 'ID tokens tell', value: wordsOf('id_token_claims', [client.id_token_claims]) },
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
