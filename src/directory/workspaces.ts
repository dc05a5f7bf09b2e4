import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { type Page, pageBy } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import { languages } from '../platform/words.ts'
import * as audit from './audit.ts'
import { keySettings } from './key-settings.ts'
import { type Pool, poolFrom } from './pools.ts'
import type { PostAuthenticationApplication } from './post-authentication.ts'
import { registrationPolicy } from './registration-policy.ts'
import { passkeySettings } from './relying-party.ts'
import type { Script } from './scripts.ts'
import { refuseSecond } from './taken.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'

const seconds = (least: number, most: number) => z.int().min(least).max(most)
const day = 86_400

const link = { label: z.string().min(1).max(60), href: z.url({ protocol: /^https$/ }) }
const branding = {
  logo: z
    .url({ protocol: /^https$/ })
    .nullable()
    .default(null),
  color: z
    .string()
    .regex(/^#[0-9a-f]{6}$/)
    .default('#1f6feb'),
  links: z.array(z.object(link)).max(6).default([]),
}
const lifetimes = {
  access_token: seconds(60, day).default(3600),
  id_token: seconds(60, day).default(3600),
  code: seconds(10, 60).default(60),
  interaction: seconds(300, 7200).default(3600),
  pushed_request: seconds(5, 600).default(60),
  session_idle: seconds(300, 400 * day).default(14 * day),
  session_absolute: seconds(300, 400 * day).default(90 * day),
  refresh_idle: seconds(300, 400 * day).default(30 * day),
  refresh_absolute: seconds(300, 800 * day).default(365 * day),
}

/** What an operator may set for a workspace; every default is filled in when read. Times are in seconds. */
export const workspaceSettings = z.object({
  branding: z.object(branding).prefault({}),
  lifetimes: z.object(lifetimes).prefault({}),
  /** In how many browsers somebody may be signed in at once; the oldest session ends. Null for as many as they like. */
  max_sessions: z.int().min(1).max(100).nullable().default(null),
  /** For so long a used refresh token answers with the same successor, so that a lost answer can be asked again. */
  refresh_grace_seconds: seconds(0, 60).default(10),
  /** Which tokens leave an event when they are issued. */
  token_events: z.enum(['none', 'people', 'all']).default('all'),
  /** How those of machines are written: many at once a moment later, or each in a commit before its token is answered. */
  machine_events: z.enum(['grouped', 'committed']).default('grouped'),
  passkeys: passkeySettings.prefault({}),
  keys: keySettings.prefault({}),
  registration: registrationPolicy.prefault({}),
  /** How many requests clients that anybody can be may push, or begin for a device, from one address; counted by each node. */
  public_requests_per_minute: z.int().min(1).max(100_000).default(300),
  /** Spoken where it is not known what somebody understands. */
  default_language: z.enum(languages).default('en'),
})
export type WorkspaceSettings = z.infer<typeof workspaceSettings>

/** The same as an operator writes it: what is not known is refused, not dropped. */
export const writtenSettings = z.strictObject({
  branding: z
    .strictObject({ ...branding, links: z.array(z.strictObject(link)).max(6).default([]) })
    .prefault({})
    .describe('What the sign-in pages look like'),
  lifetimes: z.strictObject(lifetimes).prefault({}).describe('Seconds'),
  max_sessions: workspaceSettings.shape.max_sessions.describe(
    'In how many browsers somebody may be signed in at once, the oldest session ends; null for as many as they like',
  ),
  refresh_grace_seconds: workspaceSettings.shape.refresh_grace_seconds.describe(
    'For so long a used refresh token answers with the same successor; 0 for not at all',
  ),
  token_events: workspaceSettings.shape.token_events.describe(
    'Which tokens leave an event `token.issued`: those of people, all of them, or none',
  ),
  machine_events: workspaceSettings.shape.machine_events.describe(
    "How machines' tokens leave theirs: many at once a moment later, or each in a commit before its token is answered",
  ),
  passkeys: passkeySettings.prefault({}).describe('Where passkeys belong, and where they may be used'),
  keys: keySettings.prefault({}).describe('What tokens are signed by, and how long by the same key'),
  registration: registrationPolicy.prefault({}).describe('How applications become clients by themselves, if at all'),
  public_requests_per_minute: workspaceSettings.shape.public_requests_per_minute.describe(
    'How many requests clients without a secret, or that came by themselves, may push or begin for a device from one address; each node counts for itself',
  ),
  default_language: workspaceSettings.shape.default_language.describe(
    'Spoken on pages and in mails where it is not known what somebody understands',
  ),
})

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
  /** Whether a source is asked again at each refresh; for how many seconds is told what a script or application said. */
  reloadClaimsAtRefresh: boolean
  contextCacheSeconds: number | null
  /** What runs once somebody has proven who they are, and where they are sent then; a script that is off is none. */
  postAuthentication: { script: ConnectionScript | null; application: PostAuthenticationApplication | null }
  pool: Pool
}

/** A script as far as running it needs. */
export type ConnectionScript = Pick<
  Script,
  'workspaceId' | 'id' | 'name' | 'point' | 'version' | 'code' | 'onFailure' | 'recordNext'
>

/** An issuer with its connections in order; keys and clients are read where they are needed. */
export interface Workspace {
  id: string
  slug: string
  name: string
  status: 'active' | 'inactive'
  settings: WorkspaceSettings
  /** The origin that it speaks from as its own: a domain's, or null for a path below PUBLIC_URL (`address.ts`). */
  origin: string | null
  /** What pairwise subjects are made with; it never changes. */
  pairwiseSalt: string
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
    .executeTakeFirstOrThrow(() => new Problem('conflict', { detail: `A workspace with the slug "${slug}" exists.` }))
  await audit.record(db, at, { workspaceId: row.id }, { type: 'workspace.created', data: { by, name } })
  return workspaceFrom({ ...row, origin: null }, [])
}

/** A workspace without its connections. */
export type WorkspaceRecord = Omit<Workspace, 'connections'>

/**
 * Every setting at once; an event tells what changed. Throws `conflict` on a taken slug, where somebody was quicker, and
 * for the admin workspace, which keeps its name and stays open: operators would be locked out.
 */
export const update = async (
  db: Db,
  at: Date,
  before: Workspace,
  input: z.input<typeof newWorkspace> & Pick<Workspace, 'status'>,
  by: audit.By,
): Promise<Workspace> => {
  const { settings, ...workspace } = newWorkspace.parse(input)
  const { status } = input
  if (before.slug === adminSlug && (workspace.slug !== adminSlug || status !== 'active'))
    throw new Problem('conflict', { detail: 'The admin workspace keeps its slug and stays active.' })
  if (before.slug === adminSlug) refuseRegistration(settings)
  const row = await db
    .updateTable('workspaces')
    .set({ ...workspace, status, settings: JSON.stringify(settings), updatedAt: nextVersion(at, before) })
    .where('id', '=', before.id)
    .where(isVersion(before))
    .returningAll()
    .executeTakeFirstOrThrow(overtaken)
    .catch(refuseTaken(workspace.slug))
  const after = workspaceFrom({ ...row, origin: before.origin }, before.connections)
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { workspaceId: row.id }, { type: 'workspace.updated', data })
  return after
}

/** Deletes a workspace with its clients, connections and keys. Throws `conflict` for the admin workspace. */
export const remove = async (db: Db, at: Date, { id, slug, name }: WorkspaceRecord, by: audit.By): Promise<void> => {
  if (slug === adminSlug) throw new Problem('conflict', { detail: 'The admin workspace cannot be deleted.' })
  await db.deleteFrom('workspaces').where('id', '=', id).execute()
  await audit.record(db, at, { workspaceId: id }, { type: 'workspace.deleted', data: { by, name } })
}

/** Lets what is changed in a workspace come one after the other, until the end of the transaction. */
export const lockWorkspace = async (db: Db, id: string): Promise<void> => {
  await db.selectFrom('workspaces').select('id').where('id', '=', id).forNoKeyUpdate().execute()
}

/** Workspaces by id, from the first after `after`; only those in `among` where that is given. */
export const list = async (
  db: Db,
  { among, ...page }: Page & { among: readonly string[] | undefined },
): Promise<WorkspaceRecord[]> => {
  const rows = await db
    .selectFrom('workspaces')
    .selectAll()
    .select(primary)
    .$if(among !== undefined, (query) => query.where('id', '=', sql<string>`any(${among}::uuid[])`))
    .$call(pageBy('id', page))
    .execute()
  return rows.map((row) => workspaceFrom(row, []))
}

export const findBySlug = async (db: Db, slug: string): Promise<Workspace | undefined> => {
  const row = await db.selectFrom('workspaces').selectAll().select(primary).where('slug', '=', slug).executeTakeFirst()
  return row && workspaceFrom(row, await listConnections(db, row.id))
}

export const findById = async (db: Db, id: string): Promise<Workspace | undefined> => {
  const row = await db.selectFrom('workspaces').selectAll().select(primary).where('id', '=', id).executeTakeFirst()
  return row && workspaceFrom(row, await listConnections(db, row.id))
}

/** Throws `unprocessable` where clients would come by themselves: those of the admin workspace open the admin API. */
const refuseRegistration = ({ registration }: WorkspaceSettings): void => {
  const { mode, client_id_documents: documents } = registration
  const pointer = mode === 'off' ? '/registration/client_id_documents' : '/registration/mode'
  const detail = 'Clients of the admin workspace are made by operators'
  if (mode !== 'off' || documents !== 'off') throw new Problem('unprocessable', { errors: [{ pointer, detail }] })
}

/** The workspace whose tokens open the admin API. */
export const adminSlug = 'admin'

const primary = sql<string | null>`(select d.origin from domains d
  where d.workspace_id = workspaces.id and d.is_primary)`.as('origin')

const refuseTaken = (taken: string) => refuseSecond(`A workspace with the slug "${taken}" exists.`)

const workspaceFrom = (
  row: Omit<Workspace, 'settings' | 'connections'> & { settings: unknown },
  connections: Connection[],
): Workspace => ({ ...row, settings: workspaceSettings.parse(row.settings), connections })

const listConnections = async (db: Db, workspaceId: string): Promise<Connection[]> => {
  const rows = await db
    .selectFrom('connections')
    .innerJoin('pools', 'pools.id', 'connections.poolId')
    .select(['connections.id', 'connections.name', 'position', 'enabled', 'hidden', 'domains', 'amr', 'mapping'])
    .select(['reloadClaimsAtRefresh', 'contextCacheSeconds'])
    .select(['pools.id as poolId', 'pools.slug', 'pools.name as poolName', 'description', 'color', 'kind'])
    .select(['pools.status', 'pools.settings', 'pools.createdAt', 'pools.updatedAt', 'pools.source', 'pools.upstream'])
    .select([application.as('application'), script.as('script')])
    .where('connections.workspaceId', '=', workspaceId)
    .orderBy('position')
    .orderBy('connections.id')
    .execute()
  return rows.map(({ id, name, position, enabled, hidden, domains, amr, mapping, script, application, ...rest }) => {
    const { poolId, slug, poolName, reloadClaimsAtRefresh, contextCacheSeconds, ...pool } = rest
    return {
      ...{ id, name, position, enabled, hidden, domains, amr, mapping, reloadClaimsAtRefresh, contextCacheSeconds },
      postAuthentication: { script, application },
      pool: asEntered(poolFrom({ ...pool, id: poolId, slug, name: poolName })),
    }
  })
}

/** People of a federated pool prove at its upstream who they are: nothing that a pool says of ways in here is theirs. */
const asEntered = (pool: Pool): Pool =>
  pool.kind === 'federated'
    ? { ...pool, settings: { ...pool.settings, sign_in_methods: [], self_registration: false } }
    : pool

const application = sql<PostAuthenticationApplication | null>`connections.post_authentication_application`

const script = sql<ConnectionScript | null>`(select jsonb_build_object('workspaceId', s.workspace_id, 'id', s.id,
  'name', s.name, 'point', s.point, 'version', s.version, 'code', v.code, 'onFailure', s.on_failure,
  'recordNext', s.record_next)
  from scripts s join script_versions v on v.workspace_id = s.workspace_id and v.script_id = s.id
    and v.number = s.version
  where s.workspace_id = connections.workspace_id and s.id = connections.post_authentication_script and s.enabled)`

/** The connection through which a pool's users come to this workspace; undefined where they cannot. */
export const openConnection = (workspace: Workspace, poolId: string): Connection | undefined =>
  workspace.connections.find(
    ({ pool, enabled }) => pool.id === poolId && enabled && pool.status === 'active' && workspace.status === 'active',
  )
