import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Identifier, IdentifierKind } from './identifiers.ts'

export interface IdentifierRecord {
  kind: IdentifierKind
  value: string
  verified: boolean
}

/** A user as operators see them: everything but what they prove themselves with. */
export interface UserRecord {
  poolId: string
  id: string
  status: 'new' | 'active' | 'inactive' | 'deleted'
  authority: 'local' | 'linked' | 'migrated'
  profile: Record<string, unknown>
  metadata: Record<string, unknown>
  createdAt: Date
  updatedAt: Date
  lastSignInAt: Date | null
  /** The name that another system knows them by; unique in the pool. */
  externalId: string | null
  /** The type of the source or upstream that they came from, and when they came over from a source for good. */
  source: string | null
  migratedAt: Date | null
  identifiers: IdentifierRecord[]
  /** Paths, from the outermost group down. */
  groups: string[]
  /** Keys of the roles they have, everywhere or in a tenant. */
  roles: string[]
  /** Ids of those they belong to. */
  tenants: string[]
}

/** Somebody with what of theirs was searched for. */
export interface Found extends UserRecord {
  matched: string
  /** Whether nothing of theirs matches that comes before it in the order. */
  first: boolean
}

export interface Wanted {
  limit: number
  /** Only who goes by one of these. */
  identifiers?: Identifier[] | undefined
  /** Only whom another system knows by this name. */
  externalId?: string | undefined
  /** Everyone but the deleted where nothing is asked. */
  status?: UserRecord['status'] | undefined
  /** Only direct members of this group. */
  group?: string | undefined
}

/** Someone of a pool, also a tombstone. */
export const find = async (db: Db, poolId: string, id: string): Promise<UserRecord | undefined> => {
  const { rows } = await sql<UserRecord>`
    select ${columns} from users u where u.pool_id = ${poolId} and u.id = ${id}`.execute(db)
  return rows[0]
}

/** The same, and nobody else changes them until the transaction ends. */
export const findForUpdate = async (db: Db, poolId: string, id: string): Promise<UserRecord | undefined> => {
  await db
    .selectFrom('users')
    .select('id')
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  return find(db, poolId, id)
}

/** The users of a pool by id, after the one called `after`. */
export const list = async (
  db: Db,
  poolId: string,
  { limit, identifiers, externalId, status, group }: Wanted,
  after: string | undefined,
): Promise<UserRecord[]> => {
  const members = sql`join group_members m on m.pool_id = u.pool_id and m.user_id = u.id and m.group_id = ${group}`
  const { rows } = await sql<UserRecord>`
    select ${columns} from users u ${group === undefined ? sql`` : members}
    where u.pool_id = ${poolId} and ${ofStatus(status)}
      and ${identifiers === undefined ? sql`true` : goingBy(poolId, identifiers)}
      and ${externalId === undefined ? sql`true` : sql`u.external_id = ${externalId}`}
      and ${after === undefined ? sql`true` : sql`u.id > ${after}`}
    order by u.id limit ${limit}`.execute(db)
  return rows
}

/**
 * The identifiers, family names and given names that begin with a text, in their order, each with whose it is. Every kind
 * is a walk along its own index that ends with the page, however many users there are.
 */
export const search = async (
  db: Db,
  poolId: string,
  typed: string,
  { limit, identifiers, externalId, status, group }: Wanted,
  after: { matched: string; id: string } | undefined,
): Promise<Found[]> => {
  const prefix = typed.normalize('NFKC').trim().toLowerCase()
  const within = (text: RawBuilder<unknown>) =>
    sql`${text} ~>=~ ${prefix}::text and ${text} ~<~ ${`${prefix}\u{10ffff}`}::text`
  const walk = (text: RawBuilder<unknown>, from: RawBuilder<unknown>, where: RawBuilder<unknown>) =>
    sql.join(
      placesIn(text, after).map(
        (place) => sql`(
    select u.id, ${text} as matched from ${from}
    where ${where} and u.pool_id = ${poolId} and ${within(text)} and ${ofStatus(status)} and ${place}
      and ${identifiers === undefined ? sql`true` : goingBy(poolId, identifiers)}
      and ${externalId === undefined ? sql`true` : sql`u.external_id = ${externalId}`}
      and ${group === undefined ? sql`true` : memberOf(poolId, group)}
    order by ${text} using ~<~, u.id limit ${limit})`,
      ),
      sql` union `,
    )
  const identified = sql`identifiers i join users u on u.pool_id = i.pool_id and u.id = i.user_id`
  const { rows } = await sql<Found>`
    select ${columns}, x.matched, not exists (
        select from (
          select n.value as text from identifiers n where n.pool_id = ${poolId} and n.user_id = u.id
          union all values (lower(u.profile ->> 'family_name')), (lower(u.profile ->> 'given_name'))
        ) other where ${within(sql`other.text`)} and other.text ~<~ x.matched) as first
    from (
      select * from (
        ${walk(sql`i.value`, identified, sql`i.pool_id = ${poolId}`)}
        union ${walk(sql`lower(u.profile ->> 'family_name')`, sql`users u`, sql`u.profile ? 'family_name'`)}
        union ${walk(sql`lower(u.profile ->> 'given_name')`, sql`users u`, sql`u.profile ? 'given_name'`)}
      ) found order by matched using ~<~, id limit ${limit}
    ) x join users u on u.pool_id = ${poolId} and u.id = x.id
    order by x.matched using ~<~, x.id`.execute(db)
  return rows
}

const columns = sql`u.pool_id, u.id, u.status, u.authority, u.profile, u.metadata, u.created_at, u.updated_at,
  u.last_sign_in_at, u.external_id, u.source, u.migrated_at,
  coalesce((select jsonb_agg(jsonb_build_object('kind', n.kind, 'value', n.value, 'verified', n.verified_at is not null)
      order by n.created_at, n.value)
    from identifiers n where n.pool_id = u.pool_id and n.user_id = u.id), '[]') as identifiers,
  array(
    with recursive climb as (
      select g.parent_id, g.name as path from group_members m
      join groups g on g.pool_id = m.pool_id and g.id = m.group_id
      where m.pool_id = u.pool_id and m.user_id = u.id
      union all
      select g.parent_id, g.name || '/' || climb.path from climb
      join groups g on g.pool_id = u.pool_id and g.id = climb.parent_id
    ) select '/' || path from climb where parent_id is null order by path collate "C") as groups,
  array(select distinct r.key collate "C" as one from user_roles a join roles r on r.id = a.role_id
    where a.pool_id = u.pool_id and a.user_id = u.id order by one) as roles,
  array(select m.tenant_id from tenant_members m
    where m.pool_id = u.pool_id and m.user_id = u.id order by m.tenant_id) as tenants`

const ofStatus = (status: Wanted['status']) => (status ? sql`u.status = ${status}` : sql`u.status <> 'deleted'`)

// Asked by value, not by a join with what is asked: a planner that does not know how little that is reads the whole table.
const goingBy = (poolId: string, identifiers: Identifier[]) =>
  identifiers.length === 0
    ? sql`false`
    : sql`u.id in (select i.user_id from identifiers i where i.pool_id = ${poolId}
        and (i.kind, i.value) in (${sql.join(identifiers.map(({ kind, value }) => sql`(${kind}, ${value})`))}))`

const memberOf = (poolId: string, group: string) => sql`exists (
  select from group_members m where m.pool_id = ${poolId} and m.group_id = ${group} and m.user_id = u.id)`

/** What comes after a place: more of the same text, then later ones. Asked as one, all of the same text would be read again. */
const placesIn = (text: RawBuilder<unknown>, after: { matched: string; id: string } | undefined) =>
  after === undefined
    ? [sql`true`]
    : [sql`${text} = ${after.matched}::text and u.id > ${after.id}`, sql`${text} ~>~ ${after.matched}::text`]
