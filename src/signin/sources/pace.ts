import { LRUCache } from 'lru-cache'

/** How many of the latest calls are looked at; how long an answer may be held back, and what is guessed before any. */
const kept = 100
const mostMs = 3_000
const guessMs = 250

/** How long a source takes for one kind of question, as this node has seen it lately; in milliseconds. */
export interface Pace {
  saw(ms: number): void
  /** Nineteen of twenty calls took no longer; a guess until there was one. */
  usual(): number
}

/** Opens the memory of one source's calls. It is bounded, and lives as long as the process. */
const openPace = (): Pace => {
  const times: number[] = []
  return {
    saw: (ms) => {
      times.push(Math.min(ms, mostMs))
      if (times.length > kept) times.shift()
    },
    usual: () => {
      if (times.length === 0) return guessMs
      const sorted = times.toSorted((one, other) => one - other)
      return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.95))] ?? guessMs
    },
  }
}

const paces = new LRUCache<string, Pace>({ max: 2_000 })

/** The pace of a pool's source for `check` or `find`. */
export const paceOf = (poolId: string, call: 'check' | 'find'): Pace => {
  const key = `${poolId} ${call}`
  const pace = paces.get(key) ?? openPace()
  paces.set(key, pace)
  return pace
}

/**
 * Does something that may ask the source, and answers no sooner than an asked source would: whoever is known here, whom
 * nobody knows, and who is known to the source alone all wait as long (security.md A16, A17). `quick` answers need not.
 */
export const paced = async <Result>(
  pace: Pace,
  work: () => Promise<Result>,
  quick: (result: Result) => boolean = () => false,
): Promise<Result> => {
  const until = performance.now() + pace.usual()
  const result = await work()
  if (!quick(result)) await waitUntil(until)
  return result
}

// A timer is late by up to a millisecond, and differently so: the last bit of the wait is cut into turns of the loop.
const waitUntil = async (until: number): Promise<void> => {
  const left = until - performance.now()
  if (left <= 0) return
  await new Promise((resolve) => setTimeout(resolve, left))
}
