import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Actor } from './access.ts'
import type { Answer, Route } from './route.ts'

const keptMs = 24 * 3_600_000
const leaseMs = 60_000

interface Asked {
  key: string
  route: Route
  request: unknown
}

/** Whose key it is, and which. */
interface Claim {
  actor: string
  key: string
}

/**
 * Runs a request once for its Idempotency-Key and actor; asked again within a day, it gets the same answer. A key is held
 * for a minute at a time while its request runs, so that one which died with its node gives it back. Throws `conflict`
 * while the first is still under way, and `unprocessable` where the key was used for another request.
 */
export const once = async (
  { db, clock, keyring, log }: Services,
  { kind, id }: Actor,
  { key, route, request }: Asked,
  run: () => Promise<Answer<unknown>>,
): Promise<Answer<unknown>> => {
  if (key.length > 255)
    throw new Problem('invalid_request', { detail: 'An Idempotency-Key has at most 255 characters.' })
  const claim = { actor: `${kind}:${id}`, key }
  const context = `idempotency:${claim.actor}`
  const requestHash = sha256(JSON.stringify([route.name, request]))
  const inMs = (ms: number) => new Date(clock.now().getTime() + ms)
  if (!(await take(db, claim, requestHash, clock.now(), inMs(leaseMs))))
    return JSON.parse(keyring.open(await answerOf(db, claim, requestHash), context)) as Answer<unknown>
  const holding = setInterval(() => {
    hold(db, claim, inMs(leaseMs)).catch((error) => log.warn({ err: error }, 'an idempotency key could not be held'))
  }, leaseMs / 3)
  try {
    const answer = await run()
    // Sealed, for an answer may hold a secret that is shown only once.
    const answerSealed = keyring.seal(JSON.stringify(answer), context)
    await ours(db, claim)
      .set({ status: route.status, answerSealed, expiresAt: inMs(keptMs) })
      .execute()
    return answer
  } catch (error) {
    await db.deleteFrom('idempotency').where('actor', '=', claim.actor).where('key', '=', key).execute()
    throw error
  } finally {
    clearInterval(holding)
  }
}

/** Takes a key that is free, or was held by a request that died. One statement: of twenty at once, one gets it. */
const take = async (db: Db, claim: Claim, requestHash: string, at: Date, until: Date): Promise<boolean> => {
  const fresh = { requestHash, expiresAt: until, status: null, answerSealed: null }
  const taken = await db
    .insertInto('idempotency')
    .values({ ...claim, ...fresh })
    .onConflict((conflict) =>
      conflict.columns(['actor', 'key']).doUpdateSet(fresh).where('idempotency.expiresAt', '<=', at),
    )
    .returning(sql<number>`1`.as('one'))
    .executeTakeFirst()
  return taken !== undefined
}

const hold = async (db: Db, claim: Claim, until: Date): Promise<void> => {
  await ours(db, claim).set({ expiresAt: until }).where('answerSealed', 'is', null).execute()
}

const answerOf = async (db: Db, { actor, key }: Claim, requestHash: string): Promise<string> => {
  const known = await db
    .selectFrom('idempotency')
    .select(['requestHash', 'answerSealed'])
    .where('actor', '=', actor)
    .where('key', '=', key)
    .executeTakeFirst()
  if (known && known.requestHash !== requestHash)
    throw new Problem('unprocessable', { detail: 'This Idempotency-Key was used for another request.' })
  if (!known?.answerSealed)
    throw new Problem('conflict', { detail: 'The first request with this key is still under way.', retryAfter: 1 })
  return known.answerSealed
}

const ours = (db: Db, { actor, key }: Claim) =>
  db.updateTable('idempotency').where('actor', '=', actor).where('key', '=', key)
