import { connect, createServer, type Socket } from 'node:net'

/** What came back over a bare connection. */
export interface Reply {
  status: number
  /** Names in lower case; what came more than once, joined by newlines. */
  headers: Record<string, string>
  body: string
}

/** Sends bytes as they are, as no well-behaved client would, and reads until the server closes. */
export const speak = async (url: string, request: string | Buffer): Promise<Reply> => {
  const { port } = new URL(url)
  const chunks: Buffer[] = []
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => socket.write(request))
    socket.setTimeout(5000, () => socket.destroy(new Error('nothing came back')))
    socket.on('data', (chunk) => chunks.push(chunk))
    // A server that refuses a long body closes while it is still being sent.
    socket.on('error', (error) => (chunks.length > 0 ? resolve() : reject(error)))
    socket.on('close', () => resolve())
  })
  return read(Buffer.concat(chunks).toString('latin1'))
}

/** A request as text, with a body's length where there is a body; the headers are sent as they are. */
export const requestText = (line: string, headers: [name: string, value: string][], body = ''): string =>
  [
    `${line} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(body ? [`Content-Length: ${Buffer.byteLength(body, 'latin1')}`] : []),
    'Connection: close',
    '',
    body,
  ].join('\r\n')

const read = (text: string): Reply => {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    const value = line.slice(line.indexOf(':') + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}\n${value}`
  }
  return { status: Number(first.split(' ')[1] ?? 0), headers, body: rest.join('\r\n\r\n') }
}

/** A wire to a server that can be cut, or frozen so that nothing comes through, and mended again. */
export interface Wire {
  /** The server's address, over the wire. */
  url: string
  cut(): Promise<void>
  freeze(): void
  mend(): Promise<void>
  close(): Promise<void>
}

/** Lays a wire to the server of an address. */
export const layWire = async (target: string): Promise<Wire> => {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let frozen = false
  const server = createServer((near) => {
    const far = connect({ host: hostname || '127.0.0.1', port: Number(port || 5432) })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('data', (chunk) => other.write(chunk))
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      if (frozen) one.pause()
    }
  })
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve))
  await listen(0)
  const address = server.address()
  const chosen = typeof address === 'object' && address ? address.port : 0
  const url = new URL(target)
  url.host = `127.0.0.1:${chosen}`
  const cut = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    url: url.href,
    cut,
    freeze: () => {
      frozen = true
      for (const socket of sockets) socket.pause()
    },
    mend: async () => {
      frozen = false
      for (const socket of sockets) socket.resume()
      if (!server.listening) await listen(chosen)
    },
    close: async () => {
      if (server.listening) await cut()
    },
  }
}

/** A port that nobody listens on, for whoever has to know it before they listen. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
