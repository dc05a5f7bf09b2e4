import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { type AdminFound, measureAdmin, prepareAdmin } from './admin.ts'
import { adminHeading, adminLine } from './admin-report.ts'
import { measureClients } from './clients.ts'
import { type Database, openAnother, openDatabase } from './database.ts'
import { type Measured, measure, type Subject } from './driver.ts'
import { fixture } from './fixture.ts'
import { type Flags, readFlags } from './flags.ts'
import { grow, growing } from './growth.ts'
import { measureImport } from './import.ts'
import { type Mailbox, openMailbox } from './mailbox.ts'
import { measureMigration } from './migration.ts'
import { operations, ours } from './operations.ts'
import { givePasskeys } from './passkeys.ts'
import { canPin, driverCore, pin, type Served, serve } from './processes.ts'
import { type Findings, heading, operationLine, verdicts } from './report.ts'
import { measureSandbox } from './sandbox.ts'
import { type Seed, seed, users } from './seed.ts'
import { measureStartup } from './startup.ts'
import { storm } from './storm.ts'
import { measureWorkspaces } from './workspaces.ts'

const closing: (() => Promise<void>)[] = []
const close = async () => {
  for (const one of closing.splice(0).reverse()) await one()
}

const run = async (flags: Flags): Promise<Findings> => {
  const found: Findings = {
    operations: [],
    verifies: undefined,
    storms: [],
    startup: undefined,
    workspaces: undefined,
    clients: undefined,
    growth: [],
    users: flags.growth,
    admin: undefined,
    imported: undefined,
    sandbox: undefined,
    migration: undefined,
  }
  pin(process.pid, driverCore)
  if (flags.profile) await mkdir(flags.profile, { recursive: true })
  if (!canPin) console.log('This machine holds no process on a core: ratios say less.')
  const mailbox = await openMailbox()
  closing.push(mailbox.close)
  const database = await openDatabase()
  closing.push(database.stop)
  const seeded = await seed(database)
  if (flags.extras.includes('startup'))
    found.startup = await measureStartup(envOf(database.url, seeded), await freePort(), flags.starts)
  await measureMany({ database, seeded, mailbox }, flags, found)
  const passkeys = await givePasskeys(database, seeded, 32)
  const lido = { ...(await openLido({ database, seeded, mailbox })), passkeys }
  const bare = await openBare(seeded)
  await measureOperations(lido, bare, flags, found)
  if (flags.extras.includes('sandbox')) found.sandbox = await measureSandbox({ starts: flags.starts, runs: 20 })
  if (flags.extras.includes('migration')) {
    const another = await openAnother(database, 'bench_migration')
    found.migration = await measureMigration(another, 40)
    await another.stop()
  }
  if (flags.extras.includes('storm'))
    for (const name of ['client_credentials', 'refresh'] as const)
      found.storms.push(await storm(lido, name, flags.storm))
  if (flags.extras.includes('workspaces')) {
    const server = await openServer('lido', envOf(database.url, seeded), ['--expose-gc'])
    found.workspaces = await measureWorkspaces(database, seeded, server, flags.workspaces)
    await server.stop()
  }
  if (flags.extras.includes('clients')) {
    const server = await openServer('lido', envOf(database.url, seeded), ['--expose-gc'])
    found.clients = await measureClients(database, seeded, server, flags.clients)
    await server.stop()
  }
  if (flags.extras.includes('import'))
    found.imported = await measureImport(
      await openLido({ database, seeded, mailbox }, users, ['--expose-gc']),
      flags.rows,
    )
  return found
}

const measureOperations = async (lido: Subject, bare: Subject, flags: Flags, found: Findings) => {
  console.log(heading())
  for (const name of flags.operations) {
    for (const atOnce of flags.levels) {
      const subjects = ours.includes(name) ? [lido] : [bare, lido]
      const task = { name, operation: operations[name], hashing: name === 'sign_in' }
      const measured = await measure(subjects, task, atOnce, planOf(flags, atOnce))
      const one = { name, atOnce, lido: measured.at(-1) as Measured, bare: measured.at(-2) }
      found.operations.push(one)
      console.log(operationLine(one))
    }
  }
  if (flags.operations.includes('sign_in')) {
    await lido.server.ask({ ask: 'hash', on: true })
    found.verifies = await lido.server.ask({ ask: 'verifies', milliseconds: flags.most })
  }
}

const planOf = ({ few, most, slices, profile }: Flags, atOnce: number) => ({
  slices,
  milliseconds: atOnce >= 32 ? most : few,
  ...(atOnce >= 32 ? { profile } : {}),
})

/** A database that is filled, and where the mails of its servers go. */
interface Base {
  database: Database
  seeded: Seed
  mailbox: Mailbox
}

/** Two databases side by side, one of them grown, each with a server of its own. */
const measureMany = async (base: Base, flags: Flags, found: Findings): Promise<void> => {
  const asked = flags.extras.includes('admin')
  const many = flags.growth || flags.users
  if (flags.growth === 0 && !asked) return
  const few = 1000
  const database = await openAnother(base.database, 'grown')
  closing.push(database.stop)
  const grown = { ...base, database, seeded: await seed(database) }
  const artifacts = flags.growth > 0
  await grow(base.database, base.seeded, { from: users, to: few, artifacts })
  await grow(database, grown.seeded, { from: users, to: many, artifacts })
  const pair: [Subject, Subject] = [await openLido(base, few), await openLido(grown, many)]
  if (flags.growth > 0) await measureGrowth(pair, flags, found)
  if (asked) {
    for (const { database, seeded } of [base, grown]) await prepareAdmin(database, seeded, users)
    console.log(`among ${few} and ${many} users\n${adminHeading()}`)
    const plan = { slices: 3, milliseconds: flags.few, note: (one: AdminFound) => console.log(adminLine(one)) }
    found.admin = await measureAdmin(pair, plan)
  }
  for (const { server } of pair) await server.stop()
}

const measureGrowth = async (pair: Subject[], flags: Flags, found: Findings): Promise<void> => {
  for (const name of growing) {
    const plan = { slices: 3, milliseconds: flags.most }
    const [before, after] = await measure(pair, { name, operation: operations[name] }, 32, plan)
    if (before && after) found.growth.push({ name, few: before, many: after })
  }
}

const envOf = (databaseUrl: string, { secret }: Seed): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  SECRETS: secret,
  PUBLIC_URL: fixture.publicUrl,
  BOOTSTRAP_CLIENT_ID: fixture.operator.id,
  BOOTSTRAP_CLIENT_SECRET: fixture.operator.secret,
})

const openServer = async (program: 'lido' | 'bare', env: Record<string, string>, flags?: string[]) => {
  const server: Served = await serve(program, { env, port: await freePort(), ...(flags ? { flags } : {}) })
  closing.push(server.stop)
  return server
}

const openLido = async ({ database, seeded, mailbox }: Base, among = users, flags?: string[]): Promise<Lido> => {
  const server = await openServer('lido', { ...envOf(database.url, seeded), SMTP_URL: mailbox.url }, flags)
  return {
    name: 'lido',
    origin: server.origin,
    prefix: `/w/${fixture.workspace}`,
    users: among,
    mailbox,
    passkeys: [],
    server,
    database,
  }
}

type Lido = Subject & { database: Database }

const openBare = async ({ jwks }: Seed): Promise<Subject> => {
  const server = await openServer('bare', { JWKS: jwks, PUBLIC_URL: fixture.publicUrl })
  return {
    name: 'bare',
    origin: server.origin,
    prefix: '',
    users,
    mailbox: undefined,
    passkeys: [],
    server,
    database: undefined,
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

const failures = ({ operations, storms, growth, admin }: Findings): string[] =>
  [
    ...operations.flatMap(({ lido, bare }) => [lido, bare]),
    ...storms,
    ...[...growth, ...(admin?.found ?? [])].flatMap(({ few, many }) => [few, many]),
  ].flatMap((one) => (one && one.failed > 0 ? [`${one.failed} answers were wrong, the first: ${one.error}`] : []))

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => close().then(() => process.exit(130)))

const began = performance.now()
try {
  const flags = readFlags(process.argv.slice(2))
  const found = await run(flags)
  console.log(`\n${verdicts(found).join('\n')}\n`)
  if (flags.json) await writeFile(flags.json, JSON.stringify(found, null, 2))
  const wrong = failures(found)
  for (const line of wrong) console.error(line)
  if (wrong.length > 0) process.exitCode = 1
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await close()
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`)
}
