import { domainToASCII } from 'node:url'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { uuidv7 } from '../platform/secrets.ts'
import * as audit from './audit.ts'
import { poolSlug } from './operators.ts'
import { type Pool, poolFrom } from './pools.ts'
import { type PostAuthenticationApplication, postAuthenticationApplication } from './post-authentication.ts'
import { isVersion, nextVersion, overtaken } from './version.ts'
import { adminSlug, lockWorkspace } from './workspaces.ts'

/** Claims that nobody else speaks for: the engine's own, those of a proven address, and what a user may do. */
export const reservedClaims: ReadonlySet<string> = new Set([
  ...['sub', 'iss', 'aud', 'exp', 'iat', 'nbf', 'jti', 'azp', 'nonce', 'at_hash', 'c_hash', 's_hash'],
  ...['amr', 'acr', 'auth_time', 'sid', 'idp', 'client_id', 'scope', 'groups', 'roles', 'permissions', 'tenant_id'],
  ...['email', 'email_verified', 'phone_number', 'phone_number_verified'],
])

/** Claims that a connection's mapping never speaks for: also what an access token says of itself. */
export const unmappedClaims: ReadonlySet<string> = new Set([
  ...reservedClaims,
  ...['active', 'token_type', 'cnf', 'act', 'may_act', 'authorization_details', '__proto__'],
])

const domain = z
  .string()
  .transform((typed) => domainToASCII(typed.trim().toLowerCase()))
  .refine((ascii) => /^(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+$/.test(ascii), 'This is not a domain')

const claim = z
  .string()
  .regex(/^[\w:./-]{1,100}$/)
  .refine((name) => !unmappedClaims.has(name), 'This claim is not for mappings')

/** What an operator may set for a connection. */
export const connectionSettings = z.strictObject({
  name: z.string().min(1).max(200),
  position: z.int().min(-1_000_000).max(1_000_000).default(0),
  hidden: z.boolean().default(false).describe('Not offered; found by its domains, or where it is the only way in'),
  domains: z
    .array(domain)
    .max(200)
    .refine((domains) => new Set(domains).size === domains.length, 'A domain is named twice')
    .default([])
    .describe('Email domains whose people are sent here at once'),
  amr: z
    .array(z.string().regex(/^[\w.-]{1,50}$/))
    .min(1)
    .max(10)
    .nullable()
    .default(null)
    .describe('Replaces the list of methods in tokens (RFC 8176)'),
  mapping: z
    .record(claim, z.string().regex(/^(((profile|metadata)\.)?[^.\s]{1,100}|upstream\.[^\s]{1,200})$/))
    .default({})
    .describe('Claim to profile or metadata field, or to what was told outside at the sign-in: `upstream.department`'),
  post_authentication_script: z
    .uuid()
    .nullable()
    .default(null)
    .describe('Id of the script with the point `post_authentication` that runs once people have proven who they are'),
  post_authentication_application: postAuthenticationApplication
    .nullable()
    .default(null)
    .describe('Where people are sent once they have proven who they are; null for nowhere'),
  reload_claims_at_refresh: z
    .boolean()
    .default(false)
    .describe('Whether the source, or the OpenID Provider, that people come from is asked again at each refresh'),
  context_cache_seconds: z
    .int()
    .min(0)
    .max(34_560_000)
    .nullable()
    .default(null)
    .describe(
      'For how long tokens tell what was learnt at the sign-in: from a script, an application, or outside; null for as long as it lasts',
    ),
  enabled: z.boolean().default(true).describe('Closed, the people of the pool are refused everywhere in the workspace'),
})

const newConnection = connectionSettings.extend({ pool_id: z.uuid() })

/** A connection with its pool's slug, as operators see it. */
export interface ConnectionRecord {
  id: string
  workspaceId: string
  poolId: string
  pool: string
  name: string
  position: number
  hidden: boolean
  domains: string[]
  amr: string[] | null
  mapping: Record<string, string>
  postAuthenticationScript: string | null
  postAuthenticationApplication: PostAuthenticationApplication | null
  reloadClaimsAtRefresh: boolean
  contextCacheSeconds: number | null
  enabled: boolean
  createdAt: Date
  updatedAt: Date
}

/** Connects a pool to a workspace. Throws `conflict` where it is connected already or a domain is claimed. */
export const create = async (
  db: Db,
  at: Date,
  workspaceId: string,
  input: z.input<typeof newConnection>,
  by: audit.By = audit.system,
): Promise<string> => {
  const { pool_id: poolId, ...connection } = newConnection.parse(input)
  const id = uuidv7(at)
  await refuseClaimed(db, workspaceId, id, connection.domains)
  await checkScript(db, workspaceId, connection.post_authentication_script)
  const row = await db
    .insertInto('connections')
    .values({ workspaceId, id, poolId, ...columnsOf(connection), createdAt: at, updatedAt: at })
    .onConflict((conflict) => conflict.columns(['workspaceId', 'poolId']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!row) throw new Problem('conflict', { detail: 'This pool is connected to the workspace already.' })
  const about = { workspaceId, poolId }
  await audit.record(db, at, about, { type: 'connection.created', data: { by, name: connection.name } })
  return row.id
}

/** Every setting at once; an event tells what changed. Throws `conflict` on a claimed domain, or where somebody was quicker. */
export const update = async (
  db: Db,
  at: Date,
  before: ConnectionRecord,
  input: z.input<typeof connectionSettings>,
  by: audit.By,
): Promise<ConnectionRecord> => {
  const { workspaceId, id, poolId } = before
  const settings = connectionSettings.parse(input)
  const errors = (await isOperators(db, before)) ? lockouts(settings) : []
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
  await refuseClaimed(db, workspaceId, id, settings.domains)
  await checkScript(db, workspaceId, settings.post_authentication_script)
  const updatedAt = nextVersion(at, before)
  await db
    .updateTable('connections')
    .set({ ...columnsOf(settings), updatedAt })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .where(isVersion(before))
    .returning('id')
    .executeTakeFirstOrThrow(overtaken)
  const {
    post_authentication_script: script,
    post_authentication_application: application,
    reload_claims_at_refresh: reloadClaimsAtRefresh,
    context_cache_seconds: contextCacheSeconds,
    ...plain
  } = settings
  const after = {
    ...{ ...before, ...plain, reloadClaimsAtRefresh, contextCacheSeconds },
    postAuthenticationScript: script,
    postAuthenticationApplication: application,
    updatedAt,
  }
  const data = { by, ...audit.difference(before, after) }
  await audit.record(db, at, { workspaceId, poolId }, { type: 'connection.updated', data })
  return after
}

/** Takes a pool out of a workspace, and the connection out of the clients that name it. Throws `conflict` for the operators'. */
export const remove = async (db: Db, at: Date, record: ConnectionRecord, by: audit.By): Promise<void> => {
  const { workspaceId, id, poolId, name } = record
  if (await isOperators(db, record)) throw new Problem('conflict', { detail: 'Operators sign in by this connection.' })
  await db.deleteFrom('connections').where('workspaceId', '=', workspaceId).where('id', '=', id).execute()
  await sql`
    update clients set metadata = jsonb_set(metadata, '{connections}', (metadata -> 'connections') - ${id}::text)
    where workspace_id = ${workspaceId} and metadata -> 'connections' ? ${id}`.execute(db)
  await audit.record(db, at, { workspaceId, poolId }, { type: 'connection.deleted', data: { by, name } })
}

/** A connection as an operator would write it. */
export const settingsOf = (record: ConnectionRecord): z.output<typeof connectionSettings> => {
  const { name, position, hidden, domains, amr, mapping, enabled } = record
  return {
    ...{ name, position, hidden, domains, amr, mapping, enabled },
    post_authentication_script: record.postAuthenticationScript,
    post_authentication_application: record.postAuthenticationApplication,
    reload_claims_at_refresh: record.reloadClaimsAtRefresh,
    context_cache_seconds: record.contextCacheSeconds,
  }
}

/** What of a change of the operators' connection would lock them out. */
export const lockouts = ({
  enabled,
  hidden,
  post_authentication_script: script,
  post_authentication_application: application,
}: Lockable) => [
  ...(enabled ? [] : [{ pointer: '/enabled', detail: 'Operators sign in by this connection: it stays open' }]),
  ...(hidden ? [{ pointer: '/hidden', detail: 'Operators sign in by this connection: it is always offered' }] : []),
  ...(script ? [{ pointer: '/post_authentication_script', detail: nothingBetween }] : []),
  ...(application ? [{ pointer: '/post_authentication_application', detail: nothingBetween }] : []),
]

const nothingBetween = 'Operators sign in by this connection: nothing may stand between them and the console'

type Lockable = Pick<
  z.output<typeof connectionSettings>,
  'enabled' | 'hidden' | 'post_authentication_script' | 'post_authentication_application'
>

/** A connection's settings as columns. */
const columnsOf = ({
  mapping,
  post_authentication_script: postAuthenticationScript,
  post_authentication_application: application,
  reload_claims_at_refresh: reloadClaimsAtRefresh,
  context_cache_seconds: contextCacheSeconds,
  ...plain
}: z.output<typeof connectionSettings>) => ({
  ...plain,
  mapping: JSON.stringify(mapping),
  reloadClaimsAtRefresh,
  contextCacheSeconds,
  postAuthenticationScript,
  postAuthenticationApplication: application && JSON.stringify(application),
})

/** Throws `unprocessable` where the workspace has no such script for what comes after authentication. */
const checkScript = async (db: Db, workspaceId: string, id: string | null): Promise<void> => {
  if (id === null) return
  const found = await db
    .selectFrom('scripts')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .where('point', '=', 'post_authentication')
    .forKeyShare()
    .executeTakeFirst()
  const detail = 'The workspace has no script with the point `post_authentication` and this id'
  if (!found) throw new Problem('unprocessable', { errors: [{ pointer: '/post_authentication_script', detail }] })
}

/** A workspace's connections in order, from the one after `after`; only those to pools in `among` where that is given. */
export const list = async (
  db: Db,
  workspaceId: string,
  {
    limit,
    after,
    among,
  }: {
    limit: number
    after: readonly [position: string, id: string] | undefined
    among: readonly string[] | undefined
  },
): Promise<ConnectionRecord[]> =>
  records(db, workspaceId)
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(connections.position, connections.id) > (${after?.[0]}::int, ${after?.[1]}::uuid)`),
    )
    .$if(among !== undefined, (query) => query.where('poolId', '=', sql<string>`any(${among}::uuid[])`))
    .orderBy('position')
    .orderBy('connections.id')
    .limit(limit)
    .execute()

export const find = (db: Db, workspaceId: string, id: string): Promise<ConnectionRecord | undefined> =>
  records(db, workspaceId).where('connections.id', '=', id).executeTakeFirst()

/** The pool that a connection of any workspace leads to, whether or not both are open. */
export const findPool = async (db: Db, id: string): Promise<Pool | undefined> => {
  const row = await db
    .selectFrom('pools')
    .selectAll('pools')
    .innerJoin('connections', 'connections.poolId', 'pools.id')
    .where('connections.id', '=', id)
    .executeTakeFirst()
  return row && poolFrom(row)
}

/** Opens or closes a connection; closed, the pool's people are refused everywhere in the workspace. */
export const setEnabled = async (db: Db, workspaceId: string, id: string, enabled: boolean): Promise<void> => {
  const { numUpdatedRows } = await db
    .updateTable('connections')
    .set({ enabled, updatedAt: new Date() })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new Problem('not_found')
}

const application = sql<PostAuthenticationApplication | null>`post_authentication_application`

const records = (db: Db, workspaceId: string) =>
  db
    .selectFrom('connections')
    .innerJoin('pools', 'pools.id', 'connections.poolId')
    .select(['connections.id', 'workspaceId', 'poolId', 'pools.slug as pool', 'connections.name', 'position', 'hidden'])
    .select(['domains', 'amr', 'mapping', 'enabled', 'connections.createdAt', 'connections.updatedAt'])
    .select(['postAuthenticationScript', 'reloadClaimsAtRefresh', 'contextCacheSeconds'])
    .select(application.as('postAuthenticationApplication'))
    .where('workspaceId', '=', workspaceId)

/** Whose domain it is must be clear: the lock lets only one claim at a time be made in a workspace. */
const refuseClaimed = async (db: Db, workspaceId: string, id: string, domains: string[]): Promise<void> => {
  if (domains.length === 0) return
  await lockWorkspace(db, workspaceId)
  const claimed = await db
    .selectFrom('connections')
    .select('domains')
    .where('workspaceId', '=', workspaceId)
    .where('id', '<>', id)
    .where(sql<boolean>`domains && ${domains}::text[]`)
    .executeTakeFirst()
  const taken = domains.find((one) => claimed?.domains.includes(one))
  if (taken) throw new Problem('conflict', { detail: `The domain "${taken}" belongs to another connection.` })
}

/** Whether it is the connection by which operators sign in. */
const isOperators = async (db: Db, { workspaceId, pool }: ConnectionRecord): Promise<boolean> => {
  if (pool !== poolSlug) return false
  const row = await db.selectFrom('workspaces').select('slug').where('id', '=', workspaceId).executeTakeFirst()
  return row?.slug === adminSlug
}
