import { sql } from 'kysely'
import { z } from 'zod'
import { type Db, isUniqueViolation } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { isCountry } from './mobile.ts'
import { poolSlug } from './operators.ts'
import { hiddenSchemaFault, schemaFault } from './profiles.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const slug = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/)

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

export const newPool = z.object({
  slug,
  name: z.string().min(1).max(200),
  description: z.string().max(1000).default(''),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/)
    .default('#1f6feb'),
  kind: z.literal('local').default('local'),
  settings: poolSettings.prefault({}),
})

/** A directory of users, with its settings complete. */
export interface Pool {
  id: string
  slug: string
  name: string
  description: string
  color: string
  kind: 'local' | 'external' | 'federated'
  status: 'active' | 'inactive'
  settings: PoolSettings
  createdAt: Date
  updatedAt: Date
}

export const poolFrom = (row: Omit<Pool, 'settings'> & { settings: unknown }): Pool => ({
  id: row.id,
  slug: row.slug,
  name: row.name,
  description: row.description,
  color: row.color,
  kind: row.kind,
  status: row.status,
  settings: poolSettings.parse(row.settings),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})

/** Makes a pool. Throws `conflict` where the slug is taken, `unprocessable` where its schema cannot be used. */
export const create = async (
  db: Db,
  at: Date,
  input: z.input<typeof newPool>,
  by: audit.By = audit.system,
): Promise<Pool> => {
  const { settings, ...pool } = newPool.parse(input)
  checkWays(settings)
  checkRisk(settings)
  await checkSettings(settings)
  const row = await db
    .insertInto('pools')
    .values({ id: uuidv7(at), ...pool, settings: JSON.stringify(settings) })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `A pool with the slug "${pool.slug}" exists.` })
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.created', data: { by, name: pool.name } })
  return poolFrom(row)
}

/** Ways to sign in that nobody could use, or that would be the only one where they must not be (ASVS 5.0, 6.6.1). */
const checkWays = ({ identifiers, sign_in_methods, second_factor, second_factors }: PoolSettings): void => {
  const detail = (
    [
      ['sms_code', 'mobile', 'A code by text message needs the identifier mobile'],
      ['magic_link', 'email', 'A link by mail needs the identifier email'],
    ] as const
  ).find(([method, kind]) => sign_in_methods.includes(method) && !identifiers.includes(kind))?.[2]
  const lonely = sign_in_methods.every((name) => name === 'sms_code')
  const fault = detail ?? (lonely ? 'A code by text message needs another way beside it' : undefined)
  if (fault) throw new Problem('unprocessable', { errors: [{ pointer: '/sign_in_methods', detail: fault }] })
  if (second_factor !== 'off' && second_factors.includes('sms_code') && !identifiers.includes('mobile')) {
    const detail = 'A code by text message needs the identifier mobile'
    throw new Problem('unprocessable', { errors: [{ pointer: '/second_factors', detail }] })
  }
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

const checkSettings = async ({
  user_schema,
  metadata_schema,
  second_factor,
  second_factors,
}: PoolSettings): Promise<void> => {
  if (second_factor !== 'off' && second_factors.every((name) => name === 'recovery_code')) {
    const detail = 'Recovery codes stand in for another second factor, and there is none'
    throw new Problem('unprocessable', { errors: [{ pointer: '/second_factors', detail }] })
  }
  const errors = [
    { pointer: '/user_schema', detail: await schemaFault(user_schema) },
    { pointer: '/metadata_schema', detail: await hiddenSchemaFault(metadata_schema) },
  ].flatMap(({ pointer, detail }) => (detail ? [{ pointer, detail }] : []))
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

type Change = z.input<typeof newPool> & { status: Pool['status'] }

/** What a pool would be with every setting at once. Throws `unprocessable` where the settings cannot be used. */
export const changedBy = async (before: Pool, { status, ...input }: Change): Promise<Pool> => {
  const { settings, ...pool } = newPool.parse(input)
  checkWays(settings)
  checkRisk(settings)
  await checkSettings(settings)
  return { ...before, ...pool, status, settings }
}

type Ways = Pick<Pool, 'slug' | 'status'> & { settings: Pick<PoolSettings, 'identifiers' | 'sign_in_methods'> }

/** What of a change would lock operators out: what they may sign in with is added to, and never taken away. */
export const lockouts = (before: Ways, { slug, status, settings }: Ways): { pointer: string; detail: string }[] => {
  if (before.slug !== poolSlug) return []
  const taken = (['identifiers', 'sign_in_methods'] as const).flatMap((field) => {
    const kept = new Set<string>(settings[field])
    return before.settings[field]
      .filter((value) => !kept.has(value))
      .map((value) => ({ pointer: `/${field}`, detail: `Administrators may need "${value}" to sign in: it stays` }))
  })
  return [
    ...(slug === poolSlug ? [] : [{ pointer: '/slug', detail: 'The pool of administrators keeps its slug' }]),
    ...(status === 'active' ? [] : [{ pointer: '/status', detail: 'The pool of administrators stays active' }]),
    ...taken,
  ]
}

/** Every setting at once; an event tells what changed. Throws as `create` does, and `conflict` where somebody was quicker. */
export const update = async (db: Db, at: Date, before: Pool, input: Change, by: audit.By): Promise<Pool> => {
  const { slug, name, description, color, kind, status, settings } = await changedBy(before, input)
  const errors = lockouts(before, { slug, status, settings })
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
  const pool = { slug, name, description, color, kind, status }
  const row = await db
    .updateTable('pools')
    .set({ ...pool, settings: JSON.stringify(settings), updatedAt: nextVersion(at, before) })
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returningAll()
    .executeTakeFirst()
    .catch(refuseTaken(pool.slug))
  if (!row) throw overtaken()
  const after = poolFrom(row)
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { poolId: row.id }, { type: 'pool.updated', data })
  return after
}

/**
 * Deletes a pool with everyone in it. Throws `conflict` while it is connected to a workspace, and for the pool of
 * administrators: no owner would be left.
 */
export const remove = async (db: Db, at: Date, { id, slug, name }: Pool, by: audit.By): Promise<void> => {
  if (slug === poolSlug) throw new Problem('conflict', { detail: 'The pool of administrators cannot be deleted.' })
  const connected = await db.selectFrom('connections').select('id').where('poolId', '=', id).executeTakeFirst()
  if (connected)
    throw new Problem('conflict', { detail: 'The pool is connected to a workspace. Remove its connections first.' })
  await db.deleteFrom('pools').where('id', '=', id).execute()
  await audit.record(db, at, { poolId: id }, { type: 'pool.deleted', data: { by, name } })
}

/** Pools by id, from the first after `after`; only those in `among` where that is given. */
export const list = async (
  db: Db,
  { limit, after, among }: { limit: number; after: string | undefined; among: readonly string[] | undefined },
): Promise<Pool[]> => {
  const rows = await db
    .selectFrom('pools')
    .selectAll()
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
    .$if(among !== undefined, (query) => query.where('id', '=', sql<string>`any(${among}::uuid[])`))
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(poolFrom)
}

export const findById = async (db: Db, id: string): Promise<Pool | undefined> => {
  const row = await db.selectFrom('pools').selectAll().where('id', '=', id).executeTakeFirst()
  return row && poolFrom(row)
}

export const findBySlug = async (db: Db, wanted: string): Promise<Pool | undefined> => {
  const row = await db.selectFrom('pools').selectAll().where('slug', '=', wanted).executeTakeFirst()
  return row && poolFrom(row)
}

/** The slugs of the pools that a method is set for. */
export const listBySignInMethod = async (db: Db, method: string): Promise<string[]> => {
  const rows = await db
    .selectFrom('pools')
    .select('slug')
    .where(sql<boolean>`(settings -> 'sign_in_methods')::jsonb @> ${JSON.stringify([method])}::jsonb`)
    .orderBy('slug')
    .execute()
  return rows.map((row) => row.slug)
}

const refuseTaken = (taken: string) => (error: unknown) => {
  if (isUniqueViolation(error)) throw new Problem('conflict', { detail: `A pool with the slug "${taken}" exists.` })
  throw error
}
