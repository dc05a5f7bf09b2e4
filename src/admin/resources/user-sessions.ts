import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import * as sessions from '../../directory/sessions.ts'
import * as users from '../../directory/users.ts'
import { Problem } from '../../platform/problem.ts'
import { getChangeable, getRecord } from '../people.ts'
import { listOf, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const oneUser = z.strictObject({ pool: z.string().describe('Slug or id'), id: z.uuid() })

const session = z.strictObject({
  id: z.string().describe('Made for this list; nobody can sign in with it'),
  workspace: z.string(),
  amr: z.array(z.string()),
  created_at: z.iso.datetime(),
  authenticated_at: z.iso.datetime(),
})

export const userSessionRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/users/{id}/sessions',
    name: 'listSessions',
    summary: 'List where a user is signed in',
    scope: 'users:read',
    params: oneUser,
    answer: listOf(session),
    status: 200,
    async handle(call) {
      const found = await sessionsOf(call)
      const items = found.list.map(({ id, workspace, amr, createdAt, authenticatedAt }) => ({
        id,
        workspace,
        amr,
        created_at: createdAt.toISOString(),
        authenticated_at: authenticatedAt.toISOString(),
      }))
      return { body: { items, next_cursor: null } }
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/sessions',
    name: 'endSessions',
    summary: 'Sign a user out everywhere; their tokens end too',
    scope: 'users:write',
    params: oneUser,
    status: 204,
    async handle(call) {
      await getChangeable(call)
      const { list } = await sessionsOf(call)
      // Grants may outlive the sessions that they began in. An operator with limits ends only what they can see.
      await endSessions(call, list, call.actor.workspaces === undefined)
    },
  }),
  route({
    method: 'DELETE',
    path: '/pools/{pool}/users/{id}/sessions/{session}',
    name: 'endSession',
    summary: 'End one session; the tokens that came from it end too',
    scope: 'users:write',
    params: oneUser.extend({ session: z.string() }),
    status: 204,
    async handle(call) {
      await getChangeable(call)
      const { list } = await sessionsOf(call)
      const wanted = list.filter(({ id }) => id === call.params.session)
      if (wanted.length === 0) throw new Problem('not_found')
      await endSessions(call, wanted, false)
    },
  }),
]

type Asking = Parameters<typeof getRecord>[0] & { at: Date }

const sessionsOf = async (call: Asking) => {
  const { pool, user } = await getRecord(call)
  const among = call.actor.workspaces && [...call.actor.workspaces]
  return { pool, user, list: await sessions.list(call.services.db, call.at, pool.id, user.id, among) }
}

const endSessions = async (call: Asking, list: sessions.Session[], all: boolean): Promise<void> => {
  const { pool, user } = await getRecord(call)
  await inTransaction(call, async (trx, at, by) => {
    if (all) await users.endEverything(trx, pool.id, user.id)
    else await sessions.end(trx, list)
    const about = { poolId: pool.id, userId: user.id }
    await audit.record(trx, at, about, { type: 'user.sessions_ended', data: { by } })
  })
}
