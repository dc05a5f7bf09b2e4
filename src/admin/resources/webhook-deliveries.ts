import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as audit from '../../directory/audit.ts'
import * as deliveries from '../../directory/webhook-deliveries.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf } from '../access.ts'
import { listRoute } from '../list.ts'
import { type Route, route } from '../route.ts'
import { getChangeableWebhook, getWebhook, oneWebhook, webhookPath } from './webhooks.ts'

const states = z
  .enum(['pending', 'delivered', 'dead'])
  .describe('On its way, taken by the other side, or given up after ten tries')

const answered = z.strictObject({
  event_id: z.uuid().describe('Id of the event; the other side is told it as `webhook-id`, the same at every try'),
  type: z.string().nullable().describe('Type of the event; null where the event is no more'),
  state: states,
  attempts: z.int().describe('How often it was tried since it was made, or last sent again'),
  due_at: z.iso.datetime().nullable().describe('When it is tried next; null where it is not'),
  tried_at: z.iso.datetime().nullable().describe('When it was tried last; null where it never was'),
  status: z.int().nullable().describe('The HTTP status of the last answer; null where none came'),
  why: z
    .enum(['refused', 'no_answer', 'event_gone'])
    .nullable()
    .describe(
      'Why the last try failed: another status than 2xx, no answer in three seconds, or nothing to send any more',
    ),
})

const oneDelivery = oneWebhook.extend({ event: z.uuid().describe('Id of the event') })
const within = `${webhookPath}/deliveries`

export const webhookDeliveryRoutes: Route[] = [
  route({
    method: 'POST',
    path: `${webhookPath}/test`,
    name: 'testWebhook',
    summary: 'Send a webhook an event of the type `webhook.tested`, whatever it wants to be sent',
    scope: 'webhooks:write',
    params: oneWebhook,
    answer: answered,
    status: 202,
    async handle(call) {
      const { services, actor, at } = call
      const { workspace, webhook } = await getChangeableWebhook(call)
      const { id, name, enabled } = webhook
      if (!enabled) throw new Problem('conflict', { detail: 'This webhook is off: nothing is sent to it.' })
      const happening = { type: 'webhook.tested', data: { by: byOf(actor), name, webhook: id } } as const
      const made = await services.db.transaction().execute(async (trx) => {
        const event = await audit.recordOne(trx, at, { workspaceId: workspace.id }, happening)
        return deliveries.add(trx, at, webhook, event)
      })
      return { body: deliveryOf({ ...made, type: happening.type }) }
    },
  }),
  listRoute({
    path: within,
    name: 'listWebhookDeliveries',
    summary: 'List what is on its way to a webhook, was delivered in the last week, or given up in the last month',
    scope: 'webhooks:read',
    params: oneWebhook,
    filters: { state: states.optional() },
    items: answered,
    async open(call) {
      const { webhook } = await getWebhook(call)
      const read = (page: Page) => deliveries.list(call.services.db, webhook, call.query.state, page)
      const position = ({ eventId }: deliveries.Delivery) => [eventId]
      return { list: `webhook-deliveries:${webhook.id}`, read, position, item: deliveryOf }
    },
  }),
  route({
    method: 'POST',
    path: `${within}/{event}/replay`,
    name: 'replayWebhookDelivery',
    summary: 'Send an event again, with all its tries',
    scope: 'webhooks:write',
    params: oneDelivery,
    answer: answered.omit({ type: true }),
    status: 202,
    async handle(call) {
      const { services, at, params } = call
      const known = await deliveries.exists(services.db, (await getWebhook(call)).webhook, params.event)
      if (!known) throw new Problem('not_found')
      const { webhook } = await getChangeableWebhook(call)
      const delivery = await deliveries.replay(services.db, at, webhook, params.event)
      if (!delivery) throw new Problem('not_found')
      const { type: _type, ...body } = deliveryOf({ ...delivery, type: null })
      return { body }
    },
  }),
  route({
    method: 'POST',
    path: `${webhookPath}/replay`,
    name: 'replayDeadWebhookDeliveries',
    summary: 'Send every event again that was given up',
    scope: 'webhooks:write',
    params: oneWebhook,
    answer: z.strictObject({ replayed: z.int().min(0).describe('How many there were') }),
    status: 202,
    async handle(call) {
      const { services, at } = call
      const { webhook } = await getChangeableWebhook(call)
      return { body: { replayed: await deliveries.replayDead(services.db, at, webhook) } }
    },
  }),
]

const deliveryOf = ({
  eventId,
  type,
  state,
  attempts,
  dueAt,
  triedAt,
  status,
  why,
}: deliveries.Delivery & { type: string | null }): z.input<typeof answered> => ({
  ...{ event_id: eventId, type, state, attempts },
  due_at: state === 'pending' ? dueAt.toISOString() : null,
  tried_at: triedAt?.toISOString() ?? null,
  ...{ status, why: why as z.input<typeof answered>['why'] },
})
