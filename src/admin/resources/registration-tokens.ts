import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as tokens from '../../directory/registration-tokens.ts'
import type { Workspace } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import { byId, listRoute } from '../list.ts'
import { getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const answered = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  uses_left: z.int().nullable().describe('How many clients may still register by it; null for any number'),
  token: z.string().optional().describe('Only in the answer to what made it'),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime(),
})

const written = z.strictObject({
  name: z.string().min(1).max(200).describe('Whom or what it is for'),
  uses: z
    .int()
    .min(1)
    .max(100_000)
    .nullable()
    .default(1)
    .describe('How many clients may register by it; null for any number'),
  expires_in_days: z.int().min(1).max(365).default(7).describe('For how many days it is good'),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneToken = inWorkspace.extend({ id: z.uuid() })
const within = '/workspaces/{workspace}/registration-tokens'

export const registrationTokenRoutes: Route[] = [
  listRoute({
    path: within,
    name: 'listRegistrationTokens',
    summary: 'List the registration tokens of a workspace that are not over',
    scope: 'clients:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { id } = await getWorkspace(call, call.params.workspace)
      const read = (page: Page) => tokens.list(call.services.db, call.at, id, page)
      return { list: `registration-tokens:${id}`, read, position: byId, item: tokenOf }
    },
  }),
  route({
    method: 'POST',
    path: within,
    name: 'createRegistrationToken',
    summary: 'Make a registration token (an initial access token of RFC 7591), shown this once',
    scope: 'clients:write',
    params: inWorkspace,
    body: written,
    answer: answered,
    status: 201,
    async handle(call) {
      const { at, params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const { name, uses, expires_in_days: days } = body
      const wanted = { name, uses, expiresAt: new Date(at.getTime() + days * 86_400_000) }
      const { made, value } = await inTransaction(call, (trx, at, by) =>
        tokens.create(trx, at, workspace.id, wanted, by),
      )
      return { body: tokenOf(made, value), location: `/workspaces/${workspace.slug}/registration-tokens/${made.id}` }
    },
  }),
  route({
    method: 'GET',
    path: `${within}/{id}`,
    name: 'getRegistrationToken',
    summary: 'Read a registration token; its value is not there any more',
    scope: 'clients:read',
    params: oneToken,
    answer: answered,
    status: 200,
    async handle(call) {
      const workspace = await getWorkspace(call, call.params.workspace)
      return { body: tokenOf(await getToken(call, workspace)) }
    },
  }),
  route({
    method: 'DELETE',
    path: `${within}/{id}`,
    name: 'deleteRegistrationToken',
    summary: 'Revoke a registration token; clients that registered by it stay',
    scope: 'clients:write',
    params: oneToken,
    status: 204,
    async handle(call) {
      const token = await getToken(call, await getChangeableWorkspace(call, call.params.workspace))
      await inTransaction(call, (trx, at, by) => tokens.remove(trx, at, token, by))
    },
  }),
]

interface One {
  services: Parameters<Route['handle']>[0]['services']
  params: z.output<typeof oneToken>
}

const getToken = async ({ services, params }: One, { id }: Workspace): Promise<tokens.RegistrationToken> => {
  const token = await tokens.find(services.db, id, params.id)
  if (!token) throw new Problem('not_found')
  return token
}

const tokenOf = (
  { id, name, usesLeft, createdAt, expiresAt }: tokens.RegistrationToken,
  token?: string,
): z.input<typeof answered> => ({
  id,
  name,
  uses_left: usesLeft,
  ...(token === undefined ? {} : { token }),
  created_at: createdAt.toISOString(),
  expires_at: expiresAt.toISOString(),
})
