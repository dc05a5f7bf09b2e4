/** Gives a place back. */
export type Release = () => void

/** Places that are given in turn: to each key as many as to the others, however many of its runs wait. */
export interface Turns {
  /** A place, once it is one's turn; undefined where too many wait already. */
  take(key: string): Promise<Release | undefined>
  /** Sends everybody who waits away. */
  close(): void
}

interface Waiting {
  key: string
  go(release: Release | undefined): void
}

/** `atOnce` places, at most `perKey` of them for one key, and room for `room` who wait. */
export const openTurns = ({ atOnce, perKey, room }: { atOnce: number; perKey: number; room: number }): Turns => {
  const running = new Map<string, number>()
  let waiting: Waiting[] = []
  let taken = 0
  const runningOf = (key: string) => running.get(key) ?? 0
  const settle = () => {
    while (taken < atOnce) {
      const next = leastServed(waiting, runningOf)
      if (!next || runningOf(next.key) >= perKey) return
      leave(next)
      next.go(occupy(next.key))
    }
  }
  const leave = (one: Waiting) => {
    waiting = waiting.filter((other) => other !== one)
  }
  const occupy = (key: string): Release => {
    count(running, key, 1)
    taken += 1
    let given = false
    return () => {
      if (given) return
      given = true
      count(running, key, -1)
      taken -= 1
      settle()
    }
  }
  return {
    take: (key) =>
      new Promise((go) => {
        waiting.push({ key, go })
        settle()
        if (waiting.length <= room) return
        const last = lastOfMost(waiting)
        leave(last)
        last.go(undefined)
      }),
    close: () => {
      for (const { go } of waiting.splice(0)) go(undefined)
    },
  }
}

const count = (counts: Map<string, number>, key: string, by: number): void => {
  const sum = (counts.get(key) ?? 0) + by
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}

/** Whoever has waited longest, among those whose key has the fewest places. */
const leastServed = (waiting: Waiting[], runningOf: (key: string) => number): Waiting | undefined => {
  let best: Waiting | undefined
  for (const one of waiting) if (!best || runningOf(one.key) < runningOf(best.key)) best = one
  return best
}

/** The newest of the key that has the most waiting, so that nobody is kept out by another's crowd. */
const lastOfMost = (waiting: Waiting[]): Waiting => {
  const counts = new Map<string, number>()
  for (const { key } of waiting) count(counts, key, 1)
  const most = Math.max(...counts.values())
  return waiting.findLast(({ key }) => counts.get(key) === most) as Waiting
}
