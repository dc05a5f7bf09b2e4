import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as webhooks from '../../directory/webhooks.ts'
import type { Workspace } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import { demandEveryPool } from '../access.ts'
import { patchedBy } from '../check.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

const settings = webhooks.webhookSettings

const answered = z.strictObject({
  id: z.uuid(),
  ...settings.shape,
  secret: z
    .string()
    .optional()
    .describe('What deliveries are signed with (`whsec_…`); only in the answer to what made it'),
  old_secret_valid: z.boolean().describe('Whether the secret before the newest still signs along'),
  disabled_why: z
    .enum(['failing', 'gone'])
    .nullable()
    .describe('Why it was switched off by itself: nothing got through for three days, or the other side answered 410'),
  failing_since: z.iso.datetime().nullable().describe('Since when nothing has got through; null where the last did'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const within = '/workspaces/{workspace}/webhooks'

/** The parameters and the path of one webhook. */
export const oneWebhook = inWorkspace.extend({ id: z.uuid() })
export const webhookPath = `${within}/{id}` as const

export const webhookRoutes: Route[] = [
  listRoute({
    path: within,
    name: 'listWebhooks',
    summary: 'List the webhooks of a workspace',
    scope: 'webhooks:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { id } = await getWorkspace(call, call.params.workspace)
      const read = (page: Page) => webhooks.list(call.services.db, id, page)
      return { list: `webhooks:${id}`, read, position: byId, item: webhookOf }
    },
  }),
  route({
    method: 'POST',
    path: within,
    name: 'createWebhook',
    summary: 'Make a webhook; its secret is shown this once',
    scope: 'webhooks:write',
    params: inWorkspace,
    body: settings,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      demandEveryPool(actor)
      const secret = webhooks.newSecret()
      const making = { workspaceId: workspace.id, keyring: services.keyring, secret }
      const made = await inTransaction(call, (trx, at, by) => webhooks.create(trx, at, making, body, by))
      return { body: webhookOf(made, secret), etag: etagOf(made), location: locationOf(workspace, made) }
    },
  }),
  route({
    method: 'GET',
    path: webhookPath,
    name: 'getWebhook',
    summary: 'Read a webhook',
    scope: 'webhooks:read',
    params: oneWebhook,
    answer: answered,
    status: 200,
    async handle(call) {
      const { webhook } = await getWebhook(call)
      return { body: webhookOf(webhook), etag: etagOf(webhook) }
    },
  }),
  route({
    method: 'PATCH',
    path: webhookPath,
    name: 'updateWebhook',
    summary: 'Change a webhook; what waits for it goes where it is now',
    scope: 'webhooks:write',
    params: oneWebhook,
    body: settings,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const { webhook: before } = await getChangeableWebhook(call)
      checkMatch(ifMatch, before)
      const merged = patchedBy(settings, webhooks.settingsOf(before), body)
      const after = await inTransaction(call, (trx, at, by) => webhooks.update(trx, at, before, merged, by))
      return { body: webhookOf(after), etag: etagOf(after) }
    },
  }),
  route({
    method: 'DELETE',
    path: webhookPath,
    name: 'deleteWebhook',
    summary: 'Delete a webhook with all that waits for it',
    scope: 'webhooks:write',
    params: oneWebhook,
    status: 204,
    async handle(call) {
      const { webhook } = await getChangeableWebhook(call)
      await inTransaction(call, (trx, at, by) => webhooks.remove(trx, at, webhook, by))
    },
  }),
  route({
    method: 'POST',
    path: `${webhookPath}/secret`,
    name: 'rotateWebhookSecret',
    summary: 'Make a new secret, shown this once; the one before signs along until it is ended or the next is made',
    scope: 'webhooks:write',
    params: oneWebhook,
    answer: answered,
    status: 201,
    async handle(call) {
      const { workspace, webhook } = await getChangeableWebhook(call)
      const secret = webhooks.newSecret()
      const made = { keyring: call.services.keyring, secret }
      const after = await inTransaction(call, (trx, at, by) => webhooks.rotateSecret(trx, at, webhook, made, by))
      return { body: webhookOf(after, secret), etag: etagOf(after), location: locationOf(workspace, after) }
    },
  }),
  route({
    method: 'DELETE',
    path: `${webhookPath}/secret`,
    name: 'endOldWebhookSecret',
    summary: 'Let the secret before the newest sign no more',
    scope: 'webhooks:write',
    params: oneWebhook,
    status: 204,
    async handle(call) {
      const { webhook } = await getChangeableWebhook(call)
      await inTransaction(call, (trx, at, by) => webhooks.endOldSecret(trx, at, webhook, by))
    },
  }),
]

type One = Pick<Call<z.output<typeof oneWebhook>, unknown, unknown>, 'services' | 'actor' | 'params'>

/** A webhook with its workspace, if they exist for this actor. Throws `not_found`. */
export const getWebhook = async (call: One) => inside(call, await getWorkspace(call, call.params.workspace))

/** The same for a change. Throws `forbidden` too: a webhook is sent the events of every pool of its workspace. */
export const getChangeableWebhook = async (call: One) => {
  const found = await inside(call, await getChangeableWorkspace(call, call.params.workspace))
  demandEveryPool(call.actor)
  return found
}

const inside = async ({ services, params }: One, workspace: Workspace) => {
  const webhook = await webhooks.find(services.db, workspace.id, params.id)
  if (!webhook) throw new Problem('not_found')
  return { workspace, webhook }
}

const locationOf = ({ slug }: Workspace, { id }: webhooks.Webhook): string => `/workspaces/${slug}/webhooks/${id}`

const webhookOf = (webhook: webhooks.Webhook, secret?: string): z.input<typeof answered> => ({
  id: webhook.id,
  ...webhooks.settingsOf(webhook),
  ...(secret ? { secret } : {}),
  old_secret_valid: webhook.previousSealedSecret !== null,
  disabled_why: webhook.disabledWhy,
  failing_since: webhook.failingSince?.toISOString() ?? null,
  created_at: webhook.createdAt.toISOString(),
  updated_at: webhook.updatedAt.toISOString(),
})
