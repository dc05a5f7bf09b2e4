import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Identifier } from '../../directory/identifiers.ts'
import type { Outcome } from '../../platform/sandbox.ts'
import { unavailable } from './asking.ts'
import { readCheck, readFind } from './custom-answers.ts'
import { tenantIdField } from './http-user.ts'
import type { Found, Source, SourceTools, Tried, Trouble } from './source.ts'

const isOrigin = (text: string): boolean => /^https?:/.test(text) && URL.parse(text)?.origin === text

const customSettings = z.strictObject({
  code: z.string().min(1).max(60_000).describe('JavaScript with two functions, check and find'),
  secrets: z
    .record(z.string().regex(/^[\w-]{1,100}$/), z.string().min(1).max(4096))
    .default({})
    .describe('By name; put into headers where the script writes {{secret:NAME}}, and never seen by it'),
  allowed_origins: z
    .array(z.string().refine(isOrigin, 'Must be an origin, such as https://people.example.org'))
    .max(20)
    .default([])
    .describe('Where the script’s fetch may go; plain http only reaches what EGRESS_ALLOW names'),
  tenant_id_field: tenantIdField,
})
type CustomSettings = z.infer<typeof customSettings>

/** An operator's own code, in the sandbox: two functions that ask whatever knows the people (docs/custom-source.md). */
export const custom: Source<CustomSettings> = {
  name: 'custom',
  settings: customSettings,
  secrets: ['secrets'],
  open(settings, tools) {
    const tenantField = settings.tenant_id_field
    const find = async (identifier: Identifier): Promise<Found> => {
      const outcome = await run(settings, tools, 'find', named(identifier), nameOf(identifier))
      return outcome.ok ? readFind(outcome.output, { identifier, tenantField }) : failed(outcome)
    }
    return {
      check: async ({ identifier, password, ip }) => {
        const asked = { ...named(identifier), password, ip }
        const outcome = await run(settings, tools, 'check', asked, nameOf(identifier))
        return outcome.ok ? readCheck(outcome.output, { identifier, tenantField }) : failed(outcome)
      },
      find: ({ identifier }) => find(identifier),
      test: () => Promise.all([tryCheck(settings, tools), tryFind(settings, tools)]),
    }
  },
}

const named = ({ kind, value, typed }: Identifier) => ({ identifier: value, kind, typed })

const nameOf = ({ kind, value }: Identifier): string => `${kind}:${value}`

/** `of` is whom a run is about: whoever has found what the script fails at lets it rest for that name alone. */
const run = (
  settings: CustomSettings,
  { sandbox }: SourceTools,
  call: string,
  input: object,
  of = '',
): Promise<Outcome> => {
  const { code, allowed_origins: origins, secrets } = settings
  const fetch = origins.length > 0 ? { origins, secrets } : undefined
  const turnsOf = keyOf(settings)
  return sandbox.run({ key: `${turnsOf} ${of}`, turnsOf, code, call, input, fetch })
}

const keyOf = (settings: CustomSettings): string =>
  `custom ${createHash('sha256').update(JSON.stringify(settings)).digest('base64url')}`

type Failed = Exclude<Outcome, { ok: true }>

// What a script throws may hold the password that it was given, so it is not told on.
const failed = ({ why }: Failed): Trouble => unavailable(reasons[why])

const reasons: Record<Failed['why'], string> = {
  threw: 'The script threw an error',
  timeout: 'The script took too long',
  memory: 'The script took too much memory',
  too_large: 'The script, what it was given or what it gave back is too long',
  bad_output: 'What the script gave back is no JSON',
  busy: 'Too many scripts run, or this one failed again and again and rests',
  crashed: 'The process of the script ended',
}

/** Nobody's password is at hand, so this only sees whether there is such a function. */
const tryCheck = async (settings: CustomSettings, tools: SourceTools): Promise<Tried> => {
  const asked = 'lidoAsksForCheck'
  const code = `${settings.code}\n;function ${asked}() { return typeof check === 'function' }`
  const outcome = await run({ ...settings, code }, tools, asked, {})
  const name = 'check'
  if (!outcome.ok) return { name, ok: false, detail: told(outcome, settings) }
  const ok = outcome.output === true
  return { name, ok, detail: ok ? 'The script has a function check' : 'The script has no function check' }
}

/** Asks for somebody who cannot exist. */
const tryFind = async (settings: CustomSettings, tools: SourceTools): Promise<Tried> => {
  const typed = `lido-test-${randomBytes(8).toString('hex')}@example.invalid`
  const identifier: Identifier = { kind: 'email', value: typed, typed }
  const outcome = await run(settings, tools, 'find', named(identifier))
  const name = 'find'
  if (!outcome.ok) return { name, ok: false, detail: told(outcome, settings) }
  const found = readFind(outcome.output, { identifier, tenantField: settings.tenant_id_field })
  if ('detail' in found) return { name, ok: false, detail: found.detail }
  const ok = found.is === 'not_found'
  return { name, ok, detail: ok ? 'It knows nobody who cannot exist' : 'It knows somebody who cannot exist' }
}

/** No password was there to be thrown, so whoever wrote the script may see what went wrong. */
const told = (outcome: Failed, { secrets }: CustomSettings): string => {
  const detail = `${reasons[outcome.why]}: ${outcome.detail}`
  return Object.values(secrets).reduce((text, secret) => text.replaceAll(secret, '…'), detail)
}
