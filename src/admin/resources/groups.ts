import { z } from 'zod'
import * as groups from '../../directory/groups.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import type { Pool } from '../../directory/pools.ts'
import * as records from '../../directory/user-records.ts'
import { Problem } from '../../platform/problem.ts'
import { type Actor, byOf, demand } from '../access.ts'
import { patchedBy } from '../check.ts'
import { pageOf, readCursor } from '../list.ts'
import { getRecord, refuse as refuseFields } from '../people.ts'
import { checkMatch, etagOf, getPool } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'
import { shownIdentifiers } from '../user-shown.ts'

const answered = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  parent_id: z.uuid().nullable(),
  path: z.string().describe('The names from the top, each after a slash; what the `groups` claim says'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const member = z.strictObject({
  id: z.uuid().describe('Of the user'),
  status: z.enum(['new', 'active', 'inactive']),
  direct: z.boolean().describe('Whether the user is in this very group, not only in one below it'),
  identifiers: shownIdentifiers,
})

const mostAtOnce = 200
const someUsers = z.array(z.uuid()).max(mostAtOnce).default([])

const inPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const oneGroup = inPool.extend({ id: z.uuid() })
const oneMember = oneGroup.extend({ user: z.uuid() })
const oneUser = inPool.extend({ id: z.uuid() })

export const groupRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/groups',
    name: 'listGroups',
    summary: 'List the groups of a pool',
    scope: 'groups:read',
    params: inPool,
    query: listQuery({
      parent_id: z
        .union([z.literal('none'), z.uuid()])
        .optional()
        .describe('Only those right below this group; `none` for those at the top'),
      search: z.string().min(1).max(100).optional().describe('Only those whose name begins so, whatever its case'),
    }),
    answer: listOf(answered),
    status: 200,
    async handle(call) {
      const { db, keyring } = call.services
      const { limit, cursor, parent_id, search } = call.query
      const { id: poolId } = await getPool(call, call.params.pool)
      const name = `groups:${poolId}`
      const [after] = readCursor(keyring, name, cursor) ?? []
      const parentId = parent_id === 'none' ? null : parent_id
      const rows = await groups.list(db, poolId, { limit: limit + 1, after, parentId, search })
      return { body: pageOf(rows, { limit, keyring, list: name, position: ({ id }) => [id], item: groupOf }) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/groups',
    name: 'createGroup',
    summary: 'Make a group',
    scope: 'groups:write',
    params: inPool,
    body: groups.groupFields,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, at, body } = call
      const pool = await getPool(call, call.params.pool)
      const group = await services.db.transaction().execute((trx) => groups.create(trx, at, pool.id, body, byOf(actor)))
      return { body: groupOf(group), etag: etagOf(group), location: `/pools/${pool.slug}/groups/${group.id}` }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/groups/{id}',
    name: 'getGroup',
    summary: 'Read a group',
    scope: 'groups:read',
    params: oneGroup,
    answer: answered,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      const group = await groups.get(call.services.db, pool.id, call.params.id)
      return { body: groupOf(group), etag: etagOf(group) }
    },
  }),
  route({
    method: 'PATCH',
    path: '/pools/{pool}/groups/{id}',
    name: 'updateGroup',
    summary: 'Change or move a group',
    scope: 'groups:write',
    params: oneGroup,
    body: groups.groupFields,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, body, params } = call
      const { id: poolId } = await getPool(call, params.pool)
      const change = (before: groups.Group) => {
        checkMatch(ifMatch, before)
        const { name, description, parentId } = before
        return patchedBy(groups.groupFields, { name, description, parent_id: parentId }, body)
      }
      const group = await services.db
        .transaction()
        .execute((trx) => groups.update(trx, at, { poolId, id: params.id }, change, byOf(actor)))
      return { body: groupOf(group), etag: etagOf(group) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/groups/{id}',
    name: 'deleteGroup',
    summary: 'Delete a group that no group is in',
    scope: 'groups:write',
    params: oneGroup,
    status: 204,
    async handle(call) {
      const { services, actor, at, params } = call
      const { id: poolId } = await getPool(call, params.pool)
      const place = { poolId, id: params.id }
      await services.db.transaction().execute((trx) => groups.remove(trx, at, place, byOf(actor)))
      return { body: undefined }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/groups/{id}/members',
    name: 'listMembers',
    summary: 'List the users in a group',
    scope: 'groups:read',
    params: oneGroup,
    query: listQuery({
      descendants: z.enum(['true', 'false']).default('false').describe('Whether those of every group below count too'),
    }),
    answer: listOf(member),
    status: 200,
    async handle(call) {
      const { db, keyring } = call.services
      const { limit, cursor, descendants } = call.query
      const pool = await getPool(call, call.params.pool)
      const group = await groups.get(db, pool.id, call.params.id)
      const name = `members:${group.id}`
      const [after] = readCursor(keyring, name, cursor) ?? []
      const asked = { limit: limit + 1, after, descendants: descendants === 'true' }
      const rows = await groups.listMembers(db, group, asked)
      return { body: pageOf(rows, { limit, keyring, list: name, position: ({ userId }) => [userId], item: memberOf }) }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/groups',
    name: 'listUserGroups',
    summary: 'List the groups that a user is in directly',
    scope: 'groups:read',
    params: oneUser,
    query: listQuery({}),
    answer: listOf(answered),
    status: 200,
    async handle(call) {
      const { db, keyring } = call.services
      const { limit, cursor } = call.query
      const { pool, user } = await getRecord(call)
      const name = `groups:${pool.id}:${user.id}`
      const [after] = readCursor(keyring, name, cursor) ?? []
      const rows = await groups.list(db, pool.id, { limit: limit + 1, after, member: user.id })
      return { body: pageOf(rows, { limit, keyring, list: name, position: ({ id }) => [id], item: groupOf }) }
    },
  }),
  route({
    method: 'POST',
    path: '/pools/{pool}/groups/{id}/members',
    name: 'changeMembers',
    summary: 'Take many users into a group and out of it at once',
    scope: 'groups:write',
    params: oneGroup,
    body: z.strictObject({
      add: someUsers.describe('Ids of users of the pool'),
      add_identifiers: z
        .array(z.string().min(1).max(320))
        .max(mostAtOnce)
        .default([])
        .describe('What more users to take in go by; needs `users:read` too'),
      remove: someUsers.describe('Ids of users; who is not in the group is passed over'),
    }),
    answer: z.strictObject({
      added: z.int().describe('How many were not in it before'),
      removed: z.int().describe('How many were in it before'),
    }),
    status: 200,
    async handle(call) {
      const { add, add_identifiers, remove } = call.body
      const named = add_identifiers.length > 0 ? await findNamed(call, add_identifiers) : []
      return { body: await changeMembers(call, { add: [...add, ...named], remove }, refuseStrangers(add)) }
    },
  }),
  route({
    method: 'PUT',
    path: '/pools/{pool}/groups/{id}/members/{user}',
    name: 'addMember',
    summary: 'Take a user into a group',
    scope: 'groups:write',
    params: oneMember,
    status: 204,
    async handle(call) {
      await changeMembers(call, { add: [call.params.user], remove: [] }, refuseNobody)
      return { body: undefined }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/groups/{id}/members/{user}',
    name: 'removeMember',
    summary: 'Take a user out of a group',
    scope: 'groups:write',
    params: oneMember,
    status: 204,
    async handle(call) {
      const { removed } = await changeMembers(call, { add: [], remove: [call.params.user] }, refuseNobody)
      if (removed === 0) throw new Problem('not_found')
      return { body: undefined }
    },
  }),
]

type Naming = Call<{ pool: string }, unknown, unknown>

/** The ids of those who go by some texts, in no order. Throws `unprocessable` with a pointer to each that nobody goes by. */
const findNamed = async (call: Naming, texts: readonly string[]): Promise<string[]> => {
  demand(call.actor, 'users:read')
  const pool = await getPool(call, call.params.pool)
  const read = texts.map((text) => readEvery(pool, text))
  const asked = { limit: texts.length * kindsOf(pool).length, identifiers: read.flat() }
  const found = asked.identifiers.length > 0 ? await records.list(call.services.db, pool.id, asked, undefined) : []
  const known = new Set(found.flatMap(({ identifiers }) => identifiers.map(({ kind, value }) => `${kind}:${value}`)))
  const errors = read.flatMap((meanings, index) =>
    meanings.some(({ kind, value }) => known.has(`${kind}:${value}`))
      ? []
      : [{ pointer: `/add_identifiers/${index}`, detail: 'Nobody in this pool goes by this' }],
  )
  if (errors.length > 0) throw refuseFields(errors)
  return found.map(({ id }) => id)
}

const kindsOf = ({ settings }: Pool) => settings.identifiers

/** Whatever a text may be in a pool: what looks like a number may be a username, too. */
const readEvery = (pool: Pool, text: string) =>
  kindsOf(pool).flatMap((kind) => readIdentifier(text, [kind], pool.settings.default_country) ?? [])

interface Changing {
  services: Parameters<Route['handle']>[0]['services']
  actor: Actor
  at: Date
  params: { pool: string; id: string }
}

/** Both in one transaction: a user named in both lists is out of the group in the end. */
const changeMembers = async (
  call: Changing,
  { add, remove }: { add: string[]; remove: string[] },
  refuse: (strangers: Set<string>) => never,
): Promise<{ added: number; removed: number }> => {
  const { services, actor, at, params } = call
  const pool = await getPool(call, params.pool)
  const by = byOf(actor)
  return services.db.transaction().execute(async (trx) => {
    const group = await groups.get(trx, pool.id, params.id)
    const added = await groups.addMembers(trx, at, group, add, by, refuse)
    const removed = await groups.removeMembers(trx, at, group, remove, by)
    return { added: added.length, removed: removed.length }
  })
}

const refuseStrangers =
  (sent: readonly string[]) =>
  (strangers: Set<string>): never => {
    const errors = sent.flatMap((user, index) =>
      strangers.has(user) ? [{ pointer: `/add/${index}`, detail: 'There is no such user in this pool' }] : [],
    )
    throw new Problem('unprocessable', { errors })
  }

const refuseNobody = (): never => {
  throw new Problem('not_found')
}

const groupOf = (group: groups.Group): z.input<typeof answered> => ({
  id: group.id,
  name: group.name,
  description: group.description,
  parent_id: group.parentId,
  path: group.path,
  created_at: group.createdAt.toISOString(),
  updated_at: group.updatedAt.toISOString(),
})

const memberOf = ({ userId, status, direct, identifiers }: groups.Member): z.input<typeof member> => ({
  id: userId,
  status,
  direct,
  identifiers: identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
})
