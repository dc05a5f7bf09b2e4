import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { CamelCasePlugin, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Database } from './schema.ts'

/** What every query is asked of: the database, or a transaction on it. */
export type Db = Kysely<Database>

/** An open database. `close` waits up to five seconds for what is under way, and may be called twice. */
export interface Connection {
  db: Db
  pool: pg.Pool
  url: string
  close(): Promise<void>
}

export interface ConnectOptions {
  /** Connections at most; 10 unless told. */
  max?: number
  /** Called with each statement sent, but for those that only steer a transaction or a session. */
  onStatement?: (text: string) => void
  /** Called with what broke a connection that nobody was using. */
  onIdleError?: (error: Error) => void
  applicationName?: string
  /** Settings of every connection, as `-c name=value`. */
  settings?: Record<string, string>
  /** Milliseconds after which the server gives a statement up; 2,300 unless told, 0 for never. */
  statementTimeout?: number
}

/** Opens a pool on a database. Nothing is connected before the first query. */
export const connect = (url: string, options: ConnectOptions = {}): Connection => {
  const statementTimeout = options.statementTimeout ?? 2300
  const pool = new pg.Pool({
    connectionString: url,
    Client: namingClient(options.onStatement),
    max: options.max ?? 10,
    application_name: options.applicationName ?? 'lido',
    types: { getTypeParser },
    ...(options.settings
      ? {
          options: Object.entries(options.settings)
            .map(([name, value]) => `-c ${name}=${value}`)
            .join(' '),
        }
      : {}),
    // A database that is away has to be answered for within three seconds. The server ends a slow statement first, so
    // that its outcome is known; only one that does not even do that is left by the reading side.
    connectionTimeoutMillis: 2500,
    statement_timeout: statementTimeout,
    query_timeout: statementTimeout && statementTimeout + 300,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  })
  pool.on('error', (error) => options.onIdleError?.(error))
  // A connection that breaks while it is lent out fails its query, too; unheard, the event would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  const db = new Kysely<Database>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  })
  let closed: Promise<void> | undefined
  return {
    db,
    pool,
    url,
    close: () => {
      closed ??= Promise.race([pool.end(), setTimeout(5000, undefined, { ref: false })])
      return closed
    },
  }
}

/** Whether an error, or what caused it, says that the database is away, full, or too slow to be waited for: a 503. */
export const isConnectionFailure = (error: unknown): boolean =>
  causes(error).some(({ code, message }) => awayCodes.test(code) || awayMessages.test(message))

/** Whether a row was there already, under this constraint or any. */
export const isUniqueViolation = (error: unknown, constraint?: string): boolean =>
  causes(error).some((cause) => cause.code === '23505' && (!constraint || cause.constraint === constraint))

/** Whether a row is still needed by another, or needs one that is not there. */
export const isForeignKeyViolation = (error: unknown): boolean => causes(error).some((cause) => cause.code === '23503')

/** Whether transactions met, and this one may be tried again. */
export const isDeadlock = (error: unknown): boolean =>
  causes(error).some(({ code }) => code === '40P01' || code === '40001')

// Connection exceptions, operator intervention, too many connections, a statement that took too long; then the network.
const awayCodes =
  /^(08...|57P..|53300|57014|ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/
// What pg says in words only.
const awayMessages =
  /^(timeout exceeded when trying to connect|timeout expired|Connection terminated|Query read timeout|Client has encountered a connection error|Client was closed and is not queryable)/

interface Cause {
  code: string
  message: string
  constraint: unknown
}

const causes = (error: unknown, depth = 0): Cause[] => {
  if (typeof error !== 'object' || error === null || depth > 5) return []
  const { code, message, constraint, cause } = error as Record<string, unknown>
  return [{ code: String(code ?? ''), message: String(message ?? ''), constraint }, ...causes(cause, depth + 1)]
}

// A bigint stays text only where a number could not hold it.
const int8 = (text: string): number | string => {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}

const getTypeParser = ((oid: number, format?: 'text' | 'binary') =>
  oid === pg.types.builtins.INT8 && format !== 'binary'
    ? int8
    : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser

/** A client that names the statements it meets again, so that each is parsed and planned once a connection. */
const namingClient = (onStatement?: (text: string) => void) =>
  class extends pg.Client {
    // Texts that this connection can no longer execute under their name.
    #unnamed = new Set<string>()

    override query(...args: unknown[]): never {
      const [query, values, callback] = args
      const text = textOf(query)
      if (onStatement && text && !steering.test(text)) onStatement(text)
      if (typeof query !== 'string' || typeof values === 'function') return super.query(...(args as [string])) as never
      const result = this.#send(query, values as unknown[] | undefined)
      if (typeof callback !== 'function') return result as never
      return result.then(
        (answer) => callback(undefined, answer),
        (error) => callback(error),
      ) as never
    }

    async #send(text: string, values: unknown[] | undefined): Promise<pg.QueryResult> {
      const name = this.#unnamed.has(text) ? undefined : nameOf(text, values)
      try {
        return await super.query({ name, text, values: values as never })
      } catch (error) {
        // The server still works on it: whoever is lent this connection next would wait in vain.
        if (error instanceof Error && error.message === 'Query read timeout') void this.end()
        if (!name || !hasLostItsPlan(error)) throw error
        this.#unnamed.add(text)
        // A transaction is broken by now; alone, the statement had not run.
        if (this.getTransactionStatus() !== 'I') throw error
        return await super.query({ text, values: values as never })
      }
    }
  }

// The tables changed under a prepared statement; or a pooler in between gave us another of the server's connections.
const hasLostItsPlan = (error: unknown): boolean => {
  const { code, routine } = error as pg.DatabaseError
  return routine === 'RevalidateCachedQuery' || code === '26000' || code === '42P05'
}

const textOf = (query: unknown): string | undefined =>
  typeof query === 'string' ? query : ((query as { text?: unknown } | null)?.text as string | undefined)

const steering = /^\s*(begin|start|commit|end|rollback|savepoint|release|set|reset|discard|deallocate)\b/i
const nameable = /^\s*(select|insert|update|delete|merge|with|values)\b/i
const several = /;\s*\S/

// By text. A text is named when it comes again, so that those made for one question take no place, neither here nor in
// the memory of every connection's server process.
const names = new Map<string, string>()
const seenOnce = new Set<string>()
const mostNames = 400
const mostSeen = 2000

const nameOf = (text: string, values: unknown): string | undefined => {
  const known = names.get(text)
  if (known) return known
  if (!Array.isArray(values) || names.size >= mostNames || !nameable.test(text) || several.test(text)) return undefined
  if (!seenOnce.delete(text)) {
    if (seenOnce.size >= mostSeen) seenOnce.clear()
    seenOnce.add(text)
    return undefined
  }
  // The same in every process: behind a pooler, they share the server's connections. 63 bytes are the limit.
  const name = `lido_${createHash('sha256').update(text).digest('base64url').slice(0, 32)}`
  names.set(text, name)
  return name
}
