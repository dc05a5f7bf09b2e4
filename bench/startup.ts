import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { end, heap, programs, rssOf, spawnOnCore } from './processes.ts'

/** How soon the program answers on a database that is there, in milliseconds, and its bytes when nobody comes. */
export interface Startup {
  ready: number
  idle: number
}

/** Starts the program several times; answers the median. The first start fills Node's cache of compiled code. */
export const measureStartup = async (env: Record<string, string>, port: number, times: number): Promise<Startup> => {
  const starts: Startup[] = []
  for (let n = 0; n <= times; n += 1) starts.push(await startOnce(env, port))
  const counted = starts.slice(1)
  return { ready: median(counted.map(({ ready }) => ready)), idle: median(counted.map(({ idle }) => idle)) }
}

const startOnce = async (env: Record<string, string>, port: number): Promise<Startup> => {
  const began = performance.now()
  const child = spawnOnCore([heap, fileURLToPath(programs.main)], {
    ...env,
    PORT: String(port),
    HOST: '127.0.0.1',
  })
  try {
    while (!(await isReady(port))) {
      if (child.exitCode !== null || performance.now() - began > 20_000)
        throw new Error('The program does not become ready.')
      await setTimeout(4)
    }
    const ready = performance.now() - began
    await setTimeout(700)
    return { ready, idle: rssOf(child.pid ?? 0) }
  } finally {
    await end(child)
  }
}

const isReady = async (port: number): Promise<boolean> => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
  await answer?.arrayBuffer()
  return answer?.status === 200
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
