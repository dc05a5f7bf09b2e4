import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type MessageName, renderMessage } from '../platform/http/render.ts'
import { enqueue } from '../platform/jobs.ts'
import type { Messages } from '../platform/messages.ts'
import type { Keyring } from '../platform/secrets.ts'
import { wordsFor } from '../platform/words.ts'
import type { Services } from '../services.ts'
import type { Workspace } from './workspaces.ts'

const letter = z.object({
  to: z.string(),
  channel: z.enum(['email', 'sms']),
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
export type Note = Pick<Letter, 'to' | 'channel' | 'template' | 'values'>

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
  const content: Letter | null = note ? { ...note, lang, brand: brandOf(workspace) } : null
  await enqueue(db, 'send_message', { sealed: services.keyring.seal(JSON.stringify(content), 'message') })
}

/** The job that sends what `post` put in. */
export const sendMessage =
  ({ keyring, messages }: { keyring: Keyring; messages: Messages }) =>
  async (payload: unknown): Promise<void> => {
    const { sealed } = z.object({ sealed: z.string() }).parse(payload)
    const content = letter.nullable().parse(JSON.parse(keyring.open(sealed, 'message')))
    if (!content) return
    const { to, channel, template, lang, brand, values } = content
    const written = renderMessage(template, wordsFor(lang), { brand, address: to, ...values })
    const code = typeof values.code === 'string' ? { code: values.code } : {}
    const link = typeof values.link === 'string' ? { link: values.link } : {}
    await messages.deliver({ to, channel, ...written, ...code, ...link })
  }

/** How a workspace shows itself on pages and in messages. */
export const brandOf = ({ name, settings }: Workspace) => ({ name, ...settings.branding })
