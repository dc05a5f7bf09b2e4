import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after } from 'node:test'
import { openFetch } from '../fetch.ts'
import { openLog } from '../log.ts'
import { type Outcome, openSandbox, type Run } from '../sandbox.ts'
import { type Child, startChild } from './child.ts'

/** A sandbox for a test file, which may reach servers of this machine; closed with the file. */
export const testSandbox = (options: Partial<Parameters<typeof openSandbox>[0]> = {}) => {
  const children: Child[] = []
  const lines: string[] = []
  const sandbox = openSandbox({
    fetch: openFetch({ allow: ['127.0.0.0/8'] }),
    log: openLog({ level: 'debug', destination: { write: (line) => lines.push(line) } }),
    start: (confinement) => {
      const child = startChild(confinement)
      children.push(child)
      return child
    },
    ...options,
  })
  after(sandbox.close)
  return {
    ...sandbox,
    children,
    lines,
    /** Runs a script whose function is called `f`. */
    f: (code: string, more: Partial<Run> = {}): Promise<Outcome> =>
      sandbox.run({ key: `key ${children.length}`, code, call: 'f', input: {}, ...more }),
    /** Waits until those that are kept ready are. */
    warm: async () => {
      // Children that wait keep no process from ending, not even a test's.
      const awake = setInterval(() => {}, 1_000)
      await Promise.all(children.slice(-2).map(({ ready }) => ready))
      clearInterval(awake)
    },
  }
}

/** A server of this machine, closed with the test file. */
export const testServer = async (answer: RequestListener) => {
  const seen: IncomingMessage[] = []
  const server = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Hooks of a file run once nothing else keeps its process alive.
  server.unref()
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}
