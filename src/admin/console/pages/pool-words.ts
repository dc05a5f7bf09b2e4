import type { Json } from '../../openapi.ts'
import type { Wording } from '../fields.ts'
import type { Fact, FactGroup } from '../section.ts'

const example =
  '{ "type": "object", "properties": { "given_name": { "type": "string", "title": "Given name" } }, "required": ["given_name"] }'

const answersToRisk = {
  allow: 'Let in',
  notice: 'Let in, and its owner told by mail',
  second_factor: 'Asked for something more, and its owner told',
  refuse: 'Refused as if the answer were wrong, and its owner told',
} as const

const choices = {
  identifiers: { email: 'Email address', mobile: 'Mobile number', username: 'Username' },
  sign_in_methods: {
    password: 'Password',
    email_code: 'Code by mail',
    sms_code: 'Code by text message',
    magic_link: 'Link by mail',
    passkey: 'Passkey',
  },
  second_factor: {
    off: 'Never asked for',
    optional: 'Asked of whoever has set one up',
    required: 'Required; set up at the next sign-in where there is none',
  },
  second_factors: {
    totp: 'Authenticator app',
    passkey: 'Passkey',
    sms_code: 'Code by text message',
    email_code: 'Code by mail',
    recovery_code: 'Recovery codes, where the other is lost',
  },
  'risk.medium': answersToRisk,
  'risk.high': answersToRisk,
  'password_policy.preset': { nist: 'NIST SP 800-63B: length alone counts' },
  'password_policy.breached': {
    refuse: 'Refused',
    warn: 'Taken after a warning',
    off: 'Not looked for',
  },
  status: { active: 'Open: its users can sign in', inactive: 'Closed: nobody of it can sign in' },
} as const

const options = Object.fromEntries(
  Object.entries(choices).map(([name, words]) => [
    name,
    Object.entries(words).map(([value, label]) => ({ value, label })),
  ]),
)

/** The settings of a pool as an operator meets them: who comes in, how, and what is known of them. */
export const poolWording: Wording = {
  omit: ['kind', 'source', 'upstream'],
  options,
  emptyIsNull: ['sms_countries'],
  labels: {
    color: 'Colour',
    self_registration: 'People may register by themselves',
    account_self_service: 'People have an account page of their own',
    account_deletion_grace_days: 'Days to change one’s mind about deleting it',
    identifiers: 'What users go by',
    default_country: 'Country of mobile numbers',
    sign_in_methods: 'Ways to sign in',
    second_factor: 'A second factor is',
    second_factors: 'Which ones there are',
    remember_device_days: 'Days a browser is spared it',
    'risk.medium': 'A sign-in that is unusual is',
    'risk.high': 'A sign-in that is most likely somebody else’s is',
    'password_policy.preset': 'Follow a standard',
    'password_policy.min_length': 'Shortest length',
    'password_policy.breached': 'Passwords known from leaks are',
    'password_policy.history': 'Earlier passwords not to be used again',
    'password_policy.expires_after_days': 'Days until a new one is asked for',
    'password_policy.lowercase': 'Lower-case letters',
    'password_policy.uppercase': 'Upper-case letters',
    'password_policy.digits': 'Digits',
    'password_policy.symbols': 'Other characters',
    'code_policy.length': 'Digits in a code',
    'code_policy.lifetime_seconds': 'Seconds it lasts',
    'code_policy.attempts': 'Tries it takes',
    sms_countries: 'Countries that text messages go to',
    sms_per_country_hour: 'Text messages to one country in an hour',
    user_schema: 'Profile',
    metadata_schema: 'Metadata',
  },
  hints: {
    slug: 'Its name in addresses: lower-case letters, digits and dashes.',
    description: 'Shown where people choose between pools.',
    color: 'As #rrggbb. Shown where people choose between pools.',
    identifiers: 'Each is unique in the pool.',
    account_deletion_grace_days: '0: the account is gone at once. 30 at most.',
    default_country:
      'Two letters, such as CH. Numbers typed without a country code belong there; empty, they need a code.',
    sign_in_methods: 'Text messages need the mobile number, links the email address.',
    second_factor: '',
    'password_policy.breached': '',
    second_factors: 'Offered in this order.',
    remember_device_days: '0: it is asked for each time. 90 at most.',
    'risk.medium': 'As in a browser that its user has not signed in with before.',
    'risk.high': 'As in such a browser, far from where they were an hour ago.',
    'password_policy.preset': 'A standard has its own length and mix; what is said below does not count then.',
    'password_policy.min_length': 'In characters, 8 to 128.',
    'password_policy.history': '0: none is remembered.',
    'password_policy.expires_after_days': 'Empty: never, which is what the standards advise.',
    'password_policy.lowercase': 'The fewest there must be; 0 for none.',
    'code_policy.lifetime_seconds': '600 at most.',
    'code_policy.attempts': 'After so many wrong ones it is void.',
    sms_countries: 'Two letters each, one a line. Empty: everywhere.',
    sms_per_country_hour: 'Against people who earn by being sent messages.',
    user_schema: `What users say of themselves, as JSON Schema; registration and the account page ask for it. For example: ${example}`,
    metadata_schema: 'What applications and operators keep about users, as JSON Schema. Users never see it.',
  },
  groups: [
    { title: 'The pool', fields: ['name', 'slug', 'description', 'color', 'status'] },
    { title: 'Identifiers', fields: ['self_registration', 'identifiers', 'default_country'] },
    { title: 'Account page', fields: ['account_self_service', 'account_deletion_grace_days'] },
    { title: 'Signing in', fields: ['sign_in_methods'] },
    { title: 'Second factor', fields: ['second_factor', 'second_factors', 'remember_device_days'] },
    {
      title: 'Risk',
      about: 'With both let in, no sign-in is judged and nothing is kept of where people come from.',
      fields: ['risk.medium', 'risk.high'],
    },
    {
      title: 'Passwords',
      about: 'For passwords that are chosen from now on; those in use stay good.',
      fields: ['preset', 'min_length', 'breached', 'history', 'expires_after_days']
        .concat(['lowercase', 'uppercase', 'digits', 'symbols'])
        .map((name) => `password_policy.${name}`),
    },
    {
      title: 'Codes',
      about: 'Those sent by mail and text message.',
      fields: ['length', 'lifetime_seconds', 'attempts'].map((name) => `code_policy.${name}`),
    },
    { title: 'Text messages', fields: ['sms_countries', 'sms_per_country_hour'] },
    { title: 'What is known of users', fields: ['user_schema', 'metadata_schema'] },
  ],
}

/** A pool in words. */
export const poolFacts = (pool: Json): FactGroup[] => {
  const password = pool.password_policy as Json
  const code = pool.code_policy as Json
  return [
    {
      title: null,
      facts: [
        { name: 'Slug', value: String(pool.slug), as: 'code' },
        { name: 'Status', value: String(pool.status), as: 'badge' },
        { name: 'Where its people live', value: whereabouts(pool) },
        { name: 'Description', value: String(pool.description) },
        { name: 'Colour', value: String(pool.color), as: 'color' },
        { name: 'Made', value: String(pool.created_at), as: 'time' },
        { name: 'Changed', value: String(pool.updated_at), as: 'time' },
      ],
    },
    {
      title: 'Signing in',
      facts: [
        {
          name: 'Registration',
          value: pool.self_registration ? 'Open to everybody' : 'By invitation and by operators',
        },
        { name: 'Users go by', value: wordsOf('identifiers', pool.identifiers) },
        { name: 'Ways to sign in', value: wordsOf('sign_in_methods', pool.sign_in_methods) },
        { name: 'Second factor', value: wordsOf('second_factor', [pool.second_factor]) },
        ...secondFactorFacts(pool),
        { name: 'Passwords', value: passwordWords(password) },
        {
          name: 'Codes',
          value: `${code.length} digits, good for ${minutes(Number(code.lifetime_seconds))} and ${code.attempts} tries`,
        },
        ...textFacts(pool),
      ],
    },
    {
      title: 'What is known of users',
      facts: [
        { name: 'Profile', value: schemaWords(pool.user_schema) },
        { name: 'Metadata', value: schemaWords(pool.metadata_schema) },
      ],
    },
  ]
}

/** Where people of a pool live or sign in, in words. */
const whereabouts = ({ kind, source, upstream }: Json): string => {
  const type = typeTitles[String((source as Json | null)?.type ?? (upstream as Json | null)?.type ?? '')]
  if (kind === 'external') {
    const stays = (source as Json).mode === 'sync'
    return stays ? `In ${type}, with a copy here` : `In ${type}, until they come over as they sign in`
  }
  return kind === 'federated' ? `They sign in at ${type}` : 'Here'
}

/** The types of sources and upstreams as people call them. */
export const typeTitles: Record<string, string> = {
  auth0: 'Auth0',
  cognito: 'Amazon Cognito',
  custom: 'a script of yours',
  http: 'a server of yours',
  oidc: 'an OpenID Provider',
  google: 'Google',
  microsoft: 'Microsoft Entra ID',
  apple: 'Apple',
  github: 'GitHub',
  facebook: 'Facebook',
  saml: 'a SAML identity provider',
}

const secondFactorFacts = (pool: Json): Fact[] =>
  pool.second_factor === 'off'
    ? []
    : [
        { name: 'Which ones', value: wordsOf('second_factors', pool.second_factors) },
        {
          name: 'Browsers are spared it',
          value: pool.remember_device_days ? `For ${pool.remember_device_days} days` : 'Never',
        },
      ]

const textFacts = (pool: Json): Fact[] => {
  if (!(pool.identifiers as string[]).includes('mobile')) return []
  const countries = pool.sms_countries as string[] | null
  const where = countries ? countries.join(', ') || 'nowhere' : 'everywhere'
  return [{ name: 'Text messages', value: `To ${where}; ${pool.sms_per_country_hour} an hour to one country` }]
}

const passwordWords = ({ preset, min_length, breached, expires_after_days, ...policy }: Json): string => {
  const mix = (['lowercase', 'uppercase', 'digits', 'symbols'] as const)
    .filter((name) => Number(policy[name]) > 0)
    .map((name) => `${policy[name]} or more ${name}`)
  const length = preset ? 'As NIST SP 800-63B says' : [`${min_length} characters or more`, ...mix].join(', ')
  const leaked = `from leaks: ${wordsOf('password_policy.breached', [breached]).toLowerCase()}`
  return [length, leaked, ...(expires_after_days ? [`new every ${expires_after_days} days`] : [])].join('; ')
}

const schemaWords = (schema: unknown): string => {
  const { properties = {}, required = [] } = schema as { properties?: Record<string, Json>; required?: string[] }
  const names = Object.entries(properties).map(([name, { title }]) => {
    const needed = required.includes(name) ? ' (required)' : ''
    return `${typeof title === 'string' ? title : name}${needed}`
  })
  return names.join(', ') || 'Nothing is asked for'
}

const wordsOf = (name: keyof typeof choices, values: unknown): string =>
  (values as string[]).map((value) => (choices[name] as Record<string, string>)[value] ?? value).join(', ')

const minutes = (seconds: number): string => (seconds % 60 === 0 ? `${seconds / 60} minutes` : `${seconds} seconds`)
