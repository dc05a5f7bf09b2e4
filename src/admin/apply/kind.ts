import { sql } from 'kysely'
import type { z } from 'zod'
import type { Config } from '../../config.ts'
import type { Db } from '../../db/connect.ts'
import * as connections from '../../directory/connections.ts'
import * as pools from '../../directory/pools.ts'
import * as scripts from '../../directory/scripts.ts'
import * as tenants from '../../directory/tenants.ts'
import * as workspaces from '../../directory/workspaces.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Keyring } from '../../platform/secrets.ts'

/** A part of a record that is wrong, by the JSON pointer of its field (RFC 6901). */
export interface Fault {
  pointer: string
  detail: string
  /** The record whose absence it tells of; where that one is at fault itself, this is not told too. */
  follows?: string
}

/** What applying and exporting work with. `db` is a transaction where anything is changed. */
export interface Tools {
  db: Db
  clock: Clock
  keyring: Keyring
  config: Pick<Config, 'bootstrapClient' | 'publicUrl'>
  /** A variable of the environment that a file may name. Throws for one that holds the program's own configuration. */
  variable(name: string): string | undefined
  /** Whether a pool may change in a way that users who are there conflict with. */
  acceptConflicts: boolean
  /** Whether a pool may come to move its people over for good as they sign in. */
  confirmMigration: boolean
  /** The text of a file beside the one that is applied, or why there is none. */
  beside(name: string): Promise<{ text: string } | { detail: string }>
}

/** The workspaces and pools that a file names: what it says of clients, connections, groups and tenants ends there. */
export interface Reach {
  workspaces: ReadonlySet<string>
  pools: ReadonlySet<string>
}

/** What is in the database as one kind of record is looked at, by the names that a file uses. */
export interface Scene extends Tools {
  at: Date
  /** Undefined where everything is looked at. */
  reach: Reach | undefined
  pools: ReadonlyMap<string, pools.Pool>
  workspaces: ReadonlyMap<string, workspaces.WorkspaceRecord>
  /** By id. */
  tenants: ReadonlyMap<string, tenants.Tenant>
  /** Of the workspaces in reach, by id. */
  connections: ReadonlyMap<string, connections.ConnectionRecord>
  /** The same by the slugs of workspace and pool, with a slash between them. */
  connectionIds: ReadonlyMap<string, string>
  /** The slugs of pools and workspaces, by id. */
  slugs: ReadonlyMap<string, string>
  scripts: readonly Pick<scripts.Script, 'id' | 'name' | 'workspaceId'>[]
}

/** What a change is, for whoever counts the users that it touches. */
export type Change<Fields, Row> =
  | { is: 'create'; wished: Fields }
  | { is: 'update'; row: Row; before: Fields; wished: Fields; changed: ReadonlySet<string> }
  | { is: 'delete'; row: Row }

/** What is to be said of a wished-for record that its fields do not tell. */
export interface Remarks {
  /** What changes beside the fields, such as a secret. */
  changes?: string[]
  notes?: string[]
  faults?: Fault[]
}

/** One kind of record that a file may hold. A new kind is a file in this folder and a line in kinds.ts. */
export interface Kind<Fields extends object, Row> {
  /** The list in the file. */
  readonly name: string
  /** One of them, for people. */
  readonly noun: string
  /** The fields that say which record it is; all of them text. */
  readonly naming: z.ZodObject<Record<string, z.ZodType<string | null>>>
  /** What a record is called in a plan, and that tells it from the others of its kind. */
  keyOf(naming: Naming): string
  readonly schema: z.ZodType<Fields>
  /** Fields that are no part of what is stored, and not compared. */
  readonly aside?: readonly string[]
  /** Whether the order of what is inside a field counts. */
  readonly ordered?: boolean
  /** Orders the records of a file where one has to come before another. */
  order?(one: Naming, other: Naming): number
  /** Records that others in the file stand on, though it does not name them. */
  implied?(naming: Naming): Naming[]
  /** What a file says of a record with what stands in another file beside it. */
  load?(tools: Tools, fields: Record<string, unknown>): Promise<{ fields: Record<string, unknown>; faults: Fault[] }>
  list(scene: Scene): Promise<Row[]>
  /** A record in the words of a file. */
  tell(scene: Scene, row: Row): Fields
  /** The same for an export, where more is said than is compared. */
  write?(scene: Scene, row: Row, rows: readonly Row[]): object
  /** Whether a file that says `prune` may delete this record where it does not name it. */
  mayPrune(scene: Scene, row: Row): boolean
  remark?(scene: Scene, row: Row | undefined, wished: Fields): Remarks
  create(scene: Scene, wished: Fields): Promise<void>
  update(scene: Scene, row: Row, wished: Fields, changed: ReadonlySet<string>): Promise<void>
  remove(scene: Scene, row: Row): Promise<void>
  /** How many users a change touches; undefined where the question makes no sense. */
  touched(scene: Scene, change: Change<Fields, Row>): Promise<number | undefined>
  /** Which users who are there a change would conflict with; it is refused unless that is accepted. */
  conflicts?(scene: Scene, change: Change<Fields, Row>): Promise<Fault[]>
}

/** What says which record is meant. */
export type Naming = Record<string, string | null>

/** Every row of a list that is read by pages. */
export const all = { limit: 2 ** 31 - 1, after: undefined }

/** Looks at what is there, by name. */
export const look = async (tools: Tools, reach: Reach | undefined): Promise<Scene> => {
  const { db } = tools
  const foundPools = await pools.list(db, { ...all, among: undefined })
  const foundWorkspaces = await workspaces.list(db, { ...all, among: undefined })
  const reached = foundWorkspaces.filter(({ slug }) => !reach || reach.workspaces.has(slug))
  const found: connections.ConnectionRecord[] = []
  for (const { id } of reached) found.push(...(await connections.list(db, id, { ...all, among: undefined })))
  const foundTenants = await tenants.list(db, undefined, all)
  const slugs = new Map([...foundPools, ...foundWorkspaces].map(({ id, slug }) => [id, slug]))
  return {
    ...tools,
    at: tools.clock.now(),
    reach,
    slugs,
    scripts: await scripts.listNames(db),
    pools: new Map(foundPools.map((pool) => [pool.slug, pool])),
    workspaces: new Map(foundWorkspaces.map((workspace) => [workspace.slug, workspace])),
    tenants: new Map(foundTenants.map((tenant) => [tenant.id, tenant])),
    connections: new Map(found.map((connection) => [connection.id, connection])),
    connectionIds: new Map(found.map(({ id, workspaceId, pool }) => [`${slugs.get(workspaceId)}/${pool}`, id])),
  }
}

/** The slug of a pool or workspace by its id. */
export const slugOf = ({ slugs }: Scene, id: string): string => slugs.get(id) ?? id

/** Throws for a name that `look` did not find; names are checked before anything is changed. */
export const named = <Row>(records: ReadonlyMap<string, Row>, slug: string): Row => {
  const found = records.get(slug)
  if (found === undefined) throw new Error(`"${slug}" was there a moment ago`)
  return found
}

/** A fault for each name that stands for nothing. */
export const missing = (
  noun: string,
  pointer: string,
  slugs: readonly string[],
  known: { has(slug: string): boolean },
) =>
  slugs
    .filter((slug) => !known.has(slug))
    .map((slug): Fault => ({ pointer, detail: `There is no ${noun} "${slug}"`, follows: `${noun} ${slug}` }))

/** How many users some pools have together, deleted ones apart. */
export const countUsers = async (db: Db, poolIds: readonly string[]): Promise<number> => {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from users
    where pool_id = any(${[...new Set(poolIds)]}::uuid[]) and status <> 'deleted'`.execute(db)
  return rows[0]?.count ?? 0
}
