import type { KeySettings } from '../../../directory/key-settings.ts'
import { type RegistrationPolicy, registrableScopes } from '../../../directory/registration-policy.ts'
import { languages } from '../../../platform/words.ts'
import type { Json } from '../../openapi.ts'
import type { Wording } from '../fields.ts'
import type { FactGroup } from '../section.ts'

const lifetimes = {
  access_token: 'Access token',
  id_token: 'ID token',
  code: 'Authorization code',
  interaction: 'Time to sign in',
  pushed_request: 'Pushed request',
  session_idle: 'Session, unused',
  session_absolute: 'Session, at most',
  refresh_idle: 'Refresh token, unused',
  refresh_absolute: 'Refresh token, at most',
} as const

const languageName = (lang: string): string => new Intl.DisplayNames('en', { type: 'language' }).of(lang) ?? lang

/** The settings of a workspace as an operator meets them. */
export const workspaceWording: Wording = {
  options: {
    status: [
      { value: 'active', label: 'Open' },
      { value: 'inactive', label: 'Closed: it answers nobody' },
    ],
    'registration.mode': [
      { value: 'off', label: 'Nobody' },
      { value: 'token', label: 'Whoever has a registration token' },
      { value: 'open', label: 'Anybody' },
    ],
    'registration.client_id_documents': [
      { value: 'off', label: 'Not taken' },
      { value: 'on', label: 'Taken' },
    ],
    'registration.grant_types': [
      { value: 'authorization_code', label: 'Sign-in (authorization code)' },
      { value: 'refresh_token', label: 'Refresh tokens' },
      { value: 'client_credentials', label: 'For themselves (client credentials)' },
      { value: 'urn:ietf:params:oauth:grant-type:device_code', label: 'Devices' },
    ],
    'registration.scopes': registrableScopes.map((scope) => ({ value: scope, label: scope })),
    'registration.redirects': [
      { value: 'https', label: 'https addresses' },
      { value: 'loopback', label: 'Programs on the same device (http on loopback)' },
      { value: 'private', label: 'Schemes of their own, such as com.example.app' },
    ],
    token_events: [
      { value: 'all', label: 'All, those of machines too' },
      { value: 'people', label: 'Those that people sign in for' },
      { value: 'none', label: 'None' },
    ],
    machine_events: [
      { value: 'grouped', label: 'Written many at once, a moment later' },
      { value: 'committed', label: 'Each written before its token is answered' },
    ],
    default_language: languages.map((lang) => ({ value: lang, label: languageName(lang) })),
  },
  labels: {
    'branding.logo': 'Logo',
    'branding.color': 'Colour',
    'branding.links': 'Links below the page',
    default_language: 'Language',
    refresh_grace_seconds: 'Grace for refresh tokens',
    token_events: 'Tokens that leave an event',
    machine_events: "Events of machines' tokens",
    max_sessions: 'Browsers at once',
    'passkeys.rp_id': 'Domain',
    'keys.rotate_after_days': 'Change keys over after days',
    'keys.algorithms': 'Algorithms',
    'passkeys.related_origins': 'Origins elsewhere',
    'registration.mode': 'Who registers clients',
    'registration.client_id_documents': 'Client ID metadata documents',
    'registration.client_id_hosts': 'Hosts of documents',
    'registration.grant_types': 'Grants',
    'registration.scopes': 'Scopes',
    'registration.resources': 'Resources',
    'registration.redirects': 'Ways back',
    'registration.most_clients': 'Clients at most',
    'registration.per_hour': 'New ones an hour',
    'registration.per_hour_and_network': 'An hour from one network',
    'registration.expire_unused_days': 'Days unused',
    public_requests_per_minute: 'Requests a minute',
    'registration.rotate_access_token': 'Change the token with each change',
    'registration.remember_consent': 'Remember consent',
    ...Object.fromEntries(Object.entries(lifetimes).map(([name, label]) => [`lifetimes.${name}`, label])),
  },
  hints: {
    slug: 'Its name in addresses: lower-case letters, digits and dashes. Applications know it by its address: changing it breaks them.',
    name: 'What people see at the top of the sign-in pages.',
    'branding.logo': 'The https address of a picture; shown in the place of the name.',
    'branding.color': 'As #rrggbb. The words on it turn black or white, whichever is easier to read.',
    'branding.links': 'Six at most, one a line: Privacy = https://example.com/privacy',
    default_language: 'Spoken where neither the application nor the browser asks for a language that there is.',
    'lifetimes.pushed_request': 'How long a sign-in may be begun by it: from 5 to 600 seconds.',
    'lifetimes.interaction': 'How long somebody may take from the first page to the last.',
    'registration.mode':
      'Nobody looks at such a client before it asks people for consent, which it does at each sign-in (RFC 7591).',
    'registration.client_id_documents':
      'A client is then the https address of a document about itself; its people see the host (MCP clients and others).',
    'registration.client_id_hosts': 'The only hosts such documents may be at, one a line. Empty: any host.',
    'registration.resources':
      'Every such client may ask tokens for these, with these scopes, one a line: https://mcp.example.com = tools',
    'registration.expire_unused_days': 'A client that got no token for so many days is deleted. Empty: they stay.',
    public_requests_per_minute:
      'How many one address may push, or begin for a device, each minute; a network ten times as many. Each node counts for itself.',
    token_events: 'The event token.issued says by which grant, for which scopes and resource.',
    machine_events:
      'A moment later costs machines nothing; a program that is killed loses those of its last tenth of a second. Each before its token is slower.',
    max_sessions:
      'In so many browsers somebody may be signed in; the oldest session ends. Empty: as many as they like.',
    refresh_grace_seconds:
      'For so many seconds a used refresh token answers with the same successor, so that a lost answer can be asked again; 0 for not at all.',
  },
  groups: [
    { title: 'The workspace', fields: ['name', 'slug', 'status', 'default_language'] },
    {
      title: 'Looks',
      about: 'Of the sign-in pages and the mails.',
      fields: ['branding.logo', 'branding.color', 'branding.links'],
    },
    {
      title: 'Lifetimes',
      about: 'In seconds: 3600 is an hour, 86400 a day.',
      fields: [...Object.keys(lifetimes).map((name) => `lifetimes.${name}`), 'refresh_grace_seconds', 'max_sessions'],
    },
    {
      title: 'Events',
      fields: ['token_events', 'machine_events'],
    },
    {
      title: 'Signing keys',
      about:
        'A new key is published 15 minutes before it signs, so that every application knows it. With 0 days, operators change keys over.',
      fields: ['keys.rotate_after_days', 'keys.algorithms'],
    },
    {
      title: 'Clients that come by themselves',
      about: 'How applications become clients without an operator, and how far that may go.',
      fields: [
        ...['mode', 'client_id_documents', 'client_id_hosts', 'grant_types', 'scopes', 'resources', 'redirects'],
        ...['most_clients', 'per_hour', 'per_hour_and_network', 'expire_unused_days'],
        ...['rotate_access_token', 'remember_consent'],
      ].map((name) => `registration.${name}`),
    },
    {
      title: 'Clients that anybody can be',
      about:
        'Those without a secret, and those that came by themselves: what they leave here is counted by who sends it.',
      fields: ['public_requests_per_minute'],
    },
  ],
}

const modes: Record<RegistrationPolicy['mode'], string> = {
  off: 'Nobody but operators',
  token: 'Whoever has a registration token',
  open: 'Anybody',
}

const documentsOf = ({ client_id_documents: taken, client_id_hosts: hosts }: RegistrationPolicy): string => {
  if (taken === 'off') return 'Not taken'
  return `Taken from ${hosts.join(', ') || 'any host'}`
}

const boundsOf = ({ scopes, resources, expire_unused_days: days }: RegistrationPolicy) => [
  { name: 'Scopes', value: scopes.join(' ') },
  { name: 'Resources', value: Object.keys(resources).join('\n') || 'None' },
  { name: 'Deleted', value: days ? `after ${days} days without a token` : 'never' },
]

/** A workspace in words. */
export const workspaceFacts = (workspace: Json): FactGroup[] => {
  const { color, logo, links } = workspace.branding as { color: string; logo: string | null; links: Json[] }
  const { rotate_after_days, algorithms } = workspace.keys as KeySettings
  const registration = workspace.registration as RegistrationPolicy
  const times = workspace.lifetimes as Record<keyof typeof lifetimes, number>
  return [
    {
      title: null,
      facts: [
        { name: 'Slug', value: String(workspace.slug), as: 'code' },
        { name: 'Status', value: String(workspace.status), as: 'badge' },
        { name: 'Language', value: languageName(String(workspace.default_language)) },
        { name: 'Made', value: String(workspace.created_at), as: 'time' },
        { name: 'Changed', value: String(workspace.updated_at), as: 'time' },
      ],
    },
    {
      title: 'Addresses',
      facts: [
        { name: 'Issuer', value: String(workspace.issuer), as: 'code' },
        { name: 'Discovery', value: `${workspace.issuer}/.well-known/openid-configuration`, as: 'code' },
        { name: 'Account page', value: `${workspace.issuer}/account`, as: 'code' },
      ],
    },
    {
      title: 'Looks',
      facts: [
        { name: 'Colour', value: color, as: 'color' },
        { name: 'Logo', value: logo ?? '', as: 'code' },
        { name: 'Links', value: links.map(({ label }) => String(label)).join(', ') },
      ],
    },
    {
      title: 'Lifetimes',
      facts: [
        ...Object.entries(lifetimes).map(([name, label]) => ({
          name: label,
          value: timeInWords(times[name as keyof typeof lifetimes]),
        })),
        { name: 'Tokens that leave an event', value: String(workspace.token_events) },
        { name: "Events of machines' tokens", value: String(workspace.machine_events) },
        { name: 'Grace for refresh tokens', value: timeInWords(Number(workspace.refresh_grace_seconds)) },
      ],
    },
    {
      title: 'Signing keys',
      facts: [
        { name: 'Changed over', value: rotate_after_days ? `after ${rotate_after_days} days` : 'by operators' },
        { name: 'Algorithms', value: algorithms.join(', ') },
      ],
    },
    {
      title: 'Clients that come by themselves',
      facts: [
        { name: 'Who registers clients', value: modes[registration.mode] },
        { name: 'Client ID metadata documents', value: documentsOf(registration) },
        ...(registration.mode === 'off' && registration.client_id_documents === 'off' ? [] : boundsOf(registration)),
      ],
    },
    {
      title: 'Clients that anybody can be',
      facts: [{ name: 'Requests a minute', value: `${workspace.public_requests_per_minute} from one address` }],
    },
  ]
}

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** Seconds in the largest unit that says them exactly: "14 days". */
const timeInWords = (seconds: number): string => {
  const [unit, size] = units.find(([, size]) => seconds >= size && seconds % size === 0) ?? ['second', 1]
  const count = seconds / size
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
