import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { countLinked } from '../directory/pool-rules.ts'
import { openSettings, sealSettings, shownSettings } from '../directory/pool-secrets.ts'
import type { Pool } from '../directory/pools.ts'
import { Problem } from '../platform/problem.ts'
import type { Keyring } from '../platform/secrets.ts'
import { getSource, sources } from '../signin/sources/index.ts'
import type { Tried } from '../signin/sources/source.ts'
import { getUpstream, upstreams } from '../signin/upstreams/index.ts'

type Settings = Record<string, unknown>

/** Where a pool's people live or sign in, as it is stored: its settings are checked by its type. */
interface Stored {
  type: string
  settings: Settings
}

interface Type {
  readonly settings: z.ZodType
  readonly secrets: readonly string[]
}

const fields = {
  source: { get: getSource as (name: string) => Type | undefined, names: () => [...sources].map(({ name }) => name) },
  upstream: { get: getUpstream as (name: string) => Type | undefined, names: () => Object.keys(upstreams) },
} as const

type Field = keyof typeof fields

/** What was written of a pool's source or upstream, ready to be stored. Secrets that are not named again are kept. */
export const settle = <Kept extends Stored>(
  keyring: Keyring,
  field: Field,
  pool: { id: string; before: Kept | null; patch?: unknown },
  wished: Kept | null,
): Kept | null => {
  if (!wished) return null
  const type = fields[field].get(wished.type)
  if (!type) {
    const detail = `There is no such type: use one of ${fields[field].names().join(', ')}`
    throw new Problem('unprocessable', { errors: [{ pointer: `/${field}/type`, detail }] })
  }
  const place = { pool: pool.id, field }
  const kept =
    pool.before?.type === wished.type ? keptSecrets(type, pool.before.settings, wished.settings, pool.patch) : {}
  const full = { ...openSettings(keyring, place, kept), ...wished.settings }
  const read = type.settings.safeParse(full)
  if (!read.success) throw refusal(field, read.error)
  if (pool.before) refuseElsewhere(field, pool.before.settings, read.data as Settings, Object.keys(kept))
  return { ...wished, settings: sealSettings(keyring, place, read.data as Settings, type.secrets) }
}

/** The settings of a source or an upstream in the clear, with what its type has by default and they were not stored with. */
export const clearSettings = (keyring: Keyring, field: Field, pool: string, { type, settings }: Stored): unknown => {
  const opened = openSettings(keyring, { pool, field }, settings)
  const read = fields[field].get(type)?.settings.safeParse(opened)
  return read?.success ? read.data : opened
}

/** A secret is not shown, and so not sent back: it stays unless it is set anew or taken away by null (RFC 7396). */
const keptSecrets = (type: Type, before: Settings, wished: Settings, patch: unknown): Settings => {
  const taken = new Set(
    Object.entries((patch ?? {}) as Settings).flatMap(([name, value]) => (value === null ? [name] : [])),
  )
  const stays = ([name]: [string, unknown]) =>
    type.secrets.includes(name) && !taken.has(name) && !Object.hasOwn(wished, name)
  return Object.fromEntries(Object.entries(before).filter(stays))
}

/** Settings that say to whom a type's secrets are shown as they are. */
const whereTo = ['domain', 'allowed_origins', 'issuer']

/**
 * Throws where secrets that stay would be shown to somebody else than they were set for: whoever may change a pool could
 * read them there.
 */
const refuseElsewhere = (field: Field, before: Settings, after: Settings, kept: string[]): void => {
  const reached = (settings: Settings) => whereTo.flatMap((name) => settings[name] ?? [])
  const known = new Set(reached(before))
  if (reached(after).every((one) => known.has(one))) return
  const detail = 'It would go to another server than the one that it was set for: set it again'
  const errors = kept.map((name) => ({ pointer: `/${field}/settings/${name}`, detail }))
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

const refusal = (field: Field, { issues }: z.ZodError): Problem =>
  new Problem('unprocessable', {
    errors: issues.flatMap((issue) => {
      const at = `/${field}/settings${issue.path.map((part) => `/${String(part)}`).join('')}`
      return issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ pointer: `${at}/${key}`, detail: 'This type has no such setting' }))
        : [{ pointer: at, detail: issue.message }]
    }),
  })

/** What an operator may see of it: its secrets by their names alone. */
export const shownOutside = <Kept extends Stored>(stored: Kept | null): (Kept & { secrets: string[] }) | null =>
  stored && { ...stored, ...shownSettings(stored.settings) }

/** How many users are known here whom a change would begin to move over for good; undefined where it moves nobody. */
export const countMoving = async (
  db: Db,
  before: Pick<Pool, 'id' | 'source'> | undefined,
  after: Pick<Pool, 'source'>,
): Promise<number | undefined> => {
  const moves = ({ source }: Pick<Pool, 'source'>) => source?.mode === 'migrate' && !source.observe
  if (!moves(after) || (before && moves(before))) return undefined
  return before ? countLinked(db, before.id) : 0
}

/** Throws `conflict` where a change would move people for good, and says how many it knows of. */
export const confirmMigration = async (
  db: Db,
  before: Pick<Pool, 'id' | 'source'> | undefined,
  after: Pick<Pool, 'source'>,
): Promise<void> => {
  const count = await countMoving(db, before, after)
  if (count === undefined) return
  const known = count === 1 ? '1 user is' : `${count} users are`
  throw new Problem('conflict', {
    detail: `Whoever signs in moves over for good: their password is kept here, and their source is never asked again. ${known} known here who would. To do so, add ?confirm_migration=true.`,
    errors: [{ pointer: '/source/mode', detail: `${known} known here who would move over for good` }],
  })
}

/** What `test` found, as the API tells it. */
export const tried = z.strictObject({
  ok: z.boolean().describe('Whether everything that was tried is as it should be'),
  tried: z
    .array(
      z.strictObject({
        name: z.string().describe('What was tried'),
        ok: z.boolean().describe('Whether it is as it should be'),
        detail: z.string().describe('What came of it, and what is missing'),
      }),
    )
    .describe('What was tried, in order'),
})

/** The same of what was tried; a sentence where the settings cannot even be opened. */
export const resultOf = (found: string | Tried[]): z.input<typeof tried> => {
  const all = typeof found === 'string' ? [{ name: 'settings', ok: false, detail: found }] : found
  return { ok: all.every(({ ok }) => ok), tried: all }
}
