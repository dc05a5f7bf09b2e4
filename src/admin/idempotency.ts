import { Problem } from '../platform/problem.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Actor } from './access.ts'
import type { Answer, Route } from './route.ts'

const keptHours = 24

interface Asked {
  key: string
  route: Route
  request: unknown
}

/**
 * Runs a request once for its Idempotency-Key and actor; asked again within a day, it gets the same answer. Throws
 * `conflict` while the first is still under way, and `unprocessable` where the key was used for another request.
 */
export const once = async (
  { db, clock, keyring }: Services,
  actor: Actor,
  { key, route, request }: Asked,
  run: () => Promise<Answer<unknown>>,
): Promise<Answer<unknown>> => {
  if (key.length > 255)
    throw new Problem('invalid_request', { detail: 'An Idempotency-Key has at most 255 characters.' })
  const who = `${actor.kind}:${actor.id}`
  const requestHash = sha256(JSON.stringify([route.name, request]))
  const expiresAt = new Date(clock.now().getTime() + keptHours * 3_600_000)
  const context = `idempotency:${who}`
  const claimed = await db
    .insertInto('idempotency')
    .values({ actor: who, key, requestHash, expiresAt })
    .onConflict((conflict) => conflict.doNothing())
    .returning('key')
    .executeTakeFirst()
  const row = () => db.selectFrom('idempotency').selectAll().where('actor', '=', who).where('key', '=', key)
  if (!claimed) {
    const known = await row().executeTakeFirst()
    if (known && known.requestHash !== requestHash) {
      throw new Problem('unprocessable', { detail: 'This Idempotency-Key was used for another request.' })
    }
    if (!known?.answerSealed)
      throw new Problem('conflict', { detail: 'The first request with this key is still under way.' })
    return JSON.parse(keyring.open(known.answerSealed, context)) as Answer<unknown>
  }
  try {
    const answer = await run()
    // Sealed, for an answer may hold a secret that is shown only once.
    const answerSealed = keyring.seal(JSON.stringify(answer), context)
    await db
      .updateTable('idempotency')
      .set({ status: route.status, answerSealed })
      .where('actor', '=', who)
      .where('key', '=', key)
      .execute()
    return answer
  } catch (error) {
    await db.deleteFrom('idempotency').where('actor', '=', who).where('key', '=', key).execute()
    throw error
  }
}
