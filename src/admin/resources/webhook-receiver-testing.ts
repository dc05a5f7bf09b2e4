import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'

interface Message {
  url: string
  headers: IncomingHttpHeaders
  body: string
}

interface Reply {
  status: number
  headers?: Record<string, string>
  afterMs?: number
}

/** The other side of a webhook. */
export interface Receiver {
  url: string
  /** All that has come. */
  taken: Message[]
  answer(message: Message): Reply
  /** Resolves once so many messages have come. */
  wait(count: number): Promise<Message[]>
  /** Resolves once something is so. */
  settled(isSo: () => Promise<boolean>): Promise<void>
  /** Waits as long as anything that is due would take to come. */
  quiet(): Promise<void>
  close(): Promise<void>
}

/** Opens one on an address of loopback. */
export const openReceiver = async (host = '127.0.0.1'): Promise<Receiver> => {
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const message = {
      url: request.url ?? '',
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    }
    receiver.taken.push(message)
    const { status, headers = {}, afterMs = 0 } = receiver.answer(message)
    if (afterMs > 0) await setTimeout(afterMs, undefined, { ref: false })
    response.writeHead(status, headers).end()
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const settled = async (isSo: () => Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + 15_000
    while (!(await isSo())) {
      if (Date.now() > deadline) throw new Error('It did not become so in 15 seconds')
      await setTimeout(30)
    }
  }
  const receiver: Receiver = {
    url: `http://${host}:${port}/`,
    taken: [],
    answer: () => ({ status: 204 }),
    settled,
    async wait(count) {
      await settled(async () => receiver.taken.length >= count)
      return receiver.taken
    },
    quiet: () => setTimeout(2_200),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return receiver
}
