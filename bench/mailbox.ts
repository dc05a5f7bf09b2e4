import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

/** A mail server of the bench's own, which reads the codes that Lido sends. */
export interface Mailbox {
  url: string
  /** The code of the next mail to somebody; rejects where none comes within ten seconds. */
  nextCode(to: string): Promise<string>
  close(): Promise<void>
}

export const openMailbox = async (): Promise<Mailbox> => {
  const waiting = new Map<string, (code: string) => void>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        for (const { address } of envelope.rcptTo) waiting.get(address)?.(codeIn(Buffer.concat(chunks).toString()))
        done()
      })
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    url: `smtp://127.0.0.1:${port}`,
    nextCode: (to) => waitFor(waiting, to),
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

const waitFor = async (waiting: Map<string, (code: string) => void>, to: string): Promise<string> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const late = setTimeout(() => reject(new Error(`No mail came to ${to}.`)), 10_000)
  waiting.set(to, resolve)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    waiting.delete(to)
  }
}

/** The six digits in the body of a mail that stand alone: neither a colour nor a part of a boundary. */
const codeIn = (mail: string): string =>
  /(?<![\w#-])\d{6}(?![\w-])/.exec(mail.slice(mail.indexOf('\r\n\r\n')))?.[0] ?? ''
