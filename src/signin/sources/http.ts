import { createHmac, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import type { Outsider } from '../outsider.ts'
import { ask, type Heard, misconfigured, rateLimited, silent, strange, unavailable } from './asking.ts'
import { type HttpUser, httpPage, httpUser, isAbout, outsiderOf, tenantIdField } from './http-user.ts'
import type { Checked, Found, OpenSource, Source, SourceTools, Tried, Trouble } from './source.ts'

const httpSettings = z.strictObject({
  url: z
    .string()
    .trim()
    .refine((url) => readUrl(url) !== undefined, 'Must be an https address without a query')
    .describe('Where /check and /find are; plain http only reaches what EGRESS_ALLOW names'),
  secret: z.string().min(16).max(1024).describe('Signs every request; at least 16 characters'),
  tenant_id_field: tenantIdField,
})
type HttpSettings = z.infer<typeof httpSettings>

/** Any server of the operator's: two signed questions in JSON, answered by status (docs/http-source.md). */
export const httpSource: Source<HttpSettings> = {
  name: 'http',
  settings: httpSettings,
  secrets: ['secret'],
  open(settings, tools) {
    return {
      check: async ({ identifier, password, ip }) => {
        const heard = await post(settings, tools, 'check', { ...named(identifier), password, ip })
        return heard ? readCheck(settings, tools, heard, identifier) : silent(who)
      },
      find: async ({ identifier }) => find(settings, tools, identifier),
      test: async () => [await trySettings(settings, tools)],
      list: async (cursor) => list(settings, tools, cursor),
    }
  },
}

/** RFC 2104, in hex, of the time in Unix seconds, a full stop and the body. */
export const signatureOf = (secret: string, timestamp: string, body: string): string =>
  createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')

const who = 'The server of the source'

const readUrl = (text: string): string | undefined => {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    return undefined
  return url.href.replace(/\/$/, '')
}

const named = ({ kind, value, typed }: Identifier) => ({ identifier: value, kind, typed })

const signed = (secret: string, body: string, now: Date): Record<string, string> => {
  const timestamp = String(Math.floor(now.getTime() / 1000))
  return { 'lido-timestamp': timestamp, 'lido-signature': `v1=${signatureOf(secret, timestamp, body)}` }
}

const post = ({ url, secret }: HttpSettings, { fetch, clock }: SourceTools, call: string, asked: object) => {
  const body = JSON.stringify(asked)
  const headers = { 'content-type': 'application/json', ...signed(secret, body, clock.now()) }
  return ask(fetch, `${readUrl(url)}/${call}`, { method: 'POST', headers, body })
}

const readCheck = (settings: HttpSettings, tools: SourceTools, heard: Heard, asked: Identifier): Checked => {
  const { status, body } = heard
  if (status === 401) return { is: 'invalid' }
  if (status === 409 && body === undefined) return { is: 'must_reset', user: undefined }
  if (status !== 200 && status !== 409) return refusal(heard, tools.clock.now())
  const read = readUser(settings, body, asked)
  if ('is' in read) return read
  return { is: status === 409 ? 'must_reset' : grade(read.told), user: read.user }
}

/** A second factor there must not be lost over a password that has to change, so it comes first. */
const grade = ({ mfa, must_change }: HttpUser): 'ok' | 'must_change' | 'mfa_required' => {
  if (mfa) return 'mfa_required'
  return must_change ? 'must_change' : 'ok'
}

const find = async (settings: HttpSettings, tools: SourceTools, asked: Identifier): Promise<Found> => {
  const heard = await post(settings, tools, 'find', named(asked))
  if (!heard) return silent(who)
  if (heard.status === 401) return misconfigured(unsigned)
  if (heard.status !== 200) return refusal(heard, tools.clock.now())
  const read = readUser(settings, heard.body, asked)
  return 'is' in read ? read : { is: 'ok', user: read.user }
}

const readUser = (
  settings: HttpSettings,
  body: unknown,
  asked: Identifier,
): { told: HttpUser; user: Outsider } | Trouble => {
  const read = httpUser.safeParse(body)
  if (!read.success) return unavailable(`${who} answered with no user: ${placeOf(read.error)} is not as it should be`)
  const user = outsiderOf(read.data, settings.tenant_id_field)
  return isAbout(asked, user) ? { told: read.data, user } : unavailable(`${who} answered about somebody else`)
}

const refusal = (heard: Heard, now: Date): { is: 'not_found' | 'blocked' } | Trouble => {
  const { status } = heard
  if (status === 404) return { is: 'not_found' }
  if (status === 423) return { is: 'blocked' }
  if (status === 403) return misconfigured(unsigned)
  if (status === 429) return rateLimited(who, heard, now)
  return strange(who, heard)
}

const unsigned = `${who} does not take our signature: check the secret, and its clock`

const list = async (
  { url, secret, tenant_id_field }: HttpSettings,
  { fetch, clock }: SourceTools,
  cursor: string | undefined,
): Promise<Listed> => {
  const query = cursor === undefined ? '' : `?${new URLSearchParams({ cursor })}`
  const heard = await ask(fetch, `${readUrl(url)}/users${query}`, { headers: signed(secret, '', clock.now()) })
  if (!heard) return silent(who)
  if ([404, 405, 501].includes(heard.status)) return misconfigured(`${who} lists nobody (status ${heard.status})`)
  if (heard.status === 401) return misconfigured(unsigned)
  if (heard.status !== 200) return trouble(refusal(heard, clock.now()), heard)
  const read = httpPage.safeParse(heard.body)
  if (!read.success) return unavailable(`${who} answered with no list: ${placeOf(read.error)} is not as it should be`)
  const users = read.data.users.map((told) => outsiderOf(told, tenant_id_field))
  return { is: 'ok', users, next: read.data.next ?? undefined }
}

type Listed = Awaited<ReturnType<NonNullable<OpenSource['list']>>>

const trouble = (answer: ReturnType<typeof refusal>, heard: Heard): Trouble =>
  'detail' in answer ? answer : strange(who, heard)

/** Where an answer is wrong; never what was there. */
const placeOf = ({ issues }: z.ZodError): string => issues[0]?.path.join('.').slice(0, 100) || 'the whole'

/** Asks for somebody who cannot exist. */
const trySettings = async (settings: HttpSettings, tools: SourceTools): Promise<Tried> => {
  const typed = `lido-test-${randomBytes(8).toString('hex')}@example.invalid`
  const found = await find(settings, tools, { kind: 'email', value: typed, typed })
  const ok = found.is === 'not_found'
  if ('detail' in found) return { name: '/find', ok, detail: found.detail }
  return {
    name: '/find',
    ok,
    detail: ok ? 'It takes our signature, and knows nobody who cannot exist' : 'It knows somebody who cannot exist',
  }
}
