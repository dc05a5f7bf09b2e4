import { LRUCache } from 'lru-cache'
import type { EnginePages } from '../oidc/wiring.ts'
import { openBucket } from '../platform/bucket.ts'
import { networkOf } from '../platform/network.ts'
import type { Services } from '../services.ts'
import { addressKey } from '../signin/limits.ts'

/**
 * How many requests somebody may leave here as a client that anybody can be. Each node counts for
 * itself, which costs no statement; a network may leave ten times as many as an address.
 */
export const publicRequests = ({ clock }: Pick<Services, 'clock'>): Pick<EnginePages, 'mayLeave'> => ({
  mayLeave({ ip }, { id, settings: { public_requests_per_minute: most } }) {
    const at = clock.now()
    const network = networkOf(ip)
    return (
      takeFrom(`${id} ${addressKey(ip)}`, most, at) &&
      (network === undefined || takeFrom(`${id} ${network}`, most * 10, at))
    )
  },
})

const takeFrom = (who: string, most: number, at: Date): boolean => {
  const key = `${most} ${who}`
  const isOpen = paces.get(key) ?? openBucket({ rate: most / 60, burst: most })
  paces.set(key, isOpen)
  return isOpen(at)
}

/** Who left some lately; whoever has not for the longest is forgotten first. */
const paces = new LRUCache<string, (at: Date) => boolean>({ max: 20_000 })
