import type { Child } from './child.ts'

/** Children that are started before they are needed, so that a run need not wait for one. */
export interface Nursery {
  /** One that nobody has used, and nobody will again; undefined where none can be started. */
  take(): Promise<Child | undefined>
  /** Starts as many as are to be kept ready. */
  refill(): void
  /** Ends all of them, also those that were taken. */
  close(): Promise<void>
}

/** Keeps `warm` children ready, from the first use until nobody has asked for one for `idleMs`. */
export const openNursery = (
  start: () => Promise<Child>,
  { warm, idleMs }: { warm: number; idleMs: number },
): Nursery => {
  const living = new Set<Child>()
  let ready: Promise<Child>[] = []
  let idle: NodeJS.Timeout | undefined
  let closed = false
  const grow = async () => {
    const child = await start()
    living.add(child)
    child.gone.then(() => living.delete(child))
    if (closed) child.kill()
    return child
  }
  const rest = () => {
    for (const one of ready.splice(0)) one.then((child) => child.kill())
  }
  const touch = () => {
    clearTimeout(idle)
    idle = setTimeout(rest, idleMs).unref()
  }
  return {
    take: async () => {
      touch()
      // One that waited may have ended meanwhile, so another one is tried.
      for (let tries = 0; tries <= warm; tries += 1) {
        const child = await (ready.shift() ?? grow())
        child.hold()
        if ((await child.ready) && child.lives()) return child
      }
      return undefined
    },
    refill: () => {
      if (closed) return
      while (ready.length < warm) ready.push(grow())
      touch()
    },
    close: async () => {
      closed = true
      clearTimeout(idle)
      await Promise.all(ready)
      ready = []
      for (const child of living) {
        child.hold()
        child.kill()
      }
      await Promise.all([...living].map(({ gone }) => gone))
    },
  }
}
