import { setTimeout as sleep } from 'node:timers/promises'
import { openFetch } from '../src/platform/fetch.ts'
import { openLog } from '../src/platform/log.ts'
import { type Child, startChild } from '../src/platform/sandbox/child.ts'
import { openSandbox } from '../src/platform/sandbox.ts'
import { rssOf } from './processes.ts'

/** What a script costs; milliseconds, and bytes of a process that waits. */
export interface SandboxFound {
  /** The first run, with the start of its process. */
  cold: number[]
  /** A run for which a process waits, from the question to the answer. */
  warm: number[]
  /** Runs a second, as many at a time as there are places. */
  perSecond: number
  rss: number
}

const code = "const f = async ({ name }) => ({ greeting: 'Hello, ' + (await name) })"

/** Measures the sandbox alone, in this process and its children. */
export const measureSandbox = async ({ starts, runs }: { starts: number; runs: number }): Promise<SandboxFound> => {
  const cold: number[] = []
  for (let n = 0; n < starts; n += 1) {
    const { run, close } = open()
    cold.push(await run())
    await close()
  }
  const { run, close, settle, rss } = open()
  await run()
  const warm: number[] = []
  for (let n = 0; n < runs; n += 1) {
    await settle()
    warm.push(await run())
  }
  await settle()
  const waiting = rss()
  const began = performance.now()
  await Promise.all(Array.from({ length: 20 }, run))
  const perSecond = 20_000 / (performance.now() - began)
  await close()
  return { cold: sorted(cold), warm: sorted(warm), perSecond, rss: waiting }
}

const sorted = (figures: number[]): number[] => figures.toSorted((a, b) => a - b)

const open = () => {
  const children: Child[] = []
  const sandbox = openSandbox({
    fetch: openFetch({ allow: [] }),
    log: openLog({ level: 'silent' }),
    start: (confinement) => {
      const child = startChild(confinement)
      children.push(child)
      return child
    },
  })
  return {
    close: sandbox.close,
    /** Milliseconds until the answer, which has to be right. */
    run: async () => {
      const began = performance.now()
      const outcome = await sandbox.run({ key: 'bench', code, call: 'f', input: { name: 'Ada' } })
      if (!outcome.ok) throw new Error(`A script failed: ${outcome.why}, ${outcome.detail}`)
      return performance.now() - began
    },
    /** Waits until the next processes are ready. */
    settle: async () => {
      await sleep(50)
      for (const child of children.filter((one) => one.lives())) await child.ready
    },
    rss: () => {
      const { pid = 0 } = children.findLast((child) => child.lives()) ?? {}
      return rssOf(pid)
    },
  }
}
