import { isIP } from 'node:net'
import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { type Db, isUniqueViolation } from '../db/connect.ts'
import type { Database } from '../db/schema.ts'
import { Problem } from '../platform/problem.ts'
import { type Keyring, uuidv7 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import * as audit from './audit.ts'
import { adminSlug, type WorkspaceRecord } from './workspaces.ts'

/** A host name as it is typed; upper case means the same. */
export const hostName = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'Give a host name')
  .refine((host) => isIP(host) === 0 && !/\.\d+$/.test(host), 'An address is no host name')

type Reached = Pick<Config, 'publicUrl'>

/** A domain that a workspace answers at, once it is active; `origin` is what every link to it begins with. */
export type Domain = Selectable<Database['domains']>

/** A workspace's domains by id, from the first after `after`. */
export const list = (
  db: Db,
  workspaceId: string,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<Domain[]> =>
  db
    .selectFrom('domains')
    .selectAll()
    .where('workspaceId', '=', workspaceId)
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(limit)
    .execute()

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
    .values({ workspaceId: workspace.id, id: uuidv7(at), host, origin: originAt(config, host), state: 'pending' })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'host']).doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `The workspace has the domain ${host}.` })
  await audit.record(db, at, { workspaceId: workspace.id }, { type: 'domain.created', data: { by, name: host } })
  return row
}

// Development is reached by http and at a port; production by neither.
const originAt = ({ publicUrl }: Reached, host: string): string => {
  const { protocol, port } = new URL(publicUrl)
  return protocol === 'https:' ? `https://${host}` : `http://${host}${port ? `:${port}` : ''}`
}

/** Lets a workspace answer at a domain. Throws `conflict` where another one does. In a transaction. */
export const activate = (db: Db, at: Date, domain: Domain, by: audit.By): Promise<Domain> =>
  change(db, at, domain, { state: 'active' }, by).catch((error) => {
    if (!isUniqueViolation(error)) throw error
    throw new Problem('conflict', { detail: 'Another workspace answers at this domain.' })
  })

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
  changes: Partial<Pick<Domain, 'state' | 'isPrimary'>>,
  by: audit.By,
): Promise<Domain> => {
  const row = await db
    .updateTable('domains')
    .set({ ...changes, updatedAt: at })
    .where('workspaceId', '=', before.workspaceId)
    .where('id', '=', before.id)
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('not_found')
  const difference = audit.difference(before, row)
  const about = { workspaceId: before.workspaceId }
  await audit.record(db, at, about, { type: 'domain.updated', data: { by, name: before.host, ...difference } })
  return row
}

/**
 * Throws `conflict` where another workspace has named the host, too: that it leads to this installation does not say to
 * which of them it belongs.
 */
export const refuseNamedByOthers = async (db: Db, { workspaceId, host }: Domain): Promise<void> => {
  const other = await db
    .selectFrom('domains')
    .select('id')
    .where('host', '=', host)
    .where('workspaceId', '!=', workspaceId)
    .executeTakeFirst()
  if (other)
    throw new Problem('conflict', { detail: 'Another workspace names this host: an operator without limits decides.' })
}

/** Where this program says that it is reached at a host. */
export const proofPath = '/.well-known/lido-domain'

/** What it says there of each workspace that has named the host; nothing where none has. */
export const proofsAt = async (db: Db, keyring: Keyring, host: string): Promise<string[]> => {
  const rows = await db.selectFrom('domains').select(['workspaceId', 'host']).where('host', '=', host).execute()
  return rows.map((row) => proofOf(keyring, row))
}

/** Asks a host for what only this program can say. Throws `conflict` where something else answers, or nothing. */
export const prove = async ({ fetch, keyring, log }: Services, domain: Domain): Promise<void> => {
  const answer = await fetch(`${domain.origin}${proofPath}`).catch((error: unknown) => {
    log.info({ err: error, host: domain.host }, 'a domain did not answer')
    return undefined
  })
  const said = answer?.status === 200 ? answer.text().split('\n') : []
  const known = keyring.hmacs('domain', `${domain.workspaceId}:${domain.host}`)
  if (said.some((line) => known.includes(line))) return
  throw new Problem('conflict', { detail: `${domain.origin} does not lead here yet (${proofPath}).` })
}

const proofOf = (keyring: Keyring, { workspaceId, host }: Pick<Domain, 'workspaceId' | 'host'>): string =>
  keyring.hmac('domain', `${workspaceId}:${host}`)

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
