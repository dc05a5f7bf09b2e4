import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import { languages } from '../platform/words.ts'
import * as audit from './audit.ts'
import { hiddenSchemaFault } from './profiles.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'
import { lockWorkspace } from './workspaces.ts'

/** How many resources a workspace has at most: its engine keeps them all. */
const most = 200

const token = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'No spaces, quotes or backslashes')
const perLanguage = z
  .partialRecord(z.enum(languages), z.string().min(1).max(300))
  .default({})
  .describe('What people read of it, per language; English where theirs is missing')

const distinct = (names: readonly string[]): boolean => new Set(names).size === names.length

const scope = z.strictObject({
  name: token.describe('What stands in `scope`'),
  description: perLanguage,
})

const detailsType = z.strictObject({
  type: token.describe('What stands in `type` of the details (RFC 9396 section 2.1)'),
  schema: z
    .record(z.string(), z.unknown())
    .refine((schema) => JSON.stringify(schema).length <= 16_384, 'This is longer than 16 KB')
    .default({})
    .describe('JSON Schema (2020-12) of such details, `type` and all'),
  description: perLanguage,
})

/** What an operator may set for a resource; its identifier stays, for clients ask by it. */
export const resourceSettings = z.strictObject({
  name: z.string().min(1).max(200),
  scopes: z
    .array(scope)
    .max(200)
    .refine((all) => distinct(all.map(({ name }) => name)), 'One of them is there twice')
    .default([])
    .describe('What can be allowed there; a client gets those of them that it names itself'),
  token_format: z
    .enum(['jwt', 'opaque'])
    .default('jwt')
    .describe('`jwt`: a signed token (RFC 9068) that the resource checks itself; `opaque`: one that it asks us about'),
  signing_alg: z.enum(['RS256', 'ES256', 'EdDSA', 'PS256']).default('RS256').describe('What a JWT is signed by'),
  access_token_lifetime: z
    .int()
    .min(30)
    .max(86_400)
    .nullable()
    .default(null)
    .describe('Seconds that a token for it is valid; null for as long as the workspace says'),
  introspection_client_ids: z
    .array(z.string().min(1).max(255))
    .max(20)
    .refine(distinct, 'A client is named twice')
    .default([])
    .describe('The clients that the resource itself asks by what a token means (RFC 7662)'),
  authorization_details_types: z
    .array(detailsType)
    .max(50)
    .refine((all) => distinct(all.map(({ type }) => type)), 'A type is there twice')
    .default([])
    .describe('What can be asked for in more detail than a scope says (RFC 9396)'),
})
export type ResourceSettings = z.output<typeof resourceSettings>

export const newResource = resourceSettings.extend({
  identifier: z
    .string()
    .max(500)
    .regex(/^[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+$/, 'It has characters that have to be percent-encoded')
    .refine((uri) => URL.canParse(uri), 'This is not an absolute URI')
    .refine((uri) => !uri.includes('#'), 'A fragment is not allowed (RFC 8707 section 2)')
    .describe('An absolute URI: what clients ask by (`resource`) and tokens are for (`aud`); it stays'),
})

/** An API that a workspace gives access tokens for. */
export interface Resource extends ResourceSettings {
  workspaceId: string
  id: string
  identifier: string
  createdAt: Date
  updatedAt: Date
}

/** Makes a resource; needs a transaction. Throws `conflict` on a taken identifier, a taken type, or too many. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  input: z.input<typeof newResource>,
  by: audit.By,
): Promise<Resource> => {
  const { identifier, ...settings } = newResource.parse(input)
  const others = await lockAll(db, workspaceId)
  if (others.length >= most) throw new Problem('conflict', { detail: `A workspace has ${most} resources at most.` })
  if (others.some((other) => other.identifier === identifier))
    throw new Problem('conflict', { detail: 'A resource with this identifier exists.' })
  await refuseSettings(others, settings)
  const row = { workspaceId, id: uuidv7(at), identifier, createdAt: at, updatedAt: at }
  await db
    .insertInto('resources')
    .values({ ...row, settings: JSON.stringify(settings) })
    .execute()
  const data = { by, name: settings.name, resource: identifier }
  await audit.record(db, at, { workspaceId }, { type: 'resource.created', data })
  return { ...row, ...settings }
}

/** Every setting at once; needs a transaction. Throws `conflict` where somebody was quicker. */
export const update = async (
  db: Db,
  at: Date,
  before: Resource,
  input: z.input<typeof resourceSettings>,
  by: audit.By,
): Promise<Resource> => {
  const settings = resourceSettings.parse(input)
  const { workspaceId, id, identifier } = before
  await refuseSettings(
    (await lockAll(db, workspaceId)).filter((other) => other.id !== id),
    settings,
  )
  const updatedAt = nextVersion(at, before)
  await db
    .updateTable('resources')
    .set({ settings: JSON.stringify(settings), updatedAt })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .where(isVersion(before))
    .returning('id')
    .executeTakeFirstOrThrow(overtaken)
  const data = { by, resource: identifier, ...audit.difference(settingsOf(before), settings) }
  await audit.record(db, at, { workspaceId }, { type: 'resource.updated', data })
  return { ...before, ...settings, updatedAt }
}

/**
 * Deletes a resource; needs a transaction. Throws `conflict` while a client names it: without its record the client alone
 * would say what its tokens allow there.
 */
export const remove = async (db: Db, at: Date, resource: Resource, by: audit.By): Promise<void> => {
  const { workspaceId, id, identifier, name } = resource
  const { rows } = await sql<{ id: string }>`
    select id from clients where workspace_id = ${workspaceId} and metadata -> 'resources' -> ${identifier}::text is not null
    limit 1`.execute(db)
  if (rows[0]) throw new Problem('conflict', { detail: `The client "${rows[0].id}" names this resource.` })
  const { rows: policies } = await sql`
    select 1 from workspaces where id = ${workspaceId}
      and settings #> array['registration', 'resources', ${identifier}::text] is not null`.execute(db)
  if (policies[0])
    throw new Problem('conflict', { detail: 'Clients that register themselves may ask for this resource.' })
  await db.deleteFrom('resources').where('workspaceId', '=', workspaceId).where('id', '=', id).execute()
  await audit.record(db, at, { workspaceId }, { type: 'resource.deleted', data: { by, name, resource: identifier } })
}

/** A workspace's resources by id, from the one after `after`. */
export const list = async (db: Db, workspaceId: string, page: Page): Promise<Resource[]> => {
  const rows = await db
    .selectFrom('resources')
    .selectAll()
    .where('workspaceId', '=', workspaceId)
    .$call(pageBy('id', page))
    .execute()
  return rows.map(resourceFrom)
}

/** All of a workspace. */
export const all = (db: Db, workspaceId: string): Promise<Resource[]> =>
  list(db, workspaceId, { limit: most, after: undefined })

export const find = async (db: Db, workspaceId: string, id: string): Promise<Resource | undefined> => {
  const row = await db
    .selectFrom('resources')
    .selectAll()
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  return row && resourceFrom(row)
}

/** What may be set of a resource, apart from the rest of it. */
export const settingsOf = (resource: Resource): ResourceSettings => {
  const { workspaceId: _w, id: _i, identifier: _n, createdAt: _c, updatedAt: _u, ...settings } = resource
  return settings
}

/** What something is called for people who speak a language; undefined where nobody has said. */
export const describedIn = (description: Partial<Record<string, string>>, lang: string): string | undefined =>
  description[lang] ?? description.en ?? Object.values(description)[0]

const resourceFrom = ({
  settings,
  ...row
}: Pick<Resource, 'workspaceId' | 'id' | 'identifier' | 'createdAt' | 'updatedAt'> & {
  settings: Record<string, unknown>
}): Resource => ({ ...row, ...resourceSettings.parse(settings) })

// One change of a workspace's resources after the other: what they declare is told apart by name.
const lockAll = async (db: Db, workspaceId: string): Promise<Resource[]> => {
  await lockWorkspace(db, workspaceId)
  return all(db, workspaceId)
}

const refuseSettings = async (
  others: readonly Resource[],
  { authorization_details_types: types }: ResourceSettings,
): Promise<void> => {
  const taken = new Set(others.flatMap((other) => other.authorization_details_types.map(({ type }) => type)))
  const errors: { pointer: string; detail: string }[] = []
  for (const [index, { type, schema }] of types.entries()) {
    const at = `/authorization_details_types/${index}`
    if (taken.has(type)) errors.push({ pointer: `${at}/type`, detail: 'Another resource has this type' })
    const fault = await hiddenSchemaFault(schema)
    if (fault) errors.push({ pointer: `${at}/schema`, detail: fault })
  }
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}
