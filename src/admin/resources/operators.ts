import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { readIdentifier } from '../../directory/identifiers.ts'
import * as operatorInvitations from '../../directory/operator-invitations.ts'
import * as operators from '../../directory/operators.ts'
import * as pools from '../../directory/pools.ts'
import { Problem } from '../../platform/problem.ts'
import type { Services } from '../../services.ts'
import { type Actor, byOf } from '../access.ts'
import { byUser, listRoute } from '../list.ts'
import { checkMatch, etagOf } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'
import { shownIdentifiers } from '../user-shown.ts'

const limits = z.array(z.uuid()).max(200).nullable().default(null)

const role = z
  .enum(['owner', 'admin', 'helpdesk', 'viewer'])
  .describe('`owner` may do everything, `admin` all but change operators, `helpdesk` look after users, `viewer` read')

const grant = z.strictObject({
  role,
  workspaces: limits.describe('Ids of the only workspaces that exist for this operator; null for all'),
  pools: limits.describe('Ids of the only pools that exist for this operator; null for all'),
})
type Grant = z.output<typeof grant>

const fits = ({ role, workspaces, pools }: Grant): boolean => role !== 'owner' || (!workspaces && !pools)
const misfit = { path: ['role'], message: 'An owner has no limits' }

const written = grant.refine(fits, misfit)
const invited = z
  .strictObject({ email: z.email().max(320).describe('Where the invitation goes'), ...grant.shape })
  .refine(fits, misfit)

const answered = z.strictObject({
  id: z.uuid().describe('Of the user in the pool of administrators'),
  status: z.enum(['new', 'active', 'inactive']).describe('Of the user; only who is active may operate'),
  identifiers: shownIdentifiers,
  role: z.enum(['owner', 'admin', 'helpdesk', 'viewer']),
  workspaces: z.array(z.uuid()).nullable(),
  pools: z.array(z.uuid()).nullable(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const oneOperator = z.strictObject({ user: z.uuid().describe('Id of a user of the pool of administrators') })

export const operatorRoutes: Route[] = [
  listRoute({
    path: '/operators',
    name: 'listOperators',
    summary: 'List operators',
    scope: 'operators:read',
    params: z.strictObject({}),
    items: answered,
    async open(call) {
      const poolId = await getAdministrators(call)
      const read = (page: Page) => operators.list(call.services.db, poolId, page)
      return { list: 'operators', read, position: byUser, item: operatorOf }
    },
  }),
  route({
    method: 'POST',
    path: '/operators',
    name: 'inviteOperator',
    summary: 'Invite somebody to operate, or again where they are invited: then the link before is dead',
    scope: 'operators:write',
    params: z.strictObject({}),
    body: invited,
    answer: z.strictObject({ email: z.string(), role, expires_at: z.iso.datetime() }),
    status: 202,
    async handle(call) {
      const { services, actor, body } = call
      await getAdministrators(call)
      const identifier = readIdentifier(body.email, ['email'])
      if (!identifier) throw new Problem('unprocessable', { errors: [{ pointer: '/email', detail: 'Not an address' }] })
      const { role, workspaces, pools } = body
      const wanted = { identifier, role, limits: { workspaces, pools }, silent: false, by: byOf(actor) }
      const { expiresAt } = await inTransaction(call, (trx, at) =>
        operatorInvitations.invite(trx, at, services, wanted),
      )
      return { body: { email: identifier.value, role, expires_at: expiresAt.toISOString() } }
    },
  }),
  route({
    method: 'GET',
    path: '/operators/{user}',
    name: 'getOperator',
    summary: 'Read an operator',
    scope: 'operators:read',
    params: oneOperator,
    answer: answered,
    status: 200,
    async handle(call) {
      const operator = await operators.get(call.services.db, await getAdministrators(call), call.params.user)
      return { body: operatorOf(operator), etag: etagOf(operator) }
    },
  }),
  route({
    method: 'PUT',
    path: '/operators/{user}',
    name: 'putOperator',
    summary: 'Make a user an operator, or change what one may do',
    scope: 'operators:write',
    params: oneOperator,
    body: written,
    answer: answered,
    status: 200,
    async handle(call) {
      const { body, ifMatch, params } = call
      const place = { poolId: await getAdministrators(call), userId: params.user }
      const check = (before: operators.OperatorRecord | undefined) => {
        if (before) checkMatch(ifMatch, before)
        else if (ifMatch !== undefined) throw new Problem('precondition_failed')
      }
      const operator = await inTransaction(call, (trx, at, by) => operators.put(trx, at, place, body, by, check))
      return { body: operatorOf(operator), etag: etagOf(operator) }
    },
  }),
  route({
    method: 'DELETE',
    path: '/operators/{user}',
    name: 'deleteOperator',
    summary: 'Make an operator a plain user again',
    scope: 'operators:write',
    params: oneOperator,
    status: 204,
    async handle(call) {
      const place = { poolId: await getAdministrators(call), userId: call.params.user }
      await inTransaction(call, (trx, at, by) => operators.remove(trx, at, place, by))
    },
  }),
]

/** Who operators are tells where else there is something: for whoever has limits, there are none. Throws `not_found`. */
const getAdministrators = async ({ services, actor }: { services: Services; actor: Actor }): Promise<string> => {
  const limited = actor.workspaces !== undefined || actor.pools !== undefined
  const pool = limited ? undefined : await pools.findBySlug(services.db, 'administrators')
  if (!pool) throw new Problem('not_found')
  return pool.id
}

const operatorOf = (operator: operators.OperatorRecord): z.input<typeof answered> => ({
  id: operator.userId,
  status: operator.status,
  identifiers: operator.identifiers.map(({ kind, value, verified }) => ({ type: kind, value, verified })),
  role: operator.role,
  workspaces: operator.workspaces,
  pools: operator.pools,
  created_at: operator.createdAt.toISOString(),
  updated_at: operator.updatedAt.toISOString(),
})
