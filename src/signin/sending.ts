import type { Pool } from '../directory/pools.ts'
import { addressKey, take } from './limits.ts'
import type { Scene } from './scene.ts'

/**
 * Counts one more message to somebody, over all features, and says whether it may go out. One sender uses up only their
 * own share of what a recipient may get, so that nobody is kept from their codes by a stranger (security.md 19, 29).
 */
export const maySend = async ({ services, workspace, ip }: Scene, pool: Pool, recipient: string): Promise<boolean> => {
  const { db, clock, keyring } = services
  const sender = addressKey(ip)
  const who = keyring.hmac('recipient', recipient)
  const own = await take(db, clock.now(), [
    { kind: 'sender', scope: workspace.id, who: sender },
    { kind: 'sender to recipient', scope: pool.id, who: `${who}:${sender}` },
  ])
  return own && take(db, clock.now(), [{ kind: 'recipient', scope: pool.id, who }])
}
