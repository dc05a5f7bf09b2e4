import { z } from 'zod'
import { Problem } from '../platform/problem.ts'
import { isCountry } from './mobile.ts'
import { hiddenSchemaFault, schemaFault } from './profiles.ts'

/** What a second factor may be. Those that are got by enrolment stand for themselves; recovery codes only for another. */
const secondFactors = ['totp', 'passkey', 'sms_code', 'email_code', 'recovery_code'] as const

/** Ways to sign in that need nothing but themselves. */
const signInMethods = ['password', 'email_code', 'sms_code', 'magic_link', 'passkey'] as const

/** In the order of how much it asks. */
const riskActions = ['allow', 'notice', 'second_factor', 'refuse'] as const
const riskAction = z.enum(riskActions)

const country = z.string().refine(isCountry, 'Give a country as in ISO 3166-1, such as CH')

/** What an operator may set for a pool; stored as it is typed, with every default filled in when read. */
export const poolSettings = z.object({
  identifiers: z
    .array(z.enum(['email', 'mobile', 'username']))
    .min(1)
    .default(['email']),
  sign_in_methods: z.array(z.enum(signInMethods)).min(1).default(['password', 'email_code']),
  second_factor: z
    .enum(['off', 'optional', 'required'])
    .default('off')
    .describe('`optional`: asked of whoever has one; `required`: whoever has none gets one at sign-in'),
  second_factors: z
    .array(z.enum(secondFactors))
    .min(1)
    .default(['totp', 'recovery_code'])
    .describe('In the order in which they are offered'),
  remember_device_days: z
    .int()
    .min(0)
    .max(90)
    .default(0)
    .describe('How long a browser may be spared the second factor; 0 for never'),
  default_country: country
    .nullable()
    .default(null)
    .describe('Where mobile numbers without a country code belong (ISO 3166-1 alpha-2); null: they need one'),
  sms_countries: z
    .array(country)
    .max(250)
    .nullable()
    .default(null)
    .describe('Countries that text messages are sent to; null for all'),
  sms_per_country_hour: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(500)
    .describe('The most text messages to the numbers of one country within an hour'),
  risk: z
    .strictObject({ medium: riskAction.default('allow'), high: riskAction.default('allow') })
    .prefault({})
    .describe('What becomes of a sign-in that looks like somebody else’s; with `allow` for both, none is judged'),
  self_registration: z.boolean().default(false),
  account_self_service: z.boolean().default(true).describe('Whether people have an account page of their own'),
  account_deletion_grace_days: z
    .int()
    .min(0)
    .max(30)
    .default(0)
    .describe('How long somebody who deletes their account may change their mind; 0: it is gone at once'),
  user_schema: z.record(z.string(), z.unknown()).default({ type: 'object', properties: {}, required: [] }),
  metadata_schema: z.record(z.string(), z.unknown()).default({}),
  password_policy: z
    .strictObject({
      min_length: z.int().min(8).max(128).default(12).describe('Code points; a preset has its own'),
      preset: z
        .enum(['nist'])
        .nullable()
        .default(null)
        .describe('`nist`: 15 alone and 8 where a second factor is required, no classes, no expiry'),
      breached: z
        .enum(['refuse', 'warn', 'off'])
        .default('refuse')
        .describe('What becomes of a password from a leak; `warn` asks whether it is really wanted'),
      history: z.int().min(0).max(24).default(0).describe('How many earlier passwords may not be used again'),
      expires_after_days: z.int().min(1).max(3650).nullable().default(null),
      lowercase: z.int().min(0).max(16).default(0).describe('The fewest there must be'),
      uppercase: z.int().min(0).max(16).default(0),
      digits: z.int().min(0).max(16).default(0),
      symbols: z.int().min(0).max(16).default(0).describe('Neither letter, digit nor space'),
    })
    .prefault({}),
  code_policy: z
    .strictObject({
      length: z.int().min(6).max(10).default(6),
      lifetime_seconds: z.int().min(60).max(600).default(600),
      attempts: z.int().min(1).max(5).default(5),
    })
    .prefault({}),
})
export type PoolSettings = z.infer<typeof poolSettings>

export type PasswordPolicy = PoolSettings['password_policy']

/** What a pool asks of a new password, with what its preset says in the place of its own. */
export const passwordPolicyOf = (settings: PoolSettings): PasswordPolicy => {
  const { preset } = settings.password_policy
  return { ...settings.password_policy, ...(preset && presets[preset](settings)) }
}

/** NIST SP 800-63B-4 section 3.1.1.2: how long, and neither a mix of characters nor a regular change is asked for. */
const nist = (settings: PoolSettings): Partial<PasswordPolicy> => ({
  min_length: settings.second_factor === 'required' ? 8 : 15,
  expires_after_days: null,
  lowercase: 0,
  uppercase: 0,
  digits: 0,
  symbols: 0,
})

const presets = { nist }

/** Throws `unprocessable` where settings cannot stand together, or a schema cannot be used. */
export const checkSettings = async (settings: PoolSettings): Promise<void> => {
  checkWays(settings)
  checkSeconds(settings)
  checkRisk(settings)
  const errors = [
    { pointer: '/user_schema', detail: await schemaFault(settings.user_schema) },
    { pointer: '/metadata_schema', detail: await hiddenSchemaFault(settings.metadata_schema) },
  ].flatMap(({ pointer, detail }) => (detail ? [{ pointer, detail }] : []))
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

/** Ways to sign in that nobody could use, or that would be the only one where they must not be (ASVS 5.0, 6.6.1). */
const checkWays = ({ identifiers, sign_in_methods }: PoolSettings): void => {
  const detail = (
    [
      ['sms_code', 'mobile', 'A code by text message needs the identifier mobile'],
      ['magic_link', 'email', 'A link by mail needs the identifier email'],
    ] as const
  ).find(([method, kind]) => sign_in_methods.includes(method) && !identifiers.includes(kind))?.[2]
  const lonely = sign_in_methods.every((name) => name === 'sms_code')
  const fault = detail ?? (lonely ? 'A code by text message needs another way beside it' : undefined)
  if (fault) throw new Problem('unprocessable', { errors: [{ pointer: '/sign_in_methods', detail: fault }] })
}

/** Second factors that nobody could use, or that stand in for others that are not there. */
const checkSeconds = ({ identifiers, second_factor, second_factors }: PoolSettings): void => {
  const alone = second_factors.every((name) => name === 'recovery_code')
  const numberless = second_factors.includes('sms_code') && !identifiers.includes('mobile')
  const detail = alone
    ? 'Recovery codes stand in for another second factor, and there is none'
    : numberless && 'A code by text message needs the identifier mobile'
  if (second_factor === 'off' || !detail) return
  throw new Problem('unprocessable', { errors: [{ pointer: '/second_factors', detail }] })
}

/** What a risk brings about and nobody could meet, or that would be milder the greater the risk. */
const checkRisk = ({ risk, identifiers, sign_in_methods, second_factor }: PoolSettings): void => {
  const { medium, high } = risk
  const second = second_factor !== 'off' || identifiers.includes('email') || sign_in_methods.length > 1
  const recovers = sign_in_methods.includes('password') && identifiers.includes('email')
  const fault = (
    [
      [
        riskActions.indexOf(medium) > riskActions.indexOf(high),
        '/risk/high',
        'A high risk must not be met more mildly than a medium one',
      ],
      [
        [medium, high].includes('second_factor') && !second,
        '/risk',
        'Nobody could prove anything more: it needs second factors, the identifier email or another way to sign in',
      ],
      [
        [medium, high].includes('refuse') && !recovers,
        '/risk',
        'Whoever is refused needs a way back: the sign-in method password and the identifier email, for recovery',
      ],
    ] as const
  ).find(([is]) => is)
  if (fault) throw new Problem('unprocessable', { errors: [{ pointer: fault[1], detail: fault[2] }] })
}
