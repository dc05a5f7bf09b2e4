import { LRUCache } from 'lru-cache'

/** Stops asking for what failed again and again, one key apart from the other. */
export interface Breaker {
  /** Whether the key may try. */
  closed(key: string): boolean
  failed(key: string): void
  succeeded(key: string): void
}

/** Opens after so many failures in a row for so many milliseconds; then the next failure opens it again. */
export const openBreaker = ({ failures, restMs }: { failures: number; restMs: number }, now: () => number): Breaker => {
  const counted = new LRUCache<string, { failures: number; until: number }>({ max: 10_000 })
  return {
    closed: (key) => (counted.get(key)?.until ?? 0) <= now(),
    failed: (key) => {
      const sum = (counted.get(key)?.failures ?? 0) + 1
      counted.set(key, { failures: sum, until: sum >= failures ? now() + restMs : 0 })
    },
    succeeded: (key) => {
      counted.delete(key)
    },
  }
}
