import type { Wording } from '../fields.ts'

const settings: Record<string, string> = {
  domain: 'Domain',
  client_id: 'Client ID',
  client_secret: 'Client secret',
  realm: 'Realm (database connection)',
  audience: 'Audience',
  management_client_id: 'Management client ID',
  management_client_secret: 'Management client secret',
  region: 'Region',
  user_pool_id: 'User pool ID',
  access_key_id: 'Access key ID',
  secret_access_key: 'Secret access key',
  endpoint: 'Endpoint',
  url: 'Address',
  secret: 'Secret',
  code: 'Code',
  secrets: 'Secrets',
  allowed_origins: 'Origins it may call',
  issuer: 'Issuer',
  private_key: 'Private key',
  team_id: 'Team ID',
  key_id: 'Key ID',
  entity_id: 'Entity ID',
  sso_url: 'Single sign-on address',
  slo_url: 'Single logout address',
  tenant_id_field: 'Field that names the tenant',
  refresh_tokens: 'How it is asked for refresh tokens',
}

const others: Record<string, string> = {
  mode: 'What becomes of people',
  observe: 'Only observe: try and report everything, and write nothing',
  second_factor_there: 'Who has a second factor there',
  weak_passwords: 'A password that this pool would refuse',
  'trust.acr': 'Its word on how surely somebody is known counts here',
  'trust.auth_time': 'Tokens say when somebody proved themselves there',
  new_users: 'Who never came before',
  linking: 'People of other pools may link it',
  logout: 'Signing out here signs out there, too',
  mapping: 'Mapping',
  'mapping.when': 'Profile and metadata are taken over',
  'mapping.profile': 'Profile fields',
  'mapping.metadata': 'Metadata fields',
  'mapping.roles': 'Mapping of roles',
  'mapping.roles.from': 'Where roles are',
  'mapping.roles.taken': 'Roles are given',
  'mapping.roles.ignore': 'Roles to ignore',
  'mapping.groups': 'Mapping of groups',
  'mapping.groups.from': 'Where groups are',
  'mapping.groups.taken': 'Groups are joined',
  'mapping.groups.ignore': 'Groups to ignore',
  'mapping.groups.names': 'Groups that are called otherwise here',
  'mapping.tenant': 'Mapping of tenants',
  'mapping.tenant.mode': 'The tenant',
  'mapping.tenant.id': 'Tenant of everybody',
  'mapping.tenant.taken': 'Tenants are joined',
  'mapping.tenant.ignore': 'Tenants that are left alone',
  'mapping.reach': 'What may be given',
  'mapping.script': 'Script with the last word',
}

const takings = [
  { value: 'none', label: 'Never' },
  { value: 'first_sign_in', label: 'At the first sign-in' },
  { value: 'every_sign_in', label: 'At every sign-in, and taken away again' },
  { value: 'add_only', label: 'At every sign-in, and never taken away' },
]

const options: Wording['options'] = {
  'settings.refresh_tokens': [
    { value: 'offline_access', label: 'By the scope offline_access' },
    { value: 'offline_access_consent', label: 'By the scope offline_access, and prompt=consent' },
    { value: 'access_type', label: 'By access_type=offline, and prompt=consent' },
    { value: 'given', label: 'Not at all: it gives one to everybody' },
  ],
  mode: [
    { value: 'migrate', label: 'They come over for good as they sign in' },
    { value: 'sync', label: 'They stay there, and a copy is kept fresh here' },
  ],
  second_factor_there: [
    { value: 'require_ours', label: 'Sets one up here before they come in' },
    { value: 'refuse', label: 'Does not come in' },
    { value: 'accept_password', label: 'Comes in by the password alone' },
  ],
  weak_passwords: [
    { value: 'change', label: 'Lets in once, and then has to be changed' },
    { value: 'accept', label: 'Is taken' },
  ],
  new_users: [
    { value: 'create', label: 'Is made a user' },
    { value: 'refuse', label: 'Does not come in' },
  ],
  linking: [
    { value: 'account', label: 'On their account page' },
    { value: 'offer', label: 'On their account page, and as they sign in' },
    { value: 'off', label: 'Nowhere' },
  ],
  'mapping.when': takings
    .slice(1, 3)
    .map((one) => (one.value === 'every_sign_in' ? { ...one, label: 'At every sign-in' } : one)),
  'mapping.reach': [
    { value: 'everything', label: 'Every tenant and role, also global ones' },
    { value: 'pool', label: 'Tenants of this pool, and their roles' },
  ],
  'mapping.roles.taken': takings,
  'mapping.groups.taken': takings,
  'mapping.tenant.taken': takings,
  'mapping.tenant.mode': [
    { value: 'none', label: 'Is not looked at' },
    { value: 'dynamic', label: 'Is named by the field of the settings' },
    { value: 'static', label: 'Is the same for everybody' },
    { value: 'new', label: 'Is made for each user' },
  ],
}

/** The settings of a source or an upstream as an operator meets them. */
export const outsideWording = (place: 'source' | 'upstream', type: string): Wording => {
  const within = (name: string) => `${place}.${name}`
  const named = <Value>(table: Record<string, Value>): Record<string, Value> =>
    Object.fromEntries(Object.entries(table).map(([name, value]) => [within(name), value]))
  const labels = {
    ...named(others),
    ...named(Object.fromEntries(Object.entries(settings).map(([n, l]) => [`settings.${n}`, l]))),
  }
  const isSource = place === 'source'
  const first = isSource
    ? ['mode', 'observe', 'second_factor_there', 'weak_passwords']
    : ['new_users', 'linking', 'logout', 'trust.acr', 'trust.auth_time']
  return {
    labels: { ...labels, [within('settings')]: 'The other side' },
    options: named(options ?? {}),
    code: type === 'custom' ? ['source.settings.code'] : [],
    groups: [
      { title: 'The other side', fields: Object.keys(settings).map((name) => within(`settings.${name}`)) },
      { title: isSource ? 'People' : 'Signing in', fields: first.map(within) },
      {
        title: 'Mapping',
        fields: ['when', 'profile', 'metadata', 'reach', 'script'].map((name) => within(`mapping.${name}`)),
      },
      { title: 'Roles', fields: ['from', 'taken', 'ignore'].map((name) => within(`mapping.roles.${name}`)) },
      { title: 'Groups', fields: ['from', 'taken', 'ignore', 'names'].map((name) => within(`mapping.groups.${name}`)) },
      { title: 'Tenant', fields: ['mode', 'id', 'taken', 'ignore'].map((name) => within(`mapping.tenant.${name}`)) },
    ],
  }
}
