import { z } from 'zod'
import { readIdentifier } from '../../directory/identifiers.ts'
import type { Pool } from '../../directory/pools.ts'
import * as records from '../../directory/user-records.ts'
import { pageOf, readCursor } from '../list.ts'
import { getPool } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'
import { shownUser, status, userOf } from '../user-shown.ts'

export const userListRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/users',
    name: 'listUsers',
    summary: 'List users; the deleted only where asked for by status',
    scope: 'users:read',
    params: z.strictObject({ pool: z.string().describe('Slug or id') }),
    query: listQuery({
      identifier: z.string().max(320).optional().describe('Who goes by exactly this'),
      external_id: z.string().min(1).max(255).optional().describe('Whom another system knows by exactly this name'),
      status: status.optional(),
      group: z.uuid().optional().describe('Direct members of this group, by id'),
      search: z.string().trim().min(1).max(100).optional().describe('The beginning of an identifier or a name'),
    }),
    answer: listOf(shownUser),
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      return { body: call.query.search === undefined ? await listAll(call, pool) : await listFound(call, pool) }
    },
  }),
]

interface Asked {
  limit: number
  cursor?: string | undefined
  identifier?: string | undefined
  external_id?: string | undefined
  status?: z.output<typeof status> | undefined
  group?: string | undefined
  search?: string | undefined
}
type Lister = Call<unknown, Asked, unknown>

const listAll = async ({ services: { db, keyring }, query }: Lister, pool: Pool) => {
  const { limit, cursor } = query
  const list = `users:${pool.id}`
  const [after] = readCursor(keyring, list, cursor) ?? []
  const rows = await records.list(db, pool.id, wantedOf(query, pool), after)
  return pageOf(rows, { limit, keyring, list, position: ({ id }) => [id], item: userOf })
}

const listFound = async ({ services: { db, keyring }, query }: Lister, pool: Pool) => {
  const { limit, cursor, search = '' } = query
  const list = `users:${pool.id}:${search}`
  const [matched, id] = readCursor(keyring, list, cursor) ?? []
  const after = matched !== undefined && id !== undefined ? { matched, id } : undefined
  const rows = await records.search(db, pool.id, search, wantedOf(query, pool), after)
  const position = ({ matched, id }: records.Found) => [matched, id]
  const page = pageOf(rows, { limit, keyring, list, position, item: (row) => row })
  // Whoever matches by name and by address is shown once, so a page may hold fewer than were asked for.
  return { ...page, items: page.items.filter(({ first }) => first).map(userOf) }
}

/** One more than asked for tells whether there is a next page. */
const wantedOf = ({ limit, identifier, external_id, status, group }: Asked, pool: Pool): records.Wanted => ({
  limit: limit + 1,
  externalId: external_id,
  status,
  group,
  identifiers:
    identifier === undefined
      ? undefined
      : pool.settings.identifiers.flatMap(
          (one) => readIdentifier(identifier, [one], pool.settings.default_country) ?? [],
        ),
})
