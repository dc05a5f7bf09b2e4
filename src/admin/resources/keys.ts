import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { algorithms } from '../../directory/key-settings.ts'
import * as keyChanges from '../../oidc/key-changes.ts'
import { keyStoreOf, refuseFixed } from '../../oidc/key-store.ts'
import * as keys from '../../oidc/keys.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf } from '../access.ts'
import { listRoute, type Position } from '../list.ts'
import { getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { listOf, type Route, route } from '../route.ts'

const answered = z.strictObject({
  kid: z.string(),
  alg: z.enum(algorithms),
  state: z
    .enum(['coming', 'signing', 'published', 'withdrawn'])
    .describe('Published before it signs, signing, published for what it signed, gone'),
  signs_from: z.iso.datetime(),
  signs_until: z.iso.datetime().nullable(),
  published_until: z.iso.datetime().nullable(),
  created_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })

export const keyRoutes: Route[] = [
  listRoute({
    path: '/workspaces/{workspace}/keys',
    name: 'listKeys',
    summary: 'List the signing keys of a workspace, the newest first',
    scope: 'keys:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const workspace = await getWorkspace(call, call.params.workspace)
      const read = async ({ limit }: Page, [from, id]: Position) => {
        const after = from !== undefined && id !== undefined ? ([from, id] as const) : undefined
        return (await keyStoreOf(call.services, workspace)).list(call.at, { limit, after })
      }
      const position = (row: keys.KeyRecord) => [row.signsFrom.toISOString(), row.id]
      return { list: `keys:${workspace.id}`, read, position, item: keyOf }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/keys/rotate',
    name: 'rotateKeys',
    summary: 'Make new signing keys; they sign in 15 minutes, when every client can know them',
    scope: 'keys:write',
    params: inWorkspace,
    query: z.strictObject({ alg: z.enum(algorithms).optional().describe('Only of this algorithm') }),
    answer: listOf(answered),
    status: 201,
    async handle(call) {
      const { services, actor, at, params, query } = call
      const { db, keyring } = services
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const among = query.alg ? [query.alg] : algorithms
      await refuseFixed(services, workspace)
      await keys.refuseWhileComing(db, at, workspace.id, among)
      await keys.rotate(db, keyring, at, workspace.id, byOf(actor), among)
      const rows = await keys.list(db, at, workspace.id, { limit: 200, after: undefined })
      const items = rows.filter(({ state, alg }) => state === 'coming' && among.includes(alg)).map(keyOf)
      return { body: { items, next_cursor: null }, location: `/workspaces/${workspace.slug}/keys` }
    },
  }),
  route({
    method: 'POST',
    path: '/workspaces/{workspace}/keys/{kid}/revoke',
    name: 'revokeKey',
    summary: 'Withdraw a key this moment, because others may have it; what it signed is refused from now on',
    scope: 'keys:write',
    params: inWorkspace.extend({ kid: z.string() }),
    status: 204,
    async handle(call) {
      const { services, actor, at, params } = call
      const { db, keyring } = services
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const change = { keyring, at, workspaceId: workspace.id, by: byOf(actor) }
      // What was published before there was a folder may have leaked, too.
      await keyChanges.revoke(db, change, params.kid).catch(async (error: unknown) => {
        if (error instanceof Problem) await refuseFixed(services, workspace)
        throw error
      })
    },
  }),
]

const keyOf = ({
  id,
  alg,
  state,
  signsFrom,
  signsUntil,
  publishedUntil,
  createdAt,
}: keys.KeyRecord): z.input<typeof answered> => ({
  kid: id,
  alg,
  state,
  signs_from: signsFrom.toISOString(),
  signs_until: signsUntil?.toISOString() ?? null,
  published_until: publishedUntil?.toISOString() ?? null,
  created_at: createdAt.toISOString(),
})
