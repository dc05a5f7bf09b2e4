import { languages } from '../../../platform/words.ts'
import type { Json } from '../../openapi.ts'
import type { Wording } from '../fields.ts'
import type { FactGroup } from '../section.ts'

const lifetimes = {
  access_token: 'Access token',
  id_token: 'ID token',
  code: 'Authorization code',
  interaction: 'Time to sign in',
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
    default_language: languages.map((lang) => ({ value: lang, label: languageName(lang) })),
  },
  labels: {
    'branding.logo': 'Logo',
    'branding.color': 'Colour',
    'branding.links': 'Links below the page',
    default_language: 'Language',
    refresh_grace_seconds: 'Grace for refresh tokens',
    'passkeys.rp_id': 'Domain',
    'passkeys.related_origins': 'Origins elsewhere',
    ...Object.fromEntries(Object.entries(lifetimes).map(([name, label]) => [`lifetimes.${name}`, label])),
  },
  hints: {
    slug: 'Its name in addresses: lower-case letters, digits and dashes. Applications know it by its address: changing it breaks them.',
    name: 'What people see at the top of the sign-in pages.',
    'branding.logo': 'The https address of a picture; shown in the place of the name.',
    'branding.color': 'As #rrggbb. The words on it turn black or white, whichever is easier to read.',
    'branding.links': 'Six at most, one a line: Privacy = https://example.com/privacy',
    default_language: 'Spoken where neither the application nor the browser asks for a language that there is.',
    'lifetimes.interaction': 'How long somebody may take from the first page to the last.',
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
      fields: [...Object.keys(lifetimes).map((name) => `lifetimes.${name}`), 'refresh_grace_seconds'],
    },
  ],
}

/** A workspace in words. */
export const workspaceFacts = (workspace: Json): FactGroup[] => {
  const { color, logo, links } = workspace.branding as { color: string; logo: string | null; links: Json[] }
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
        { name: 'Grace for refresh tokens', value: timeInWords(Number(workspace.refresh_grace_seconds)) },
      ],
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
