import type { Authenticator } from '../src/signin/authenticator-testing.ts'
import { type Connection, open, type Reply } from './connection.ts'
import { fixture } from './fixture.ts'
import type { Mailbox } from './mailbox.ts'

/** Where an operation is done: Lido, or the engine alone. */
export interface Target {
  name: 'lido' | 'bare'
  origin: string
  /** What every path of the issuer begins with. */
  prefix: string
  /** How many users may sign in, so that no two workers are the same person at once. */
  users: number
  /** Where Lido's mails arrive. */
  mailbox: Mailbox | undefined
  /** The passkeys of the first users of its pool for them. */
  passkeys: Authenticator[]
}

/** Does the operation once; throws where the answer is not what it has to be. */
export type Once = () => Promise<void>

export interface Worker {
  once: Once
  close(): Promise<void>
}

/** Makes the n-th of many workers ready. */
export type Operation = (target: Target, n: number, of: number) => Promise<Worker>

/** A worker with a connection of its own. */
export const worker = ({ origin }: Target, once: (connection: Connection) => Promise<void>): Worker => {
  const connection = open(origin)
  return { once: () => once(connection), close: connection.close }
}

/** Does something on a connection that is closed then. */
export const connected = async <Made>(
  { origin }: Target,
  work: (connection: Connection) => Promise<Made>,
): Promise<Made> => {
  const connection = open(origin)
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}

/** The answer, where it is what it has to be. Throws otherwise. */
export const expect = (reply: Reply, status: number, needle: string): Reply => {
  if (reply.status === status && reply.text.includes(needle)) return reply
  throw new Error(`Expected ${status} with ${needle}, got ${reply.status}: ${reply.text.slice(0, 300)}`)
}

export const encode = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

export const basic = ({ id, secret }: { id: string; secret: string }) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})

/** Headers of a machine that may do everything in the admin API. */
export const authorized = async (target: Target): Promise<Record<string, string>> => {
  const { operator, publicUrl } = fixture
  const body = encode({ grant_type: 'client_credentials', scope: 'admin', resource: `${publicUrl}/api/v1` })
  const reply = await connected(target, (connection) => connection.post('/w/admin/token', body, basic(operator)))
  const { access_token } = JSON.parse(expect(reply, 200, '"access_token"').text) as { access_token: string }
  return { authorization: `Bearer ${access_token}` }
}

/** As many as wanted, one made after the other. */
export const inTurn = async <Made>(count: number, make: (n: number) => Promise<Made>): Promise<Made[]> => {
  const made: Made[] = []
  while (made.length < count) made.push(await make(made.length))
  return made
}
