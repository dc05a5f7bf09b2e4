import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import type { MessageName, TextName } from '../platform/http/message-list.ts'
import { renderMessage, renderText } from '../platform/http/render.ts'
import type { Wording } from '../platform/http/wording.ts'
import { enqueue } from '../platform/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Message, Messages } from '../platform/messages.ts'
import type { Keyring } from '../platform/secrets.ts'
import { Undeliverable } from '../platform/sms/provider.ts'
import { chooseLanguage, wordsFor } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { wording, wordingFor } from './wordings.ts'
import type { Workspace } from './workspaces.ts'

const letter = z.object({
  /** Whose words it is said in; ours where nobody is named. */
  workspaceId: z.string().optional(),
  /** The words to try, in the place of the workspace's. */
  own: wording.optional(),
  to: z.string(),
  channel: z.enum(['email', 'sms']),
  /** Where a code is entered, for phones that fill it in. */
  host: z.string().optional(),
  template: z.custom<MessageName>((name) => typeof name === 'string'),
  lang: z.string(),
  brand: z.object({
    name: z.string(),
    logo: z.string().nullable(),
    color: z.string(),
    links: z.array(z.object({ label: z.string(), href: z.string() })),
  }),
  values: z.record(z.string(), z.union([z.string(), z.number()])),
})
type Letter = z.infer<typeof letter>

/** A message to somebody; the template's own values come in `values`, a code and a link among them where it has any. */
export type Note = Pick<Letter, 'to' | 'values' | 'own'> &
  ({ channel: 'email'; template: MessageName } | { channel: 'sms'; template: TextName; host: string })

/** How often a message that is good for minutes is tried: pauses grow by e, so the seventh comes after ten minutes. */
const triesOfMinutes = 7

/** In whose name and language a message goes out. */
export interface Sender {
  services: Pick<Services, 'keyring'>
  workspace: Workspace
  lang: string
}

/**
 * Puts a message into the outbox, in the transaction that causes it. `undefined` puts in a job that sends nothing, so
 * that a stranger costs what a user costs. What it says is sealed: a code is never readable in the queue.
 */
export const post = async (db: Db, from: Sender, note: Note | undefined): Promise<void> => {
  const { services, workspace, lang } = from
  const content: Letter | null = note ? { ...note, workspaceId: workspace.id, lang, brand: brandOf(workspace) } : null
  const sealed = services.keyring.seal(JSON.stringify(content), 'message')
  await enqueue(
    db,
    'send_message',
    { sealed },
    note?.values.minutes === undefined ? {} : { maxAttempts: triesOfMinutes },
  )
}

/** The job that sends what `post` put in. What is refused for good is told to the log, and not tried again. */
export const sendMessage =
  ({ db, keyring, messages, log }: { db: Db; keyring: Keyring; messages: Messages; log: Pick<Log, 'warn'> }) =>
  async (payload: unknown): Promise<void> => {
    const { sealed } = z.object({ sealed: z.string() }).parse(payload)
    const content = letter.nullable().parse(JSON.parse(keyring.open(sealed, 'message')))
    if (!content) return
    try {
      await messages.deliver(written(content, content.own ?? (await ownWords(db, content))))
    } catch (error) {
      if (!(error instanceof Undeliverable)) throw error
      log.warn({ channel: content.channel, template: content.template, why: error.message }, 'a message was refused')
    }
  }

const ownWords = async (db: Db, { workspaceId, channel, template, lang }: Letter): Promise<Wording | undefined> => {
  const name = channel === 'sms' ? (`sms-${template as TextName}` as const) : template
  return workspaceId === undefined ? undefined : wordingFor(db, workspaceId, name, lang)
}

const written = (
  { to, channel, template, lang, brand, host = '', values }: Letter,
  own: Wording | undefined,
): Message => {
  const words = wordsFor(lang)
  const code = typeof values.code === 'string' ? { code: values.code } : {}
  const link = typeof values.link === 'string' ? { link: values.link } : {}
  const minutes = typeof values.minutes === 'number' ? { minutes: values.minutes } : {}
  if (channel === 'sms') {
    const text = renderText(template as TextName, words, { brand, host, ...code, ...minutes }, own)
    return { to, channel, subject: '', text, html: '', ...code }
  }
  return { to, channel, ...renderMessage(template, words, { brand, address: to, ...values }, own), ...code, ...link }
}

/** The site that a code is entered at, as text messages name it. */
export const hostOf = ({ config }: Pick<Services, 'config'>): string => new URL(config.publicUrl).hostname

/** In which language somebody is written to, where no page tells: their own where it is known, else the workspace's. */
export const languageOf = ({ locale }: Record<string, unknown>, workspace: Workspace | undefined): string =>
  chooseLanguage({
    ...(typeof locale === 'string' ? { uiLocales: locale } : {}),
    ...(workspace ? { otherwise: workspace.settings.default_language } : {}),
  })

/** How a workspace shows itself on pages and in messages. */
export const brandOf = ({ name, settings }: Workspace) => ({ name, ...settings.branding })
