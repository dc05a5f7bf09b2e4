import type { Json } from './openapi.ts'

/** Where a property stands: its operation with its resource and, if it is inside another property, that one's name. */
export interface Place {
  operation: string
  resource: string
  within?: string | undefined
}

/** What a property means where its schema does not say, by the closest words for it; undefined where there are none. */
export const meaningOf = (name: string, place: Place): string | undefined => closest(words, name, place)

/** What a table has for a property: by what it is inside of (`lifetimes.code`), its operation, its resource, its name. */
export const closest = <Value>(
  table: Record<string, Value>,
  name: string,
  { operation, resource, within }: Place,
): Value | undefined => {
  const keys = [...(within ? [`${within}.${name}`] : []), `${operation}.${name}`, `${resource}.${name}`, name]
  const found = keys.find((key) => Object.hasOwn(table, key))
  return found === undefined ? undefined : table[found]
}

/** The place of what is inside a property; the items of a list stand where the list stands. */
export const insideOf = (name: string, place: Place): Place => (name === 'items' ? place : { ...place, within: name })

/** A JSON schema with a description on every property that there are words for. */
export const withMeanings = (schema: Json, place: Place): Json => {
  const told: Json = { ...schema }
  for (const key of ['anyOf', 'oneOf', 'allOf'] as const)
    if (Array.isArray(schema[key])) told[key] = schema[key].map((one: Json) => withMeanings(one, place))
  for (const key of ['items', 'additionalProperties'] as const)
    if (isSchema(schema[key])) told[key] = withMeanings(schema[key], place)
  if (isSchema(schema.properties))
    told.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, one]) => [name, propertyOf(name, one as Json, place)]),
    )
  return told
}

const propertyOf = (name: string, schema: Json, place: Place): Json => {
  const description = schema.description ?? meaningOf(name, place)
  return { ...withMeanings(schema, insideOf(name, place)), ...(description ? { description } : {}) }
}

const isSchema = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

// Names that recur. What is particular is said where its schema stands.
const words: Record<string, string> = {
  'days.date': 'The day, in UTC',
  'days.migrated': 'How many came over for good',
  'days.observed': 'How many were only looked at',
  'days.synced': 'How many copies were made or changed',
  'errors.samples': 'The latest of this kind, without anything of anybody',
  forecast: 'When everybody will have come, at the pace of the last days',
  counted_at: 'When those who have not come were counted; null where nobody has counted',
  'groups.path': 'Path of the group',
  id_token_encrypted_response_alg: 'How the key of its encrypted ID tokens is wrapped; not given: they are only signed',
  id_token_encrypted_response_enc: 'How its ID tokens are encrypted; A128CBC-HS256 if not said',
  userinfo_encrypted_response_alg:
    'How the key of userinfo in an encrypted JWT is wrapped; not given: it is not encrypted',
  userinfo_encrypted_response_enc: 'How its userinfo is encrypted; A128CBC-HS256 if not said',
  introspection_encrypted_response_alg:
    'How the key of introspection in an encrypted JWT is wrapped; it has to be asked for as a JWT then (RFC 9701)',
  introspection_encrypted_response_enc: 'How its introspection is encrypted; A128CBC-HS256 if not said',
  authorization_encrypted_response_alg: 'How the key of answers in an encrypted JWT is wrapped (JARM)',
  authorization_encrypted_response_enc: 'How its answers in a JWT are encrypted; A128CBC-HS256 if not said',
  'jwks.keys': 'The keys, up to twenty',
  'keys.kty': 'Kind of key',
  'keys.crv': 'Its curve, of EC and OKP keys',
  'keys.use': '`sig` to sign, `enc` to encrypt',
  'keys.x5c': 'The certificate of the key, as base64 (RFC 7517 section 4.7)',
  linked_at: 'When it was linked',
  pool_name: 'Name of the pool',
  sector_identifier_uri:
    'Where the redirect addresses that belong together are listed (OpenID Connect Core section 8.1)',
  tls_client_auth_subject_dn: 'The subject of its certificate, as in RFC 4514',
  tls_client_auth_san_dns: 'A DNS name in its certificate',
  tls_client_auth_san_uri: 'A URI in its certificate',
  tls_client_auth_san_ip: 'An address in its certificate',
  tls_client_auth_san_email: 'An email address in its certificate',
  'failed.times': 'How often',
  'observed.times': 'How often',
  'groups.times': 'How often, in the last 30 days',
  'roles.times': 'How often, in the last 30 days',
  'rounds.count': 'The way that counts who has not come; null where there was none',
  'rounds.mail': 'The way that writes to who has not come; null where there was none',
  observe: 'Whether everything is tried and reported, and nothing written',
  'mapping.sample': 'What a source or upstream tells of somebody, as JSON',
  sample: 'What is looked at as an example',
  'state.frozen': 'Whether nobody comes over any more by signing in',
  'state.mode': '`migrate`: people come over for good; `sync`: they stay, and a copy is kept fresh',
  'state.observe': 'Whether nothing is written',
  'state.paused': 'Whether nothing is asked of the source',
  'migration.users': 'Users of the pool, by who knows their password',
  users: 'Users of the pool, by who knows their password',
  accepted_at: 'When it was accepted; null as long as it was not',
  access_token: 'How long an access token is valid',
  alg: 'The algorithm that it signs by (RFC 7518)',
  amr: 'How the person was authenticated (RFC 8176)',
  'connections.amr': 'Replaces the list of methods in tokens (RFC 8176); null leaves it as it is',
  application_type: '`web` is on a server or in a browser, `native` is installed on a device',
  at: 'When it happened',
  attempts: 'How many tries a code allows',
  authenticated_at: 'When the person last proved who they are',
  authority: 'Where the user comes from: made here, linked from elsewhere, or migrated from elsewhere',
  channel: 'How it is sent',
  client: 'Only those of this client, by its client_id',
  client_id: 'Id of the client; null where there is none',
  'clients.client_id': 'Id of the client, which it sends as `client_id` (RFC 6749 section 2.2)',
  client_name: 'What people see of the client',
  client_uri: 'Home page of the client',
  code_policy: 'Codes in messages: how long they are, how long they are valid, how many tries they allow',
  color: 'As #rrggbb',
  context_cache_seconds:
    'For how long tokens tell what was learnt at the sign-in, by a script, an application or outside, in seconds; null for as long as it lasts',
  connections: 'Ids of the only connections that its people may come through; null for all',
  created: 'How many users were made',
  created_at: 'When it was made',
  credential: 'Id of the credential',
  cursor: '`next_cursor` of the page before',
  data: 'What the type tells; of a change, who did it, before and after',
  default_max_age: 'Seconds after which people have to prove again who they are, unless the request tells',
  description: 'Text for operators',
  digits: 'The fewest digits there must be',
  domains: 'Email domains whose people are sent here at once',
  dry_run: 'Whether it only checks and counts, and changes nothing',
  email: 'Where the invitation went',
  enabled: 'Whether people may come through it',
  expires_after_days: 'Days after which a new password has to be chosen; null for never',
  expires_at: 'When it expires',
  expires_in_hours: 'Hours until it expires',
  failed: 'How many rows failed',
  failures: 'How many tries failed',
  finished_at: 'When it was done; null as long as it is not',
  first_party: 'Whether its people are not asked for consent',
  format: 'The format of the download',
  grant_types: 'How it may come to tokens (RFC 6749 section 1.3)',
  groups: 'Ids of the groups to be in',
  hidden: 'Whether it is not offered; it is found by its domains, or where it is the only way in',
  high: 'What becomes of a sign-in of high risk',
  href: 'Where the link leads',
  id: 'Id, for life',
  'interaction.id': 'Id of the sign-in',
  'invited_by.id': 'Id of the operator or client that invited',
  id_token: 'How long an ID token is valid',
  id_token_signed_response_alg: 'The algorithm that its ID tokens are signed by (RFC 7518)',
  identifier: 'The email address that is invited',
  identifiers: 'What the user goes by',
  'pools.identifiers': 'What people of the pool may go by',
  interaction: 'The sign-in that the request was part of; null where there is none',
  'lifetimes.interaction': 'How long a sign-in may take',
  'lifetimes.code': 'How long an authorization code is valid',
  'lifetimes.pushed_request': 'How long a sign-in may be begun by a pushed request (RFC 9126)',
  invited_by: 'Who invited',
  issuer: 'What the `iss` claim of its tokens says',
  items: 'What the list has on this page',
  key: 'What the `roles` claim says',
  host: 'Name of a host',
  kid: 'Id of the key, as tokens and the key set name it (RFC 7517 section 4.5)',
  kind: 'Where its people are kept; `local` is here',
  'invited_by.kind': 'What invited: an operator, a client that acts by itself, or the program',
  label: 'What the link says',
  lang: 'The language of the message',
  last_sign_in_at: 'When the user last signed in; null for never',
  length: 'How many digits a code has',
  level: 'How much speaks against it',
  lifetime_seconds: 'Seconds that a code is valid',
  limit: 'How many at most',
  links: 'Links at the foot of every page',
  logo: 'Address of a picture, shown on every page; null for none',
  logo_uri: 'Address of a picture of the client',
  mapping: 'Claim to profile or metadata field, or to what was told outside at the sign-in (`upstream.department`)',
  medium: 'What becomes of a sign-in of medium risk',
  message: 'Plain text for the mail and the page; null for none',
  metadata: 'Whatever is to be kept with it; never shown to its people',
  metadata_schema: 'JSON Schema of what may be kept with a user, which people never see',
  name: 'Name for people',
  'invited_by.name': 'Name of the operator who invited',
  next_cursor: '`cursor` for the next page; null on the last one',
  new_password: 'The password to have from now on',
  old_password: 'The password that the user has now',
  on_duplicate: 'What becomes of users who are there',
  parent_id: 'The group that this one is in; null at the top',
  password: 'The password to have, by the policy of the pool',
  password_policy: 'What a password has to be like',
  permissions: 'What the `permissions` claim says, together with those of the other roles',
  policy_uri: 'Page of the client on privacy',
  pool: 'Slug or id of the pool',
  pool_id: 'Id of the pool; null where there is none',
  pools: 'Ids of the only pools that exist for this operator; null for all',
  position: 'Where it stands in the order, the lowest first',
  post_logout_redirect_uris: 'Where it may have people sent after signing out; compared as they are written',
  profile: 'What is known of the user, by the user_schema of the pool',
  published_until: 'When it leaves the key set; null as long as that is not settled',
  redirect_uris: 'Where it may have people sent after signing in; compared as they are written',
  refresh_absolute: 'How long refresh tokens work after the sign-in',
  refresh_idle: 'How long a refresh token works that is not used',
  registrations: 'How many people registered',
  require_auth_time: 'Whether its ID tokens tell when the person was authenticated',
  resources: 'Resources that it may ask tokens for, with the scopes it may have there',
  return_to: 'Where the person goes on to afterwards; null for nowhere in particular',
  role: 'What an operator may do',
  'roles.role': 'Id of the role',
  roles: 'Ids of the roles to have',
  row: 'Number of the row; the first after a header is 1',
  'errors.reasons': 'What is wrong with the row',
  'warnings.reasons': 'What the row came in without, and why',
  'risk.reasons': 'What speaks against it',
  reload_claims_at_refresh:
    'Whether the source, or the OpenID Provider, that people come from is asked again at each refresh',
  scope: 'The only scopes it may ask for, separated by spaces',
  self_registration: 'Whether people may register by themselves',
  session: 'Id of the session, from the list of sessions',
  session_absolute: 'How long a session lasts at most',
  session_idle: 'How long a session lasts that is not used',
  sign_in_methods: 'How people may sign in, in the order in which they are offered',
  sign_ins: 'How many sign-ins succeeded',
  signs_from: 'When it begins to sign',
  signs_until: 'When it no longer signs; null as long as that is not settled',
  skipped: 'How many rows were skipped, because the user is there',
  slug: 'Name in addresses',
  source: 'Where they came from',
  state: 'How far it is',
  status: 'Whether it is in use',
  'groups.status': 'Of the user; only who is active can sign in',
  'tenants.status': 'Of the user; only who is active can sign in',
  'users.status': '`new` has yet to register, `inactive` cannot sign in',
  subject: 'The subject of the message',
  tenant: 'Id of the tenant to belong to; null for none',
  'tenants.tenant': 'Id of the tenant',
  text: 'The text of the message',
  token_endpoint_auth_method: 'How it authenticates for tokens; with `none` it has no secret',
  tos_uri: 'Page of the client on its terms',
  trace: 'The reference of the request',
  type: 'What happened',
  'identifiers.type': 'What kind of identifier it is',
  'listCredentials.type': 'What kind of credential it is',
  updated: 'How many users were changed',
  updated_at: 'When it was last changed',
  uppercase: 'The fewest upper-case letters there must be',
  used_at: 'When it was last used; null for never',
  user: 'Id of the user',
  user_id: 'Id of the user; null where there is none',
  user_schema: 'JSON Schema of a profile, which forms are made from',
  value: 'The address, number or name itself',
  verified: 'Whether it is known to be theirs',
  words: 'In words of its own, by language; what is left out is said in our words',
  workspace: 'Slug or id of the workspace',
  workspace_id: 'Id of the workspace; null where there is none',
  workspaces: 'Ids of the only workspaces that exist for this operator; null for all',
}
