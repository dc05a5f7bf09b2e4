import type { Field } from '../../../platform/http/render.ts'
import { Problem } from '../../../platform/problem.ts'
import { type Json, schemaOf } from '../../openapi.ts'
import { type FieldGroup, fieldsOf, readFields, readWhatCan, type Wording } from '../fields.ts'
import { allows, type ConsolePage, call, faultsFor, getRoute, type Outcome, type Visit } from '../page.ts'
import { demanding, type FactGroup, pagesOf, type Section } from '../section.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

interface Message {
  name: string
  channel: 'email' | 'sms'
  variables: { name: string; about: string; required: boolean; always: boolean }[]
  parts: Part[]
  ours: Record<string, { subject?: string; text: string }>
  words: Record<string, Partial<Record<Part, string>>>
}
const allParts = ['subject', 'heading', 'text', 'button'] as const
type Part = (typeof allParts)[number]

const messages: Section = {
  path: '/workspaces/{workspace}/messages',
  param: 'name',
  one: 'message',
  many: 'Messages',
  about:
    'The mails and text messages that go out in the name of this workspace. What it does not word itself is said in our words, in the language of whoever gets it.',
  routes: { list: 'listMessages', get: 'getMessage' },
  id: ({ name }) => String(name),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Message', text: ({ name }) => String(name), as: 'code' },
    { title: 'What it says', text: (item) => saidBriefly(item as unknown as Message) },
    { title: 'Goes out as', text: ({ channel }) => channelName(channel) },
    { title: 'In its own words', text: (item) => languagesOf(item as unknown as Message) },
    { title: 'Changed', text: ({ updated_at }) => updated_at as string | null, as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: (visit) => workspaceTabs(visit),
  facts: (item) => factsOf(item as unknown as Message),
  detail: { view: 'console/message', load: (visit, item) => detailOf(visit, item as unknown as Message) },
  preview: {
    title: 'Preview',
    pages: [
      { value: 'html', label: 'Mail' },
      { value: 'text', label: 'Subject and plain text' },
    ],
  },
}

const channelName = (channel: unknown): string => (channel === 'sms' ? 'Text message' : 'Mail')

const languageName = (lang: string): string => new Intl.DisplayNames('en', { type: 'language' }).of(lang) ?? lang

const languagesOf = ({ words }: Message): string => Object.keys(words).map(languageName).join(', ')

const saidBriefly = ({ ours, words }: Message): string =>
  words.en?.subject ?? ours.en?.subject ?? words.en?.text ?? ours.en?.text ?? ''

const inBraces = ({ name, about, required, always }: Message['variables'][number]): string =>
  `{${name}}: ${about}${required ? ', needed in the text' : always ? '' : ', where it is known'}`

/** The form of one language. */
const wordingOf = ({ parts, ours }: Message, lang: string): Wording => ({
  labels,
  hints: { ...hints, subject: `Ours: ${ours[lang]?.subject}` },
  omit: allParts.filter((part) => !parts.includes(part)),
})

const labels: Record<Part, string> = { subject: 'Subject', heading: 'Heading', text: 'Text', button: 'Button' }
const hints: Record<Exclude<Part, 'subject'>, string> = {
  heading: 'Stands above the text.',
  text: 'Plain text; an empty line begins a paragraph. Ours where this is empty. A paragraph that names what is not known is left out.',
  button: 'What {link} is called where the text has it in a paragraph of its own.',
}

const factsOf = (message: Message): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Goes out as', value: channelName(message.channel) },
      { name: 'In its own words', value: languagesOf(message) || 'In no language: every word is ours' },
    ],
  },
]

/** What the page of one shows: how it comes out in a language, and what somebody can start from. */
const detailOf = async (visit: Visit, message: Message): Promise<Json> => {
  const here = hrefOf(visit)
  const lang = languageIn(message, visit.query.lang)
  const { body: sample } = await call(visit, 'previewMessage', { body: { lang } })
  const languages = Object.keys(message.ours).map((one) => ({
    title: languageName(one),
    href: `${here}?lang=${one}`,
    here: one === lang,
  }))
  const shown = { lang, name: languageName(lang), ...sample, ours: message.ours[lang]?.text ?? '' }
  const isMail = message.channel === 'email'
  return {
    languages,
    shown,
    change: allows(visit, 'putMessage') ? `${here}/${lang}/~edit` : null,
    frame: isMail ? `${here}/${lang}/~preview` : null,
    variables: message.variables.map((one) => ({
      name: `{${one.name}}`,
      value: inBraces(one).replace(/^\{\w+\}: /, ''),
    })),
    reset: languagesOf(message) && allows(visit, 'resetMessage') ? `${here}/~reset` : null,
    test: isMail && allows(visit, 'testMessage') ? `${here}/~test?lang=${lang}` : null,
  }
}

const languageIn = ({ ours }: Message, wanted: string | undefined): string => {
  const all = Object.keys(ours)
  return all.find((lang) => lang === wanted) ?? all[0] ?? 'en'
}

const hrefOf = (visit: Visit): string =>
  `${workspaceHref(visit)}/messages/${encodeURIComponent(visit.params.name ?? '')}`

const messageOf = async (visit: Visit): Promise<{ message: Message; lang: string; etag: string | undefined }> => {
  const { body, etag } = await call(visit, 'getMessage', { params: placeOf(visit) })
  const message = body as unknown as Message
  const lang = Object.keys(message.ours).find((one) => one === visit.params.lang)
  if (!lang) throw new Problem('not_found')
  return { message, lang, etag }
}

const placeOf = ({ params: { workspace = '', name = '' } }: Visit) => ({ workspace, name })

/** What is said of one language in a request, as JSON Schema describes it. */
const schemaOfOne = (): Json => {
  const { properties } = schemaOf(getRoute('previewMessage').body ?? fail(), 'input') as { properties: { words: Json } }
  return properties.words
}

const edit = async (visit: Visit): Promise<Outcome> => {
  const { message, lang, etag } = await messageOf(visit)
  const groups = fieldsOf(schemaOfOne(), { values: message.words[lang] ?? {}, wording: wordingOf(message, lang) })
  return drawForm(visit, { message, lang, groups, etag: etag ?? '', alert: null })
}

const save = async (visit: Visit): Promise<Outcome> => {
  const { message, lang } = await messageOf(visit)
  const wording = wordingOf(message, lang)
  const { etag = '' } = visit.form
  try {
    const words = { ...message.words, [lang]: readFields(schemaOfOne(), visit.form, wording) }
    await call(visit, 'putMessage', { params: placeOf(visit), body: { words }, ifMatch: etag || undefined })
    return { to: `${hrefOf(visit)}?lang=${lang}`, notice: 'The message was changed.' }
  } catch (error) {
    const { errors: told, alert } = faultsFor(error)
    const within = `/words/${lang}`
    const errors = Object.fromEntries(Object.entries(told).map(([at, detail]) => [at.replace(within, ''), detail]))
    const typed = Object.fromEntries(allParts.map((part) => [part, visit.form[part] ?? '']))
    const groups = fieldsOf(schemaOfOne(), { values: typed, errors, wording })
    return drawForm(visit, { message, lang, groups, etag, alert })
  }
}

interface Drawn {
  message: Message
  lang: string
  groups: FieldGroup[]
  etag: string
  alert: string | null
}

const drawForm = async (visit: Visit, { message, lang, groups, etag, alert }: Drawn): Promise<Outcome> => {
  const action = visit.path.replace(/~edit$/, '~preview')
  const choice: Field = { name: 'preview.page', kind: 'select', label: 'Part', options: messages.preview?.pages ?? [] }
  const about = `Variables: ${message.variables.map(inBraces).join('; ')}.`
  const values = {
    groups: groups.map((group) => ({ ...group, title: languageName(lang), about })),
    etag,
    override: false,
    conflicts: [],
    preview: {
      title: 'Preview',
      fields: message.channel === 'sms' ? [] : [{ ...choice, value: visit.form['preview.page'] ?? 'html' }],
      action,
    },
    alert,
    others: [],
    focus: groups.flatMap(({ fields }) => fields).find(({ error }) => error)?.name ?? '',
  }
  const title = `Change ${message.name} in ${languageName(lang)}`
  const crumbs = await aboveMessage(visit)
  return { show: { view: 'console/form', title, crumbs, status: alert ? 422 : 200, frames: true, values } }
}

/** A message as it would come out: as it is saved, or as a form says it. */
const preview = async (visit: Visit): Promise<Outcome> => {
  const { message, lang } = await messageOf(visit)
  const typed = () => readWhatCan(schemaOfOne(), visit.form, wordingOf(message, lang)).body
  const draft = Object.keys(visit.form).length > 0 ? { words: typed() } : {}
  const asText = message.channel === 'sms' || visit.form['preview.page'] === 'text'
  try {
    const { body } = await call(visit, 'previewMessage', { params: placeOf(visit), body: { lang, ...draft } })
    return asText ? sampleText({ subject: body.subject, text: body.text }) : { mail: { html: String(body.html) } }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const faults = Object.entries(errors).map(([pointer, detail]) => `${pointer.split('/').at(-1)}: ${detail}`)
    return sampleText({ faults: faults.length > 0 ? faults : [alert] })
  }
}

const fail = (): never => {
  throw new Error('previewMessage takes no body.')
}

const sampleText = (values: Json): Outcome => ({
  sample: {
    view: 'console/message-text',
    brand: { name: 'Preview', logo: null, color: '#1f6feb', links: [] },
    values: { subject: '', text: '', faults: [], ...values },
  },
})

const aboveMessage = async (visit: Visit) => [
  ...(await aboveWorkspace(visit)),
  { title: 'Messages', href: `${workspaceHref(visit)}/messages` },
  { title: visit.params.name ?? '', href: hrefOf(visit) },
]

const askReset = async (visit: Visit): Promise<Outcome> => {
  await call(visit, 'getMessage')
  const crumbs = await aboveMessage(visit)
  return { show: { view: 'console/message-reset', title: `Reset ${visit.params.name}`, crumbs, values: {} } }
}

const reset = async (visit: Visit): Promise<Outcome> => {
  await call(visit, 'resetMessage')
  return { to: hrefOf(visit), notice: 'It is said in our words again.' }
}

const test = async (visit: Visit): Promise<Outcome> => {
  const { lang = 'en' } = visit.query
  const to = `${hrefOf(visit)}?lang=${encodeURIComponent(lang)}`
  const told = await call(visit, 'testMessage', { body: { lang } }).catch((error) => faultsFor(error).alert)
  return { to, notice: typeof told === 'string' ? told : 'It is on its way to your address.' }
}

const one = '/workspaces/{workspace}/messages/{name}'

export const messagePages: ConsolePage[] = [
  ...pagesOf(messages),
  { method: 'GET', path: `${one}/{lang}/~edit`, handle: (visit) => edit(demanding(visit, 'putMessage')) },
  { method: 'POST', path: `${one}/{lang}/~edit`, handle: (visit) => save(demanding(visit, 'putMessage')) },
  { method: 'GET', path: `${one}/{lang}/~preview`, handle: preview },
  { method: 'POST', path: `${one}/{lang}/~preview`, handle: preview },
  { method: 'GET', path: `${one}/~reset`, handle: (visit) => askReset(demanding(visit, 'resetMessage')) },
  { method: 'POST', path: `${one}/~reset`, handle: reset },
  { method: 'POST', path: `${one}/~test`, handle: test },
]
