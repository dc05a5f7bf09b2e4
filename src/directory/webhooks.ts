import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { type Keyring, uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { isEventType } from './event-types.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'
import { lockWorkspace } from './workspaces.ts'

/** How many webhooks a workspace has at most: each event is noted once for each. */
const most = 20

/** `*`, all of a family (`user.*`), or one type. */
const pattern = z
  .string()
  .max(100)
  .refine(
    isEventType,
    'There are no events like this: "*", a family such as "user.*", or a type such as "user.created"',
  )

const holdsPassword = (url: string): boolean => {
  if (!URL.canParse(url)) return false
  const { username, password } = new URL(url)
  return username !== '' || password !== ''
}

/** What an operator may set for a webhook. */
export const webhookSettings = z.strictObject({
  name: z.string().min(1).max(200),
  url: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .refine((url) => !holdsPassword(url), 'An address holds no password; what is sent is signed')
    .describe(
      'Where events are sent by POST. Public addresses by https; others only where the configuration allows them',
    ),
  types: z
    .array(pattern)
    .min(1)
    .max(50)
    .describe('Which events are sent: types such as `user.created`, families such as `user.*`, or `*` for all'),
  enabled: z
    .boolean()
    .default(true)
    .describe('What happens while it is off is not sent later; what waited then still is once it is on again'),
})
type WebhookSettings = z.output<typeof webhookSettings>

/** A workspace's wish to be sent its events. */
export interface Webhook extends WebhookSettings {
  workspaceId: string
  id: string
  /** Why the program itself has switched it off: nothing got through for days, or the other side said that it is gone. */
  disabledWhy: 'failing' | 'gone' | null
  sealedSecret: string
  previousSealedSecret: string | null
  /** Since when nothing has got through; null where the last did. */
  failingSince: Date | null
  createdAt: Date
  updatedAt: Date
}

/** A secret of the Standard Webhooks scheme: `whsec_` and 24 to 64 bytes as base64. */
export const secretShape = /^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/

export const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`

const contextOf = ({ workspaceId, id }: Pick<Webhook, 'workspaceId' | 'id'>) => `webhook:${workspaceId}:${id}`

/** What its deliveries are signed with, the newest first. */
export const openSecrets = (keyring: Keyring, webhook: Webhook): string[] =>
  [webhook.sealedSecret, webhook.previousSealedSecret]
    .filter((sealed) => sealed !== null)
    .map((sealed) => keyring.open(sealed, contextOf(webhook)))

/** Makes a webhook; needs a transaction. Throws `conflict` where there are too many, or one of this name. */
export const create = async (
  db: Db,
  at: Date,
  { workspaceId, keyring, secret }: { workspaceId: string; keyring: Keyring; secret: string },
  input: z.input<typeof webhookSettings>,
  by: audit.By,
): Promise<Webhook> => {
  const settings = webhookSettings.parse(input)
  const others = await lockAll(db, workspaceId)
  if (others.length >= most) throw new Problem('conflict', { detail: `A workspace has ${most} webhooks at most.` })
  refuseTaken(others, settings.name)
  const id = uuidv7(at)
  const sealedSecret = keyring.seal(secret, contextOf({ workspaceId, id }))
  const row = { workspaceId, id, ...settings, sealedSecret, createdAt: at, updatedAt: at }
  const made = await db.insertInto('webhooks').values(row).returningAll().executeTakeFirstOrThrow()
  const data = { by, name: settings.name, webhook: id }
  await audit.record(db, at, { workspaceId }, { type: 'webhook.created', data })
  return made
}

/** Every setting at once; needs a transaction. Throws `conflict` where somebody was quicker, or the name is taken. */
export const update = async (
  db: Db,
  at: Date,
  before: Webhook,
  input: z.input<typeof webhookSettings>,
  by: audit.By,
): Promise<Webhook> => {
  const settings = webhookSettings.parse(input)
  const others = await lockAll(db, before.workspaceId)
  refuseTaken(
    others.filter(({ id }) => id !== before.id),
    settings.name,
  )
  // Whoever switches it on again starts the days of failure anew.
  const mended = settings.enabled && !before.enabled ? { disabledWhy: null, failingSince: null } : {}
  const after = await write(db, at, before, { ...settings, ...mended })
  const data = { by, name: settings.name, webhook: before.id, ...audit.difference(settingsOf(before), settings) }
  await audit.record(db, at, { workspaceId: before.workspaceId }, { type: 'webhook.updated', data })
  return after
}

/** Gives it a new secret; the one before signs along until it is ended or the next is made. Needs a transaction. */
export const rotateSecret = async (
  db: Db,
  at: Date,
  before: Webhook,
  { keyring, secret }: { keyring: Keyring; secret: string },
  by: audit.By,
): Promise<Webhook> => {
  const sealedSecret = keyring.seal(secret, contextOf(before))
  const after = await write(db, at, before, { sealedSecret, previousSealedSecret: before.sealedSecret })
  const data = { by, name: before.name, webhook: before.id }
  await audit.record(db, at, { workspaceId: before.workspaceId }, { type: 'webhook.secret_rotated', data })
  return after
}

/** Lets the secret before the newest sign no more; needs a transaction. */
export const endOldSecret = async (db: Db, at: Date, before: Webhook, by: audit.By): Promise<void> => {
  if (before.previousSealedSecret === null) return
  await write(db, at, before, { previousSealedSecret: null })
  const data = { by, name: before.name, webhook: before.id }
  await audit.record(db, at, { workspaceId: before.workspaceId }, { type: 'webhook.secret_ended', data })
}

/** Deletes a webhook with all that waits for it; needs a transaction. */
export const remove = async (db: Db, at: Date, { workspaceId, id, name }: Webhook, by: audit.By): Promise<void> => {
  await db.deleteFrom('webhooks').where('workspaceId', '=', workspaceId).where('id', '=', id).execute()
  await audit.record(db, at, { workspaceId }, { type: 'webhook.deleted', data: { by, name, webhook: id } })
}

/** Switches off what nothing gets through to; needs a transaction. Only one of several that try at once does it. */
export const giveUp = async (db: Db, at: Date, webhook: Webhook, why: 'failing' | 'gone'): Promise<void> => {
  const { workspaceId, id, name } = webhook
  const { numUpdatedRows } = await db
    .updateTable('webhooks')
    .set({ enabled: false, disabledWhy: why, updatedAt: nextVersion(at, webhook) })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .where('enabled', '=', true)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return
  await audit.record(db, at, { workspaceId }, { type: 'webhook.disabled', data: { name, webhook: id, why } })
}

/** A workspace's webhooks by id, from the one after `after`. */
export const list = (db: Db, workspaceId: string, page: Page): Promise<Webhook[]> =>
  db.selectFrom('webhooks').selectAll().where('workspaceId', '=', workspaceId).$call(pageBy('id', page)).execute()

/** All of a workspace. */
export const all = (db: Db, workspaceId: string): Promise<Webhook[]> =>
  list(db, workspaceId, { limit: most, after: undefined })

/** A webhook of a workspace; undefined where there is none. */
export const find = (db: Db, workspaceId: string, id: string): Promise<Webhook | undefined> =>
  db.selectFrom('webhooks').selectAll().where('workspaceId', '=', workspaceId).where('id', '=', id).executeTakeFirst()

/** What may be set of a webhook, apart from the rest of it. */
export const settingsOf = ({ name, url, types, enabled }: Webhook): WebhookSettings => ({ name, url, types, enabled })

// One change of a workspace's webhooks after the other, so that there are never too many.
const lockAll = async (db: Db, workspaceId: string): Promise<Webhook[]> => {
  await lockWorkspace(db, workspaceId)
  return all(db, workspaceId)
}

const refuseTaken = (others: readonly Webhook[], name: string): void => {
  if (!others.some((other) => other.name === name)) return
  throw new Problem('conflict', { detail: `A webhook with the name "${name}" exists.` })
}

type Columns = Partial<Omit<Webhook, 'workspaceId' | 'id' | 'createdAt' | 'updatedAt'>>

const write = (db: Db, at: Date, before: Webhook, columns: Columns): Promise<Webhook> =>
  db
    .updateTable('webhooks')
    .set({ ...columns, updatedAt: nextVersion(at, before) })
    .where('workspaceId', '=', before.workspaceId)
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returningAll()
    .executeTakeFirstOrThrow(overtaken)
