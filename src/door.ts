import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from './config.ts'

/** The port that the program answers at. */
export interface Door {
  publicUrl: string
  answer(listener: RequestListener): void
  drain(): Promise<void>
}

/** Listens at once, so that a taken port is known before anything is opened, and answers 503 until there is more. */
export const openDoor = async ({ port, host, publicUrl }: Config): Promise<Door> => {
  let listener: RequestListener = (_request, response) =>
    response.writeHead(503, { 'Retry-After': '1' }).end('starting')
  // A client's `state` may be long, and comes in the address.
  const limits = { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 32 * 1024 }
  const server = createServer(limits, (request, response) => listener(request, response))
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
