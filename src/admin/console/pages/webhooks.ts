import type { Json } from '../../openapi.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { type FactGroup, pagesOf, type Section } from '../section.ts'
import { type SecretHolders, secretPages, showSecret } from './secrets.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const one = '/workspaces/{workspace}/webhooks/{id}'

const reasons: Record<string, string> = {
  failing: 'Switched off by itself: nothing got through for three days',
  gone: 'Switched off by itself: the other side said that it is gone',
}

const stateOf = ({ enabled, disabled_why: why, failing_since: failing }: Json): string => {
  if (!enabled) return why ? 'given up' : 'off'
  return failing ? 'failing' : 'on'
}

const webhooks: Section = {
  path: '/workspaces/{workspace}/webhooks',
  param: 'id',
  one: 'webhook',
  many: 'Webhooks',
  about:
    'A webhook is an address of yours that is sent events as they happen: those of the workspace, and those of its pools.',
  routes: {
    list: 'listWebhooks',
    get: 'getWebhook',
    create: 'createWebhook',
    update: 'updateWebhook',
    remove: 'deleteWebhook',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Address', text: ({ url }) => String(url), as: 'code' },
    { title: 'Events', text: ({ types }) => (types as string[]).join(' ') },
    { title: 'State', text: stateOf, as: 'badge' },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  wording: () => ({
    labels: { url: 'Address', types: 'Events', enabled: 'Send events' },
    hints: { types: 'Types such as user.created, families such as user.*, or * for all.' },
  }),
  facts: (item) => factsOf(item),
  detail: { view: 'console/webhook', load: (visit, item) => detailOf(visit, item) },
  made: (visit, told) => showSecret(secrets, visit, told, 'The webhook was made.'),
  loss: ({ name }) => `Nothing is sent to ${name} any more, and what waits for it is not sent either.`,
}

const factsOf = (item: Json): FactGroup[] => [
  {
    title: null,
    facts: [
      { name: 'Address', value: String(item.url), as: 'code' },
      { name: 'Events', value: (item.types as string[]).join('\n') },
      { name: 'State', value: stateOf(item), as: 'badge' },
      ...(item.disabled_why ? [{ name: 'Why', value: reasons[String(item.disabled_why)] ?? '' }] : []),
      ...(item.failing_since
        ? [{ name: 'Nothing got through since', value: String(item.failing_since), as: 'time' as const }]
        : []),
      { name: 'Made', value: String(item.created_at), as: 'time' },
      { name: 'Changed', value: String(item.updated_at), as: 'time' },
    ],
  },
]

const webhookHref = (visit: Visit, id: unknown = visit.params.id): string =>
  `${workspaceHref(visit)}/webhooks/${encodeURIComponent(String(id))}`

const failures: Record<string, string> = {
  refused: 'refused',
  no_answer: 'no answer',
  event_gone: 'the event is no more',
}

const detailOf = async (visit: Visit, webhook: Json): Promise<Json> => {
  const here = webhookHref(visit, webhook.id)
  const state = ['pending', 'delivered', 'dead'].find((name) => name === visit.query.state)
  const { cursor } = visit.query
  const query = { limit: 50, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) }
  const { body } = await call(visit, 'listWebhookDeliveries', { query })
  const next =
    body.next_cursor &&
    `${here}?${new URLSearchParams({ ...(state ? { state } : {}), cursor: String(body.next_cursor) })}`
  const changes = allows(visit, 'replayWebhookDelivery')
  return {
    filters: [undefined, 'pending', 'delivered', 'dead'].map((name) => ({
      title: name === undefined ? 'All' : name === 'dead' ? 'Dead letters' : name[0]?.toUpperCase() + name.slice(1),
      href: name === undefined ? here : `${here}?state=${name}`,
      here: name === state,
    })),
    deliveries: (body.items as Json[]).map((delivery) => rowOf(delivery, here, changes)),
    first: cursor ? here : null,
    next: next || null,
    test: changes && webhook.enabled ? `${here}/~test` : null,
    replayDead: changes && state === 'dead' && (body.items as Json[]).length > 0 ? `${here}/~replay` : null,
    rotate: allows(visit, 'rotateWebhookSecret') ? `${here}/~rotate` : null,
    endOld: allows(visit, 'endOldWebhookSecret') && webhook.old_secret_valid ? `${here}/~end-old` : null,
    oldValid: webhook.old_secret_valid,
  }
}

const rowOf = (delivery: Json, here: string, changes: boolean) => {
  const { event_id: event, type, state, attempts, due_at: due, tried_at: tried, status, why } = delivery
  const said = [status, why && failures[String(why)]].filter(Boolean).join(', ')
  return {
    type: type ?? 'gone',
    event,
    ...{ state, attempts, due, tried, said },
    replay: changes && state !== 'pending' ? `${here}/deliveries/${event}/~replay` : null,
  }
}

const secrets: SecretHolders = {
  path: one,
  among: { title: 'Webhooks', segment: 'webhooks' },
  facts: ({ name, secret }) => ({ name, secret, id: null }),
  href: (visit, body) => webhookHref(visit, body?.id),
  read: 'getWebhook',
  rotate: {
    route: 'rotateWebhookSecret',
    text: 'A new secret is made and shown once. Both sign until you end the one in use now, or rotate again: change the other side over in between.',
    done: 'There is a new secret. Both sign until you end the old one.',
  },
  endOld: { route: 'endOldWebhookSecret', text: 'Only the newest secret signs from now on.' },
}

/** Does something, and leads back to the webhook with what came of it. */
const doing =
  (route: string, notice: (body: Json) => string) =>
  async (visit: Visit): Promise<Outcome> => {
    const told = await call(visit, route).catch((error) => faultsFor(error).alert)
    return { to: webhookHref(visit), notice: typeof told === 'string' ? told : notice(told.body) }
  }

export const webhookPages: ConsolePage[] = [
  ...pagesOf(webhooks),
  ...secretPages(secrets),
  {
    method: 'POST',
    path: `${one}/~test`,
    handle: doing('testWebhook', () => 'A trial is on its way: load the page again in a moment.'),
  },
  {
    method: 'POST',
    path: `${one}/~replay`,
    handle: doing('replayDeadWebhookDeliveries', ({ replayed }) => `On their way again: ${replayed}.`),
  },
  {
    method: 'POST',
    path: `${one}/deliveries/{event}/~replay`,
    handle: doing('replayWebhookDelivery', () => 'The event is on its way again.'),
  },
]
