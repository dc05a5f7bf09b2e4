import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { type Config, ConfigError } from '../config.ts'
import type { Db } from '../db/connect.ts'
import { pendingMigrations } from '../db/migrate.ts'
import * as operators from '../directory/operators.ts'
import * as pools from '../directory/pools.ts'
import { type Closing, closeAll, openGround } from '../foundation.ts'
import { listFolders } from '../oidc/key-files.ts'
import { type Trial, tryFolders } from '../oidc/key-trial.ts'
import * as keys from '../oidc/keys.ts'
import { systemClock } from '../platform/clock.ts'
import { openFetch } from '../platform/fetch.ts'
import { openKms } from '../platform/kms.ts'
import { openLog } from '../platform/log.ts'
import { tryMailServer } from '../platform/messages.ts'
import { type Confinement, findConfinement } from '../platform/sandbox/confinement.ts'
import { openKeyring } from '../platform/secrets.ts'
import type { Command } from './command.ts'

export const doctor: Command = {
  usage: 'lido doctor                           check configuration, database, clocks, keys, mail and egress',
  run: async (_words, read) => {
    const findings = await examine(read)
    const text = findings.map(({ how, what, told }) => `${how.padEnd(4)}  ${what.padEnd(13)}  ${told}`).join('\n')
    return { text, failed: findings.some(({ how }) => how === 'fail') }
  },
}

/** One line: how something is, and what to do about it. */
interface Finding {
  how: 'ok' | 'warn' | 'fail'
  what: 'configuration' | 'database' | 'clocks' | 'keys' | 'operators' | 'mail' | 'sms' | 'egress' | 'scripts'
  told: string
}

const examine = async (read: () => Config): Promise<Finding[]> => {
  let config: Config
  try {
    config = read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => fail('configuration', line.trim()))
  }
  return [
    ...examineConfig(config),
    ...(await examineStored(config)),
    ...(await examineFolders(config)),
    await examineMail(config),
    examineEgress(config),
    judgeScripts(await findConfinement()),
  ]
}

const examineConfig = ({ env, publicUrl, trustedProxies }: Config): Finding[] => [
  ok('configuration', `${env}, at ${publicUrl}`),
  // TLS ends in front of Lido, so that every connection comes from a proxy.
  ...(env === 'production' && trustedProxies.length === 0
    ? [warn('configuration', "TRUSTED_PROXIES is not set: limits count the proxy's address. Name the proxy there.")]
    : []),
]

const examineStored = async (wanted: Config): Promise<Finding[]> => {
  if (wanted.databaseUrl === undefined && !(await isThere(join(wanted.dataDir, 'postgres'))))
    return [warn('database', `There is none in ${wanted.dataDir} yet. The first start (npm start) makes it.`)]
  const closing: Closing = []
  try {
    const { config, connection } = await openGround(wanted, openLog({ level: 'silent' }), closing)
    return await examineDatabase(connection.db, config)
  } catch (error) {
    return [fail('database', `${reasonOf(error)}. Check DATABASE_URL, and that the server runs and lets us in.`)]
  } finally {
    await closeAll(closing)
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const oldest = 15

const examineDatabase = async (db: Db, config: Config): Promise<Finding[]> => {
  // The first question also opens the connection, which the clocks must not be charged with.
  const version = await askVersion(db)
  if (version < oldest)
    return [fail('database', `PostgreSQL ${version} is too old. Take ${oldest} or newer.`), await examineClocks(db)]
  const pending = await pendingMigrations(db)
  if (pending.length > 0) {
    const told = `Migrations are missing: ${pending.join(', ')}. Run: npm run lido -- migrate`
    return [fail('database', told), await examineClocks(db)]
  }
  return [
    ok('database', `PostgreSQL ${version}, up to date`),
    await examineClocks(db),
    ...(await examineKeys(db, config)),
    await examineOperators(db),
    await examineTexts(db, config),
  ]
}

const askVersion = async (db: Db): Promise<number> => {
  const { rows } = await sql<{ number: number }>`
    select current_setting('server_version_num')::int as number`.execute(db)
  return Math.floor((rows[0]?.number ?? 0) / 10_000)
}

const examineClocks = async (db: Db): Promise<Finding> => {
  const asked = Date.now()
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(db)
  const middle = (asked + Date.now()) / 2
  return judgeClocks(((rows[0]?.at.getTime() ?? 0) - middle) / 1000)
}

/** Judges by how many seconds the database's clock is ahead of this machine's. */
export const judgeClocks = (ahead: number): Finding => {
  const seconds = Math.abs(ahead).toFixed(1)
  if (Math.abs(ahead) < 2) return ok('clocks', `The database and this machine agree within ${seconds} s`)
  const told = `The database is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} this machine. Set both clocks by NTP.`
  return Math.abs(ahead) < 10 ? warn('clocks', told) : fail('clocks', told)
}

const examineKeys = async (db: Db, config: Config): Promise<Finding[]> => {
  const { secrets } = config
  const keyrings = { keyring: openKeyring(secrets), newest: openKeyring(secrets.slice(0, 1)) }
  const folders = await listFolders(config).catch(() => [])
  const examined = await keys.examine(db, keyrings, new Date(), folders)
  const findings = examined.flatMap(judgeKeys)
  if (findings.length > 0) return findings
  return [ok('keys', `${examined.length} workspaces; every signing key opens with the newest secret`)]
}

/** The keys that are not in the database; those in AWS KMS sign something. */
const examineFolders = async (config: Config): Promise<Finding[]> => {
  if (config.keysDir === undefined) return []
  try {
    const fetch = openFetch({ allow: config.egressAllow })
    const kms = openKms({ url: config.kmsUrl, fetch, now: systemClock.now })
    return (await tryFolders({ config, kms, clock: systemClock })).map(judgeFolder)
  } catch (error) {
    return [fail('keys', `${reasonOf(error)}. Check KEYS_DIR.`)]
  }
}

const judgeFolder = ({ workspace, keys, kms, trouble }: Trial): Finding => {
  if (!trouble)
    return ok('keys', `${keys} keys of ${workspace} in KEYS_DIR ${kms ? 'sign, with AWS KMS' : 'can be read'}`)
  const { cause } = trouble
  const told = cause instanceof Error ? `${reasonOf(trouble)}: ${reasonOf(cause)}` : reasonOf(trouble)
  return fail('keys', `${workspace}: ${told}. docs/keys.md says what a key needs.`)
}

const judgeKeys = ({ workspace, signing, shut, older }: keys.KeyHealth): Finding[] => [
  ...(shut > 0
    ? [
        fail(
          'keys',
          `${shut} keys of ${workspace} do not open. Add the secret that was in SECRETS when they were made.`,
        ),
      ]
    : []),
  ...(signing
    ? []
    : [fail('keys', `${workspace} lacks a key that signs. Run: npm run lido -- rotate-keys ${workspace}`)]),
  ...(older > 0
    ? [warn('keys', `${older} keys of ${workspace} need an older secret: keep it. docs/operate.md says for how long.`)]
    : []),
]

const examineOperators = async (db: Db): Promise<Finding> =>
  (await operators.exist(db))
    ? ok('operators', 'There are operators')
    : warn('operators', 'There is none yet. Run: npm run lido -- invite-admin you@example.org')

const examineMail = async ({ env, smtpUrl }: Config): Promise<Finding> => {
  if (smtpUrl === undefined)
    return env === 'production'
      ? warn('mail', 'SMTP_URL is not set: no code, invitation or notice can be sent.')
      : ok('mail', 'Mails go to /dev/inbox')
  // The address may hold a password.
  const { host } = new URL(smtpUrl)
  try {
    await tryMailServer(smtpUrl)
    return ok('mail', `${host} takes mail from us`)
  } catch (error) {
    return fail('mail', `${host}: ${reasonOf(error)}. Check SMTP_URL.`)
  }
}

/** No provider can be asked without sending something, so this only tells what is set. */
const examineTexts = async (db: Db, { env, smsUrl }: Config): Promise<Finding> => {
  if (smsUrl !== undefined) return ok('sms', `Text messages go out by ${providerOf(smsUrl)}`)
  if (env !== 'production') return ok('sms', 'Text messages go to /dev/inbox')
  const wanting = await pools.listBySignInMethod(db, 'sms_code')
  if (wanting.length === 0) return ok('sms', 'SMS_URL is not set, and no pool needs it')
  return warn('sms', `SMS_URL is not set: nobody of ${wanting.join(', ')} can be sent a text message.`)
}

// The address may hold secrets.
const providerOf = (smsUrl: string): string => {
  const { protocol, host } = new URL(smsUrl)
  return { 'twilio:': 'Twilio', 'sns:': `Amazon SNS in ${host}` }[protocol] ?? `the webhook at ${host}`
}

const examineEgress = ({ egressAllow }: Config): Finding => {
  try {
    openFetch({ allow: egressAllow })
  } catch (error) {
    return fail('egress', `${reasonOf(error)}. Correct EGRESS_ALLOW.`)
  }
  if (egressAllow.some((rule) => rule.endsWith('/0')))
    return warn('egress', 'EGRESS_ALLOW lets requests reach every address. Name only what they need.')
  return ok(
    'egress',
    egressAllow.length > 0 ? `Public addresses and ${egressAllow.join(', ')}` : 'Public addresses only',
  )
}

// Without these tools of Linux, the interpreter and Node shut scripts in alone (docs/sandbox.md).
const judgeScripts = ({ network, limits }: Confinement): Finding =>
  ok(
    'scripts',
    `Scripts run in a network namespace of their own: ${network ? 'yes' : 'no'}; with limits of the system: ${limits ? 'yes' : 'no'}`,
  )

/** What went wrong, on one line; an error of several attempts says so only in its parts. */
const reasonOf = (error: unknown): string => {
  const { message, code, errors } = error as { message?: string; code?: string; errors?: unknown[] }
  if (!message && errors?.[0]) return reasonOf(errors[0])
  return (message || code || 'It failed').split('\n')[0] ?? ''
}

const ok = (what: Finding['what'], told: string): Finding => ({ how: 'ok', what, told })
const warn = (what: Finding['what'], told: string): Finding => ({ how: 'warn', what, told })
const fail = (what: Finding['what'], told: string): Finding => ({ how: 'fail', what, told })
