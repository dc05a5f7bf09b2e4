import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from './config.ts'
import { keepPace, type Pace, usualPace } from './platform/http/pace.ts'

/** The port that the program answers at. */
export interface Door {
  publicUrl: string
  answer(listener: RequestListener): void
  drain(): Promise<void>
}

/** Listens at once, so that a taken port is known before anything is opened, and answers 503 until there is more. */
export const openDoor = async (
  { port, host, publicUrl }: Pick<Config, 'port' | 'host' | 'publicUrl'>,
  pace: Pace = usualPace,
): Promise<Door> => {
  let listener: RequestListener = (_request, response) =>
    response.writeHead(503, { 'Retry-After': '1' }).end('starting')
  // A client's `state` may be long, and comes in the address.
  const limits = { ...timesOf(pace), maxHeaderSize: 32 * 1024 }
  const server = createServer(
    limits,
    keepPace((request, response) => listener(request, response), pace),
  )
  server.keepAliveTimeout = 65_000
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  const chosen = (server.address() as AddressInfo).port
  return {
    publicUrl: port === 0 ? publicUrl.replace(/:0$/, `:${chosen}`) : publicUrl,
    answer: (next) => {
      listener = next
    },
    drain: () => drain(server),
  }
}

// Node has one time for a whole request, whatever it is: bodies are left to `keepPace`.
const timesOf = ({ headers }: Pace) => ({
  requestTimeout: 0,
  headersTimeout: headers,
  connectionsCheckingInterval: Math.ceil(headers / 4),
})

const drain = async (server: Server): Promise<void> => {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  // A connection that is answered now falls idle after this, and its client would keep it for a minute.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const late = setTimeout(() => server.closeAllConnections(), 10_000)
  await closed
  clearTimeout(late)
  clearInterval(idle)
}
