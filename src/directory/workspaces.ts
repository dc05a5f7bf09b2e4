import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { type Pool, poolFrom } from './pools.ts'

const seconds = (least: number, most: number) => z.int().min(least).max(most)
const day = 86_400

/** What an operator may set for a workspace; every default is filled in when read. Times are in seconds. */
export const workspaceSettings = z.object({
  branding: z
    .object({
      logo: z
        .url({ protocol: /^https$/ })
        .nullable()
        .default(null),
      color: z
        .string()
        .regex(/^#[0-9a-f]{6}$/)
        .default('#1f6feb'),
      links: z
        .array(z.object({ label: z.string().min(1).max(60), href: z.url({ protocol: /^https$/ }) }))
        .max(6)
        .default([]),
    })
    .prefault({}),
  lifetimes: z
    .object({
      access_token: seconds(60, day).default(3600),
      id_token: seconds(60, day).default(3600),
      code: seconds(10, 60).default(60),
      interaction: seconds(300, 7200).default(3600),
      session_idle: seconds(300, 400 * day).default(14 * day),
      session_absolute: seconds(300, 400 * day).default(90 * day),
      refresh_idle: seconds(300, 400 * day).default(30 * day),
      refresh_absolute: seconds(300, 800 * day).default(365 * day),
    })
    .prefault({}),
  /** For so long a used refresh token answers with the same successor, so that a lost answer can be asked again. */
  refresh_grace_seconds: seconds(0, 60).default(10),
})
export type WorkspaceSettings = z.infer<typeof workspaceSettings>

export const newWorkspace = z.object({
  slug: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  name: z.string().min(1).max(200),
  settings: workspaceSettings.prefault({}),
})

/** A pool's place in a workspace. */
export interface Connection {
  id: string
  name: string
  position: number
  enabled: boolean
  hidden: boolean
  domains: string[]
  amr: string[] | null
  mapping: Record<string, string>
  pool: Pool
}

/** An issuer with its connections in order; keys and clients are read where they are needed. */
export interface Workspace {
  id: string
  slug: string
  name: string
  status: 'active' | 'inactive'
  settings: WorkspaceSettings
  connections: Connection[]
  createdAt: Date
  updatedAt: Date
}

/** Makes a workspace; its signing keys are made by whoever calls (`oidc/keys`). Throws `conflict` on a taken slug. */
export const create = async (
  db: Db,
  at: Date,
  input: z.input<typeof newWorkspace>,
  by: audit.By = audit.system,
): Promise<Workspace> => {
  const { settings, slug, name } = newWorkspace.parse(input)
  const row = await db
    .insertInto('workspaces')
    .values({ id: uuidv7(at), slug, name, settings: JSON.stringify(settings) })
    .onConflict((conflict) => conflict.column('slug').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: `A workspace with the slug "${slug}" exists.` })
  await audit.record(db, at, { workspaceId: row.id }, { type: 'workspace.created', data: { by, name } })
  return workspaceFrom(row, [])
}

export const findBySlug = async (db: Db, slug: string): Promise<Workspace | undefined> => {
  const row = await db.selectFrom('workspaces').selectAll().where('slug', '=', slug).executeTakeFirst()
  return row && workspaceFrom(row, await listConnections(db, row.id))
}

export const findById = async (db: Db, id: string): Promise<Workspace | undefined> => {
  const row = await db.selectFrom('workspaces').selectAll().where('id', '=', id).executeTakeFirst()
  return row && workspaceFrom(row, await listConnections(db, row.id))
}

const workspaceFrom = (
  row: Omit<Workspace, 'settings' | 'connections'> & { settings: unknown },
  connections: Connection[],
): Workspace => ({ ...row, settings: workspaceSettings.parse(row.settings), connections })

const listConnections = async (db: Db, workspaceId: string): Promise<Connection[]> => {
  const rows = await db
    .selectFrom('connections')
    .innerJoin('pools', 'pools.id', 'connections.poolId')
    .select(['connections.id', 'connections.name', 'position', 'enabled', 'hidden', 'domains', 'amr', 'mapping'])
    .select(['pools.id as poolId', 'pools.slug', 'pools.name as poolName', 'description', 'color', 'kind'])
    .select(['pools.status', 'pools.settings', 'pools.createdAt', 'pools.updatedAt'])
    .where('connections.workspaceId', '=', workspaceId)
    .orderBy('position')
    .orderBy('connections.id')
    .execute()
  return rows.map(
    ({ poolId, slug, poolName, description, color, kind, status, settings, createdAt, updatedAt, ...connection }) => ({
      ...connection,
      pool: poolFrom({
        id: poolId,
        slug,
        name: poolName,
        description,
        color,
        kind,
        status,
        settings,
        createdAt,
        updatedAt,
      }),
    }),
  )
}

/** The connection through which a pool's users come to this workspace; undefined where they cannot. */
export const openConnection = (workspace: Workspace, poolId: string): Connection | undefined =>
  workspace.connections.find(
    ({ pool, enabled }) => pool.id === poolId && enabled && pool.status === 'active' && workspace.status === 'active',
  )
