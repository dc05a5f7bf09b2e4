/** Where the program reads the time; no other code calls `Date.now()` for a decision. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }

/** A clock for tests: stands still until it is told to advance, by milliseconds. */
export const fixedClock = (start: Date): Clock & { advance(ms: number): void } => {
  let time = start.getTime()
  return {
    now: () => new Date(time),
    advance: (ms) => {
      time += ms
    },
  }
}
