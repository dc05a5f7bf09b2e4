import { stat } from 'node:fs/promises'
import { createApp } from './app.ts'
import { type Config, ConfigError } from './config.ts'
import { type Behind, openBehind } from './db/behind.ts'
import { listen as listenToChanges } from './db/changes.ts'
import { type Connection, connect } from './db/connect.ts'
import { type Hot, hotSettings, openHot } from './db/hot.ts'
import { pendingMigrations } from './db/migrate.ts'
import { sweep } from './db/sweep.ts'
import * as deletions from './directory/deletions.ts'
import { countDaysThatAreOver } from './directory/event-counts.ts'
import { forgetFleeting } from './directory/events.ts'
import { importUsers } from './directory/imports.ts'
import * as rounds from './directory/migration-rounds.ts'
import { sendMessage } from './directory/outbox.ts'
import { expireUnused } from './directory/registrations.ts'
import { startCourier } from './directory/webhook-courier.ts'
import { openDoor } from './door.ts'
import { type Closing, closeAll, openFoundation } from './foundation.ts'
import * as backchannel from './oidc/backchannel.ts'
import * as ciba from './oidc/ciba.ts'
import { settleFolders, tend } from './oidc/key-changes.ts'
import { listFolders } from './oidc/key-files.ts'
import { tryFolders } from './oidc/key-trial.ts'
import type { Issuers } from './oidc/providers.ts'
import { askPerson } from './pages/asking.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import { openDns } from './platform/dns.ts'
import { openFetch } from './platform/fetch.ts'
import { type Geoip, openGeoip } from './platform/geoip.ts'
import type { Pace } from './platform/http/pace.ts'
import { startJobs } from './platform/jobs.ts'
import { openKms } from './platform/kms.ts'
import { KmsTrouble } from './platform/kms-trouble.ts'
import { type Log, openLog } from './platform/log.ts'
import { type Message, openMessages } from './platform/messages.ts'
import { openMetrics } from './platform/metrics.ts'
import { openPasswords, type Passwords } from './platform/passwords.ts'
import { openSandbox } from './platform/sandbox.ts'
import { openKeyring, uuidv7 } from './platform/secrets.ts'
import type { Services } from './services.ts'
import { setUp, setUpDemo } from './setup.ts'
import { workOn } from './signin/pools/rounds.ts'

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
  /** Another cost of hashing, for measuring what stands around it. */
  passwords?: Passwords
  /** How long requests may take to arrive, for tests that do not want to wait as long. */
  pace?: Pace
  /** Every statement that goes to the database, for counting. */
  onStatement?(text: string): void
}

/** Starts the program as configured, and resolves once it answers. What was opened before a failure is closed again. */
export const start = async (wanted: Config, options: StartOptions = {}): Promise<Running> => {
  const closing: Closing = []
  try {
    return await open(wanted, options, closing)
  } catch (error) {
    await closeAll(closing)
    throw error
  }
}

const open = async (wanted: Config, options: StartOptions, closing: Closing): Promise<Running> => {
  const { clock = systemClock, onStatement, passwords = openPasswords({}) } = options
  const log = options.log ?? openLog({ level: wanted.logLevel, buffered: wanted.env === 'production' })
  const geoip = await readGeoip(wanted)
  await refuseNoFolder(wanted)
  const door = await openDoor(wanted, options.pace)
  closing.push(door.drain)
  const metrics = openMetrics()
  const counted = (text: string) => {
    metrics.statement()
    onStatement?.(text)
  }
  const { config, connection } = await openFoundation({ ...wanted, publicUrl: door.publicUrl }, log, closing, counted)
  const databaseUrl = connection.url
  const changes = await listenToChanges(databaseUrl, (error) => log.warn({ err: error }, 'changes are not heard'))
  closing.push(changes.close)
  const hot = connect(databaseUrl, { max: 8, settings: hotSettings, onStatement: counted })
  closing.push(hot.close)
  const behind = openEventsBehind({ databaseUrl, clock, log, metrics }, closing)
  metrics.observe({ passwords: passwords.state, pool: () => countConnections([connection, hot]) })
  const opened = { config, clock, log, metrics, connection, hot: openHot(hot.pool), behind, passwords, geoip }
  const services = openServices(opened)
  closing.push(services.sandbox.close)
  await refuseBadKeys(services)
  await setUp(services)
  if (config.env !== 'production') await setUpDemo(services)
  await settleFolders(services, await listFolders(config))
  let stopping = false
  const ready = async () => !stopping && (await isReady(connection))
  const { answer, issuers } = createApp({ services, changes, ready })
  door.answer(answer)
  const sweeping = sweepRegularly(services)
  closing.push(async () => clearInterval(sweeping))
  const tending = tendRegularly(services)
  closing.push(async () => clearInterval(tending))
  const courier = openCourier(services, databaseUrl)
  closing.push(courier.stop)
  const jobs = await openJobs(services, issuers, databaseUrl)
  closing.push(jobs.stop)
  closing.push(door.drain)
  const stop = async () => {
    stopping = true
    await closeAll(closing)
  }
  return { url: config.publicUrl, services, stop }
}

interface Opened {
  config: Config
  clock: Clock
  log: Log
  metrics: Services['metrics']
  connection: Connection
  hot: Hot
  behind: Behind
  passwords: Passwords
  geoip: Geoip | undefined
}

const readGeoip = ({ geoipFile }: Config): Promise<Geoip> | undefined =>
  geoipFile === undefined
    ? undefined
    : openGeoip(geoipFile).catch((error: Error) => {
        throw new ConfigError([`GEOIP_FILE: ${geoipFile} cannot be used: ${error.message}`])
      })

const refuseNoFolder = async ({ keysDir }: Config): Promise<void> => {
  if (keysDir === undefined) return
  const found = await stat(keysDir).catch(() => undefined)
  if (!found?.isDirectory()) throw new ConfigError([`KEYS_DIR: ${keysDir} is no folder`])
}

/** AWS KMS may be away at a start; what somebody has to change about a key is said before anybody signs in. */
const refuseBadKeys = async (services: Services): Promise<void> => {
  const trials = (await tryFolders(services)).filter(({ kms }) => kms)
  for (const { workspace, trouble } of trials) {
    if (!trouble) continue
    const passing = trouble instanceof KmsTrouble && trouble.is !== 'misconfigured'
    if (!passing) throw new ConfigError([`KEYS_DIR: ${reasonOf(trouble)}`])
    services.log.warn({ err: trouble, workspace }, 'AWS KMS does not sign for a workspace')
  }
}

const reasonOf = ({ message, cause }: Error): string =>
  cause instanceof Error ? `${message}: ${cause.message}` : message

const openServices = ({ config, clock, log, metrics, connection, hot, behind, passwords, geoip }: Opened): Services => {
  const { db } = connection
  const fetch = openFetch({ allow: config.egressAllow })
  const dns = openDns({ servers: config.dnsServers })
  const kms = openKms({ url: config.kmsUrl, fetch, now: clock.now, count: metrics.kms })
  const [keyring, sandbox] = [openKeyring(config.secrets), openSandbox({ fetch, log })]
  return { config, clock, db, hot, behind, keyring, passwords, fetch, kms, dns, sandbox, geoip, log, metrics }
}

const countConnections = (connections: Connection[]) => {
  const sum = (count: 'totalCount' | 'idleCount' | 'waitingCount') =>
    connections.reduce((all, { pool }) => all + pool[count], 0)
  return { total: sum('totalCount'), idle: sum('idleCount'), waiting: sum('waitingCount') }
}

const openJobs = (services: Services, issuers: Issuers, connectionString: string) => {
  const { config, fetch, keyring, log, metrics } = services
  const messages = openMessages({
    mailFrom: config.mailFrom,
    fetch,
    now: services.clock.now,
    ...(config.smtpUrl ? { smtpUrl: config.smtpUrl } : {}),
    ...(config.smsUrl ? { smsUrl: config.smsUrl } : {}),
    ...(config.env === 'production' ? {} : { inbox: (message: Message) => keepInInbox(services, message) }),
  })
  const tasks = {
    send_message: sendMessage({ db: services.db, keyring, messages, log }),
    import_users: importUsers(services),
    [rounds.task]: workOn(services),
    [deletions.task]: deletions.finish(services),
    [backchannel.task]: backchannel.tellOfLogout(services, issuers),
    [ciba.task]: ciba.pingClient(services),
    [ciba.askTask]: askPerson(services),
  }
  return startJobs({ connectionString, tasks, log, metrics })
}

/** With a connection of its own, that no request waits for; closed before it is, once requests and jobs are over. */
const openEventsBehind = (
  { databaseUrl, clock, log, metrics }: Pick<Opened, 'clock' | 'log' | 'metrics'> & { databaseUrl: string },
  closing: Closing,
): Behind => {
  const onTrouble = (err: unknown, events: number) => log.warn({ err, events }, 'events could not be written')
  const settings = { max: 1, applicationName: 'lido events', onStatement: () => metrics.statement() }
  const connection = connect(databaseUrl, settings)
  const behind = openBehind({ pool: connection.pool, now: clock.now, onTrouble })
  closing.push(connection.close, behind.close)
  return behind
}

/** With a connection of its own: requests do not wait for it, and their statements are counted apart. */
const openCourier = (services: Services, databaseUrl: string) => {
  const connection = connect(databaseUrl, { max: 2, applicationName: 'lido webhooks' })
  const courier = startCourier(services, connection.db)
  const stop = async () => {
    await courier.stop()
    await connection.close()
  }
  return { stop }
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
    expireUnused(db, clock.now()).catch((error) => log.warn({ err: error }, 'unused clients could not be removed'))
    sweep(db, clock.now()).catch((error) => log.warn({ err: error }, 'expired rows could not be removed'))
    forgetFleeting(db, clock.now()).catch((error) => log.warn({ err: error }, 'old events could not be removed'))
    countDaysThatAreOver(db, clock.now()).catch((error) => log.warn({ err: error }, 'a day could not be counted'))
  }, 60_000).unref()

/** Every node looks; one of them rotates. */
const tendRegularly = (services: Services): NodeJS.Timeout =>
  setInterval(() => {
    tend(services).catch((error) => services.log.warn({ err: error }, 'signing keys could not be looked after'))
  }, 600_000).unref()
