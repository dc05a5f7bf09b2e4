import type { Db } from '../db/connect.ts'
import { signWebhook } from '../platform/webhook-signature.ts'
import type { Services } from '../services.ts'
import * as events from './events.ts'
import * as deliveries from './webhook-deliveries.ts'
import * as webhooks from './webhooks.ts'

/** Days without any delivery that got through after which a webhook is switched off. */
const patienceDays = 3
/** The most bytes of a body; an event that is larger is sent without its data. */
const mostBytes = 65_536

type Claimed = Awaited<ReturnType<typeof deliveries.claim>>[number]

type Tools = Pick<Services, 'clock' | 'fetch' | 'keyring' | 'log'>

/** Looks every second for what is due, and sends it. `stop` waits for what is under way. */
export const startCourier = (tools: Tools, db: Db): { stop(): Promise<void> } => {
  const courier = openCourier(tools, db)
  let stopping = false
  const look = async (): Promise<void> => {
    const sent = stopping ? 0 : await courier.round()
    if (sent > 0) await look()
  }
  const timer = setInterval(() => {
    look().catch((error) => tools.log.debug({ err: error }, 'it could not be seen which events are to be sent'))
  }, 1_000).unref()
  return {
    async stop() {
      stopping = true
      clearInterval(timer)
      await courier.settled()
    },
  }
}

interface Courier {
  /** Claims what is due now and sends it; resolves once all of it is settled, with how many there were. */
  round(): Promise<number>
  /** Waits for what is under way. */
  settled(): Promise<void>
}

/** Each webhook is sent to by itself: one that does not answer holds no other up. */
const openCourier = (services: Tools, db: Db): Courier => {
  const busy = new Map<string, Promise<void>>()
  const sendAll = async (webhookId: string, claimed: Claimed[]): Promise<void> => {
    const [first] = claimed
    const webhook = first && (await webhooks.find(db, first.workspaceId, webhookId))
    if (!webhook) return
    const found = await events.findAll(
      db,
      claimed.map(({ eventId }) => eventId),
    )
    await Promise.all(
      claimed.map((one) =>
        deliver(
          services,
          db,
          webhook,
          one,
          found.find(({ id }) => id === one.eventId),
        ),
      ),
    )
  }
  const start = (webhookId: string, claimed: Claimed[]): Promise<void> => {
    const sending = sendAll(webhookId, claimed)
      .catch((error) => services.log.warn({ err: error, webhook: webhookId }, 'events could not be sent'))
      .finally(() => busy.delete(webhookId))
    busy.set(webhookId, sending)
    return sending
  }
  return {
    async round() {
      const claimed = await deliveries.claim(db, services.clock.now(), [...busy.keys()])
      const webhookIds = [...new Set(claimed.map(({ webhookId }) => webhookId))]
      await Promise.all(
        webhookIds.map((id) =>
          start(
            id,
            claimed.filter(({ webhookId }) => webhookId === id),
          ),
        ),
      )
      return claimed.length
    },
    async settled() {
      await Promise.all(busy.values())
    },
  }
}

const deliver = async (
  services: Tools,
  db: Db,
  webhook: webhooks.Webhook,
  claimed: Claimed,
  event: events.EventRecord | undefined,
): Promise<void> => {
  const outcome = event ? await send(services, webhook, event) : missing
  const at = services.clock.now()
  await db.transaction().execute(async (trx) => {
    await deliveries.settle(trx, at, claimed, outcome)
    if (outcome.taken) return deliveries.noteHealth(trx, webhook, null)
    if (!event) return
    await deliveries.noteHealth(trx, webhook, at)
    if (outcome.status === 410) await webhooks.giveUp(trx, at, webhook, 'gone')
    else if (isHopeless(webhook, at)) await webhooks.giveUp(trx, at, webhook, 'failing')
  })
}

const isHopeless = ({ failingSince }: webhooks.Webhook, at: Date): boolean =>
  failingSince !== null && at.getTime() - failingSince.getTime() > patienceDays * 86_400_000

const missing: deliveries.Outcome = { taken: false, status: null, why: 'event_gone' }

/** What came of it says nothing of what is behind the address: an operator may be asking for more than they may know. */
const send = async (
  { clock, fetch, keyring }: Tools,
  webhook: webhooks.Webhook,
  event: events.EventRecord,
): Promise<deliveries.Outcome> => {
  const body = bodyOf(event)
  const signature = signWebhook(webhooks.openSecrets(keyring, webhook), { id: event.id, at: clock.now(), body })
  const headers = { 'content-type': 'application/json', 'user-agent': 'Lido', ...signature }
  try {
    const { status } = await fetch(webhook.url, {
      method: 'POST',
      headers,
      body,
      timeoutMs: 3_000,
      maxBytes: mostBytes,
    })
    return status >= 200 && status < 300 ? { taken: true, status } : { taken: false, status, why: 'refused' }
  } catch {
    return { taken: false, status: null, why: 'no_answer' }
  }
}

/** The body of a message: the event as the API tells of it. */
export const bodyOf = (event: events.EventRecord): string => {
  const { type, at } = event
  const body = (data: object) => JSON.stringify({ type, timestamp: at.toISOString(), data })
  const whole = body(events.tell(event))
  return Buffer.byteLength(whole) <= mostBytes ? whole : body({ ...events.tell(event), data: {}, truncated: true })
}
