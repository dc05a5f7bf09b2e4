import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as members from '../../directory/group-members.ts'
import * as groups from '../../directory/groups.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import type { Pool } from '../../directory/pools.ts'
import * as records from '../../directory/user-records.ts'
import { Problem } from '../../platform/problem.ts'
import { type Actor, byOf, demand } from '../access.ts'
import { byId, byUser, listRoute } from '../list.ts'
import { getRecord, refuse as refuseFields } from '../people.ts'
import { getPool } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { shownIdentifiers } from '../user-shown.ts'
import { answered, groupOf } from './groups.ts'

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

export const groupMemberRoutes: Route[] = [
  listRoute({
    path: '/pools/{pool}/groups/{id}/members',
    name: 'listMembers',
    summary: 'List the users in a group',
    scope: 'groups:read',
    params: oneGroup,
    filters: {
      descendants: z.enum(['true', 'false']).default('false').describe('Whether those of every group below count too'),
    },
    items: member,
    async open(call) {
      const { services, params, query } = call
      const pool = await getPool(call, params.pool)
      const group = await groups.get(services.db, pool.id, params.id)
      const descendants = query.descendants === 'true'
      const read = (page: Page) => members.list(services.db, group, { ...page, descendants })
      return { list: `members:${group.id}`, read, position: byUser, item: memberOf }
    },
  }),
  listRoute({
    path: '/pools/{pool}/users/{id}/groups',
    name: 'listUserGroups',
    summary: 'List the groups that a user is in directly',
    scope: 'groups:read',
    params: oneUser,
    items: answered,
    async open(call) {
      const { pool, user } = await getRecord(call)
      const read = (page: Page) => groups.list(call.services.db, pool.id, { ...page, member: user.id })
      return { list: `groups:${pool.id}:${user.id}`, read, position: byId, item: groupOf }
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
    const added = await members.add(trx, at, group, add, by, refuse)
    const removed = await members.remove(trx, at, group, remove, by)
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

const memberOf = ({ userId, status, direct, identifiers }: members.Member): z.input<typeof member> => ({
  id: userId,
  status,
  direct,
  identifiers: identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
})
