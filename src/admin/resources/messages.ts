import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import * as operators from '../../directory/operators.ts'
import { brandOf, hostOf, type Note, post } from '../../directory/outbox.ts'
import * as wordings from '../../directory/wordings.ts'
import { variables, type WordedMessage, wordedMessages } from '../../platform/http/message-list.ts'
import { oursOf, sampleOf, sampleValues } from '../../platform/http/sample.ts'
import { faultsOf, type Wording } from '../../platform/http/wording.ts'
import { Problem } from '../../platform/problem.ts'
import { languages } from '../../platform/words.ts'
import type { Services } from '../../services.ts'
import { take, windowMinutes } from '../../signin/limits.ts'
import { type Actor, byOf } from '../access.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const parts = ['subject', 'heading', 'text', 'button'] as const

const answered = z.strictObject({
  name: z.enum(wordings.names).describe('What the message is for; its name in addresses'),
  channel: z.enum(['email', 'sms']),
  variables: z
    .array(
      z.strictObject({
        name: z.string().describe('As it stands between the braces'),
        about: z.string().describe('What takes its place'),
        required: z.boolean().describe('A text has to say it'),
        always: z.boolean().describe('Else a paragraph that names it is left out where it has no value'),
      }),
    )
    .describe('What its texts may name'),
  parts: z.array(z.enum(parts)).describe('What can be worded'),
  ours: z
    .record(z.string(), z.strictObject({ subject: z.string().optional(), text: z.string() }))
    .describe('In our words, by language'),
  words: wordings.writtenWords.describe('In words of its own, by language'),
  updated_at: z.iso.datetime().nullable().describe('Null where every word is ours'),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneMessage = inWorkspace.extend({ name: z.string().describe('One of those that the list names') })
const tried = z.strictObject({
  lang: z.enum(languages as [string, ...string[]]),
  words: wordings.wording.optional().describe('In these words, whatever is saved'),
})

export const messageRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/messages',
    name: 'listMessages',
    summary: 'List the messages that go out in the name of a workspace, with our words and its own',
    scope: 'workspaces:read',
    params: inWorkspace,
    answer: z.strictObject({ items: z.array(answered), next_cursor: z.null() }),
    status: 200,
    async handle(call) {
      const workspace = await getWorkspace(call, call.params.workspace)
      const own = new Map(
        (await wordings.list(call.services.db, [workspace.id])).map((record) => [record.name, record]),
      )
      return { body: { items: wordedMessages.map((one) => messageOf(one, own.get(one.name))), next_cursor: null } }
    },
  }),
  route({
    method: 'GET',
    path: '/workspaces/{workspace}/messages/{name}',
    name: 'getMessage',
    summary: 'Read a message with its variables, our words and those of the workspace',
    scope: 'workspaces:read',
    params: oneMessage,
    answer: answered,
    status: 200,
    async handle(call) {
      const { message, record } = await getMessage(call)
      return { body: messageOf(message, record), etag: etagOf(record ?? never) }
    },
  }),
  route({
    method: 'PUT',
    path: '/workspaces/{workspace}/messages/{name}',
    name: 'putMessage',
    summary: 'Word a message, in every language at once; what is left out is said in our words',
    scope: 'workspaces:write',
    params: oneMessage,
    body: z.strictObject({ words: wordings.writtenWords.default({}) }),
    answer: answered,
    status: 200,
    async handle(call) {
      const { message } = await change(call, call.body.words)
      const { record } = await getMessage(call)
      return { body: messageOf(message, record), etag: etagOf(record ?? never) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/workspaces/{workspace}/messages/{name}',
    name: 'resetMessage',
    summary: 'Say a message in our words again',
    scope: 'workspaces:write',
    params: oneMessage,
    status: 204,
    async handle(call) {
      await change(call, {})
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/messages/{name}/preview',
    name: 'previewMessage',
    summary: 'Show a message with sample values',
    scope: 'workspaces:read',
    params: oneMessage,
    body: tried,
    answer: z.strictObject({
      subject: z.string(),
      text: z.string(),
      html: z.string().describe('As mail programs show it'),
    }),
    status: 200,
    async handle(call) {
      const { workspace, message, record } = await getMessage(call)
      const { lang } = call.body
      checkWords(message, call.body.words)
      const own = call.body.words ?? (record && wordings.fitting(message, record, lang))
      return { body: sampleOf(message, { lang, brand: brandOf(workspace), host: hostOf(call.services), own }) }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/messages/{name}/test',
    name: 'testMessage',
    summary: 'Send a message with sample values to the operator who asks, and to nobody else',
    scope: 'workspaces:write',
    params: oneMessage,
    body: tried,
    status: 202,
    async handle(call) {
      const { services, actor, at } = call
      const { workspace, message } = await getMessage(call)
      const { lang, words: own } = call.body
      checkWords(message, own)
      const note = { ...(await noteTo(services, actor, message)), ...(own ? { own } : {}) }
      const counter = { kind: 'message test', scope: 'operators', who: actor.id } as const
      if (!(await take(services.db, at, [counter])))
        throw new Problem('too_many_requests', { retryAfter: windowMinutes('message test') * 60 })
      await services.db.transaction().execute(async (trx) => {
        await post(trx, { services, workspace, lang }, note)
        const data = { by: byOf(actor), name: message.name }
        await audit.record(trx, at, { workspaceId: workspace.id }, { type: 'workspace.message_tried', data })
      })
    },
  }),
]

/** When a message was changed that never was. */
const never = { updatedAt: new Date(0) }

interface Asked {
  services: Services
  actor: Actor
  params: z.output<typeof oneMessage>
}

const getMessage = async (call: Asked) => {
  const workspace = await getWorkspace(call, call.params.workspace)
  const message = wordedMessages.find(({ name }) => name === call.params.name)
  if (!message) throw new Problem('not_found')
  const record = await wordings.find(call.services.db, workspace.id, message.name)
  return { workspace, message, record }
}

const change = async (call: Asked & { at: Date; ifMatch: string | undefined }, words: wordings.WrittenWords) => {
  await getChangeableWorkspace(call, call.params.workspace)
  const { workspace, message, record: before } = await getMessage(call)
  checkMatch(call.ifMatch, before ?? never)
  const errors = wordings.faultsOf(message, words)
  if (errors.length > 0) throw new Problem('unprocessable', { errors: below('/words', errors) })
  const place = { workspaceId: workspace.id, name: message.name }
  await inTransaction(call, (trx, at, by) => wordings.put(trx, at, place, { before, words }, by))
  return { message }
}

/** Throws `unprocessable` for words that do not fit their message. */
const checkWords = (message: WordedMessage, own: Wording = {}): void => {
  const errors = below('/words', faultsOf(message, own))
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

const below = (pointer: string, errors: { pointer: string; detail: string }[]) =>
  errors.map(({ pointer: at, detail }) => ({ pointer: `${pointer}${at}`, detail }))

/** A sample to the operator's own proven address. Throws `conflict` where there is none, and for machines. */
const noteTo = async (services: Services, actor: Actor, message: WordedMessage): Promise<Note> => {
  const grant = actor.kind === 'operator' ? await operators.find(services.db, actor.id) : undefined
  const known = grant && (await operators.get(services.db, grant.poolId, grant.userId))
  const wanted = message.channel === 'sms' ? 'mobile' : 'email'
  const to = known?.identifiers.find(({ kind, verified }) => kind === wanted && verified)?.value
  if (to === undefined) {
    const detail = `A test goes to the ${wanted === 'email' ? 'address' : 'mobile number'} of an operator who has proven one.`
    throw new Problem('conflict', { detail })
  }
  const { service: _s, address: _a, ...values } = sampleValues(message)
  return message.channel === 'sms'
    ? { to, channel: 'sms', template: message.template, host: hostOf(services), values }
    : { to, channel: 'email', template: message.template, values }
}

const messageOf = (message: WordedMessage, record: wordings.WordedRecord | undefined): z.input<typeof answered> => ({
  name: message.name,
  channel: message.channel,
  variables: message.variables.map((one) => ({ ...one, about: variables[one.name].about })),
  parts: message.channel === 'sms' ? ['text'] : [...parts],
  ours: Object.fromEntries(languages.map((lang) => [lang, oursOf(message, lang)])),
  words: record?.words ?? {},
  updated_at: record?.updatedAt.toISOString() ?? null,
})
