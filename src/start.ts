import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createApp } from './app.ts'
import type { Config } from './config.ts'
import { listen as listenToChanges } from './db/changes.ts'
import { type Connection, connect } from './db/connect.ts'
import { openHot } from './db/hot.ts'
import { migrate, pendingMigrations } from './db/migrate.ts'
import { sweep } from './db/sweep.ts'
import { sendMessage } from './directory/outbox.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { openFetch } from './platform/fetch.ts'
import { startJobs } from './platform/jobs.ts'
import { type Log, openLog } from './platform/log.ts'
import { type Message, openMessages } from './platform/messages.ts'
import { openMetrics } from './platform/metrics.ts'
import { openPasswords } from './platform/passwords.ts'
import { openKeyring, randomToken, uuidv7 } from './platform/secrets.ts'
import type { Services } from './services.ts'
import { setUp, setUpDemo } from './setup.ts'

/** A program at work. */
export interface Running {
  url: string
  services: Services
  /** Readiness off, requests drained, everything closed. */
  stop(): Promise<void>
}

export interface StartOptions {
  log?: Log
  clock?: Clock
  /** Every statement that goes to the database, for counting. */
  onStatement?(text: string): void
}

/** Starts the program as configured, and resolves once it answers. What was opened before a failure is closed again. */
export const start = async (wanted: Config, options: StartOptions = {}): Promise<Running> => {
  const closing: (() => Promise<void>)[] = []
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one()
  }
  try {
    return await open(wanted, options, closing, close)
  } catch (error) {
    await close()
    throw error
  }
}

const open = async (
  wanted: Config,
  { log: givenLog, clock = systemClock, onStatement }: StartOptions,
  closing: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Running> => {
  const log = givenLog ?? openLog({ level: wanted.logLevel })
  const door = await openDoor(wanted)
  closing.push(door.close)
  const config = { ...wanted, publicUrl: door.publicUrl, secrets: await secretsOf(wanted) }
  const databaseUrl = config.databaseUrl ?? (await openEmbedded(config, log, closing))
  const metrics = openMetrics()
  const counted = (text: string) => {
    metrics.statement()
    onStatement?.(text)
  }
  const connection = connect(databaseUrl, { max: 10, onStatement: counted })
  closing.push(connection.close)
  connection.pool.on('error', (error) => log.warn({ err: error }, 'a database connection broke'))
  await migrate(connection)
  const changes = await listenToChanges(databaseUrl, (error) => log.warn({ err: error }, 'changes are not heard'))
  closing.push(changes.close)
  const services = openServices({ config, clock, log, metrics, connection })
  await setUp(services)
  if (config.env !== 'production') await setUpDemo(services)
  let stopping = false
  const ready = async () => !stopping && (await isReady(connection))
  door.answer(createApp({ services, changes, ready }).callback())
  const sweeping = sweepRegularly(services)
  closing.push(async () => clearInterval(sweeping))
  const jobs = await openJobs(services, databaseUrl)
  closing.push(jobs.stop)
  closing.push(door.drain)
  const stop = async () => {
    stopping = true
    await close()
  }
  return { url: config.publicUrl, services, stop }
}

interface Opened {
  config: Config
  clock: Clock
  log: Log
  metrics: Services['metrics']
  connection: Connection
}

const openServices = ({ config, clock, log, metrics, connection }: Opened): Services => {
  const passwords = openPasswords({})
  const { db, pool } = connection
  metrics.observe({
    passwords: passwords.state,
    pool: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
  })
  const fetch = openFetch({ allow: config.egressAllow })
  return { config, clock, db, hot: openHot(pool), keyring: openKeyring(config.secrets), passwords, fetch, log, metrics }
}

const openJobs = (services: Services, connectionString: string) => {
  const { config, fetch, keyring, log, metrics } = services
  const messages = openMessages({
    mailFrom: config.mailFrom,
    fetch,
    ...(config.smtpUrl ? { smtpUrl: config.smtpUrl } : {}),
    ...(config.smsUrl ? { smsUrl: config.smsUrl } : {}),
    ...(config.env === 'production' ? {} : { inbox: (message: Message) => keepInInbox(services, message) }),
  })
  const tasks = { send_message: sendMessage({ keyring, messages }) }
  return startJobs({ connectionString, tasks, log, metrics })
}

const keepInInbox = async ({ db, clock }: Services, message: Message): Promise<void> => {
  const sentAt = clock.now()
  const row = { id: uuidv7(sentAt), recipient: message.to.toLowerCase(), message: JSON.stringify(message), sentAt }
  await db.insertInto('inbox').values(row).execute()
}

const isReady = async ({ db }: Connection): Promise<boolean> => {
  try {
    return (await pendingMigrations(db)).length === 0
  } catch {
    return false
  }
}

const sweepRegularly = ({ db, clock, log }: Services): NodeJS.Timeout =>
  setInterval(() => {
    sweep(db, clock.now()).catch((error) => log.warn({ err: error }, 'expired rows could not be removed'))
  }, 60_000).unref()

interface Door {
  publicUrl: string
  answer(listener: RequestListener): void
  drain(): Promise<void>
  close(): Promise<void>
}

/** Listens at once, so that a taken port is known before anything is opened, and answers 503 until there is more. */
const openDoor = async ({ port, host, publicUrl }: Config): Promise<Door> => {
  let listener: RequestListener = (_request, response) =>
    response.writeHead(503, { 'Retry-After': '1' }).end('starting')
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) =>
    listener(request, response),
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
    close: () => drain(server),
  }
}

const drain = async (server: Server): Promise<void> => {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const late = setTimeout(() => server.closeAllConnections(), 10_000)
  await closed
  clearTimeout(late)
}

/** Development makes its own secrets once and keeps them with its data. */
const secretsOf = async ({ secrets, dataDir }: Config): Promise<readonly string[]> => {
  if (secrets.length > 0) return secrets
  const file = join(dataDir, 'secrets')
  await mkdir(dataDir, { recursive: true })
  // `wx` lets one of two starts at once write; both read what it wrote.
  await writeFile(file, randomToken(), { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return (await readFile(file, 'utf8')).trim().split(',')
}

const openEmbedded = async ({ dataDir }: Config, log: Log, closing: (() => Promise<void>)[]): Promise<string> => {
  const { startEmbedded } = await import('./db/embedded.ts')
  const embedded = await startEmbedded({ dataDir, log: (line) => log.debug({ postgres: line }, 'postgres') })
  closing.push(embedded.stop)
  return embedded.url
}
