import { isIP } from 'node:net'
import { type Selectable, sql, type Updateable } from 'kysely'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { type Db, isUniqueViolation } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import type { Database } from '../db/schema.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { adminSlug, type WorkspaceRecord } from './workspaces.ts'

/** A host name as it is typed; upper case means the same. */
export const hostName = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
    error: 'Give a host name',
    abort: true,
  })
  .refine((host) => isIP(host) === 0 && !/\.\d+$/.test(host), 'An address is no host name')
  // What no browser could ask for, such as an address in disguise (a.0x1).
  .refine((host) => URL.parse(`https://${host}`)?.hostname === host, 'Give a host name as browsers write it')

type Reached = Pick<Config, 'publicUrl'>

/** A domain that a workspace answers at, once it is active; `origin` is what every link to it begins with. */
export type Domain = Selectable<Database['domains']>

/** A workspace's domains by id, from the first after `after`. */
export const list = (db: Db, workspaceId: string, page: Page): Promise<Domain[]> =>
  db.selectFrom('domains').selectAll().where('workspaceId', '=', workspaceId).$call(pageBy('id', page)).execute()

/** Every domain of some workspaces. */
export const listOf = (db: Db, workspaceIds: readonly string[]): Promise<Domain[]> =>
  db
    .selectFrom('domains')
    .selectAll()
    .where('workspaceId', '=', sql<string>`any(${workspaceIds}::uuid[])`)
    .orderBy('workspaceId')
    .orderBy('host')
    .execute()

export const find = (db: Db, workspaceId: string, id: string): Promise<Domain | undefined> =>
  db.selectFrom('domains').selectAll().where('workspaceId', '=', workspaceId).where('id', '=', id).executeTakeFirst()

/**
 * Names a domain of a workspace; it answers there once it is active. Throws `conflict` for the host of PUBLIC_URL, for
 * one that it has, and for the workspace of the operators. In a transaction.
 */
export const add = async (
  db: Db,
  at: Date,
  { config, workspace, host }: { config: Reached; workspace: WorkspaceRecord; host: string },
  by: audit.By,
): Promise<Domain> => {
  if (workspace.slug === adminSlug)
    throw new Problem('conflict', { detail: 'Operators sign in at PUBLIC_URL, and nowhere else.' })
  if (host === new URL(config.publicUrl).hostname)
    throw new Problem('conflict', { detail: 'This is the host of PUBLIC_URL, where every workspace is.' })
  const row = await db
    .insertInto('domains')
    .values({
      workspaceId: workspace.id,
      id: uuidv7(at),
      host,
      origin: originAt(config, host),
      state: 'pending',
      challenge: randomToken(),
    })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'host']).doNothing())
    .returningAll()
    .executeTakeFirstOrThrow(() => new Problem('conflict', { detail: `The workspace has the domain ${host}.` }))
  await audit.record(db, at, { workspaceId: workspace.id }, { type: 'domain.created', data: { by, name: host } })
  return row
}

// Development is reached by http and at a port; production by neither.
const originAt = ({ publicUrl }: Reached, host: string): string => {
  const { protocol, port } = new URL(publicUrl)
  return protocol === 'https:' ? `https://${host}` : `http://${host}${port ? `:${port}` : ''}`
}

/**
 * Lets a workspace answer at a domain that its DNS, or an operator without limits, says to be its own; one that answers
 * already stays as it is. Throws `conflict` where another workspace answers. In a transaction.
 */
export const activate = async (
  db: Db,
  at: Date,
  { workspaceId, id }: Domain,
  proof: 'dns' | 'operator',
  by: audit.By,
): Promise<Domain> => {
  // One after the other: of twenty at once, one is the change.
  const now = await db
    .selectFrom('domains')
    .selectAll()
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new Problem('not_found'))
  if (now.state === 'active' && (proof === 'operator' || now.proof === 'dns')) return now
  return change(db, at, now, { state: 'active', proof, provenAt: at }, by).catch((error) => {
    if (!isUniqueViolation(error)) throw error
    throw new Problem('conflict', {
      detail: 'Another workspace answers at this domain until it, or an operator without limits, deletes it there.',
    })
  })
}

/**
 * Makes a domain the address that its workspace speaks of as its own, or no more. Throws `conflict` for one that is not
 * active. In a transaction.
 */
export const setPrimary = async (
  db: Db,
  at: Date,
  domain: Domain,
  isPrimary: boolean,
  by: audit.By,
): Promise<Domain> => {
  if (isPrimary && domain.state !== 'active') throw new Problem('conflict', { detail: 'The domain is not active yet.' })
  // One after the other: two that become it at once would meet in the index.
  await db.selectFrom('workspaces').select('id').where('id', '=', domain.workspaceId).forUpdate().execute()
  if (isPrimary)
    await db
      .updateTable('domains')
      .set({ isPrimary: false, updatedAt: at })
      .where('workspaceId', '=', domain.workspaceId)
      .where('isPrimary', '=', true)
      .where('id', '!=', domain.id)
      .execute()
  return change(db, at, domain, { isPrimary }, by)
}

/** Ends a domain: within moments no node answers at it. In a transaction. */
export const remove = async (db: Db, at: Date, { workspaceId, id, host }: Domain, by: audit.By): Promise<void> => {
  const { numDeletedRows } = await db
    .deleteFrom('domains')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (numDeletedRows === 0n) throw new Problem('not_found')
  await audit.record(db, at, { workspaceId }, { type: 'domain.deleted', data: { by, name: host } })
}

const change = async (
  db: Db,
  at: Date,
  before: Domain,
  changes: Updateable<Pick<Database['domains'], 'state' | 'isPrimary' | 'proof' | 'provenAt'>>,
  by: audit.By,
): Promise<Domain> => {
  const row = await db
    .updateTable('domains')
    .set({ ...changes, updatedAt: at })
    .where('workspaceId', '=', before.workspaceId)
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirstOrThrow(() => new Problem('not_found'))
  const difference = audit.difference(before, row)
  const about = { workspaceId: before.workspaceId }
  await audit.record(db, at, about, { type: 'domain.updated', data: { by, name: before.host, ...difference } })
  return row
}

/** A domain that a workspace answers at. */
export interface Active {
  origin: string
  workspaceId: string
  slug: string
}

export const listActive = async (db: Db): Promise<Active[]> => {
  const { rows } = await sql<Active>`
    select d.origin, d.workspace_id as "workspaceId", w.slug from domains d join workspaces w on w.id = d.workspace_id
    where d.state = 'active'`.execute(db)
  return rows
}
