import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import type { Page } from '../db/page.ts'
import type { Webhook } from './webhooks.ts'

/** An event on its way to a webhook; the two together say which. */
export interface Delivery {
  workspaceId: string
  webhookId: string
  eventId: string
  state: 'pending' | 'delivered' | 'dead'
  /** How often it was tried since it was made or sent again. */
  attempts: number
  dueAt: Date
  triedAt: Date | null
  /** What the other side answered last; null where nothing came. */
  status: number | null
  /** Why the last try failed, in a word. */
  why: string | null
}

type Key = Pick<Delivery, 'workspaceId' | 'webhookId' | 'eventId'>

/** Milliseconds before the second and every later try, a tenth more or less; after the tenth it is a dead letter. */
export const pauses = [5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000]

/** How long a node may take over what it has claimed before others try it too, in milliseconds. */
const leaseMs = 60_000
/** Days that something is kept once it was delivered, or once it was given up. */
const kept = { delivered: 7, dead: 30 }

/**
 * Takes what is due, the longest due first, and nobody else tries it for a minute; where this node dies, it is due again
 * then. A webhook that fails gets one at a time, and each its own share, so that none waits for another. `busy` are left
 * out: the ids of webhooks that this node is sending to.
 */
export const claim = async (
  db: Db,
  at: Date,
  busy: readonly string[],
  batch = 20,
): Promise<Pick<Delivery, 'workspaceId' | 'webhookId' | 'eventId' | 'attempts'>[]> => {
  const { rows } = await sql<Pick<Delivery, 'workspaceId' | 'webhookId' | 'eventId' | 'attempts'>>`
    update webhook_deliveries d set attempts = d.attempts + 1, tried_at = ${at},
      due_at = ${new Date(at.getTime() + leaseMs)}
    from webhooks w cross join lateral (
      select p.event_id from webhook_deliveries p
      where p.workspace_id = w.workspace_id and p.webhook_id = w.id and p.state = 'pending' and p.due_at <= ${at}
      order by p.due_at limit case when w.failing_since is null then ${batch}::int else 1 end
      for update skip locked
    ) due
    where w.enabled and w.id <> all(${busy}::uuid[])
      and d.workspace_id = w.workspace_id and d.webhook_id = w.id and d.event_id = due.event_id
    returning d.workspace_id, d.webhook_id, d.event_id, d.attempts`.execute(db)
  return rows
}

/** How a try ended. */
export type Outcome = { taken: true; status: number } | { taken: false; status: number | null; why: string }

/** Notes how a try ended, unless another has been claimed since. Answers whether it was the last. */
export const settle = async (
  db: Db,
  at: Date,
  { attempts, ...key }: Key & Pick<Delivery, 'attempts'>,
  outcome: Outcome,
  jitter = Math.random(),
): Promise<Delivery['state']> => {
  const pause = pauses[attempts - 1]
  const state = outcome.taken ? 'delivered' : pause === undefined ? 'dead' : 'pending'
  const after = (ms: number) => new Date(at.getTime() + ms)
  await db
    .updateTable('webhookDeliveries')
    .set({ state, status: outcome.status, why: outcome.taken ? null : outcome.why })
    .$if(state === 'pending', (query) => query.set({ dueAt: after((pause ?? 0) * (0.9 + jitter / 5)) }))
    .$if(state !== 'pending', (query) =>
      query.set({ expiresAt: after(kept[state === 'dead' ? 'dead' : 'delivered'] * 86_400_000) }),
    )
    .where(isOne(key))
    .where('state', '=', 'pending')
    .where('attempts', '=', attempts)
    .execute()
  return state
}

/** Notes that something got through, or since when nothing has. */
export const noteHealth = async (db: Db, { workspaceId, id }: Webhook, failingSince: Date | null): Promise<void> => {
  await db
    .updateTable('webhooks')
    .set({ failingSince })
    .where('workspaceId', '=', workspaceId)
    .where('id', '=', id)
    .where('failingSince', failingSince ? 'is' : 'is not', null)
    .execute()
}

/** Puts an event on its way to one webhook, whatever it wants to be sent. */
export const add = async (db: Db, at: Date, webhook: Webhook, eventId: string): Promise<Delivery> => {
  const expiresAt = new Date(at.getTime() + 40 * 86_400_000)
  return db
    .insertInto('webhookDeliveries')
    .values({ workspaceId: webhook.workspaceId, webhookId: webhook.id, eventId, dueAt: at, expiresAt })
    .returningAll()
    .executeTakeFirstOrThrow()
}

export const exists = async (db: Db, { workspaceId, id }: Webhook, eventId: string): Promise<boolean> =>
  (await db
    .selectFrom('webhookDeliveries')
    .select('eventId')
    .where(isOne({ workspaceId, webhookId: id, eventId }))
    .executeTakeFirst()) !== undefined

/** Sends one again, with all its tries; undefined where there is no such delivery. */
export const replay = (db: Db, at: Date, webhook: Webhook, eventId: string): Promise<Delivery | undefined> =>
  again(db, at)
    .where(isOne({ workspaceId: webhook.workspaceId, webhookId: webhook.id, eventId }))
    .returningAll()
    .executeTakeFirst()

/** The same with every dead letter. Answers how many there were. */
export const replayDead = async (db: Db, at: Date, webhook: Webhook): Promise<number> => {
  const { numUpdatedRows } = await again(db, at)
    .where('workspaceId', '=', webhook.workspaceId)
    .where('webhookId', '=', webhook.id)
    .where('state', '=', 'dead')
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

const again = (db: Db, at: Date) =>
  db
    .updateTable('webhookDeliveries')
    .set({ state: 'pending', attempts: 0, dueAt: at, expiresAt: new Date(at.getTime() + 40 * 86_400_000) })

const isOne = ({ workspaceId, webhookId, eventId }: Key) =>
  sql<boolean>`(workspace_id = ${workspaceId} and webhook_id = ${webhookId} and event_id = ${eventId})`

/** Deliveries of a webhook with the types of their events, the newest event first, from the one before `after`. */
export const list = (
  db: Db,
  { workspaceId, id }: Webhook,
  state: Delivery['state'] | undefined,
  { limit, after }: Page,
): Promise<(Delivery & { type: string | null })[]> =>
  db
    .selectFrom('webhookDeliveries')
    .leftJoin('events', 'events.id', 'webhookDeliveries.eventId')
    .selectAll('webhookDeliveries')
    .select('events.type')
    .where('webhookDeliveries.workspaceId', '=', workspaceId)
    .where('webhookId', '=', id)
    .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'dead'))
    .$if(after !== undefined, (query) => query.where('eventId', '<', after ?? ''))
    .orderBy('eventId', 'desc')
    .limit(limit)
    .execute()
