import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { type Database, openAnother, openDatabase } from './database.ts'
import { type Measured, measure, type Subject } from './driver.ts'
import { fixture } from './fixture.ts'
import { type Flags, readFlags } from './flags.ts'
import { grow, growing } from './growth.ts'
import { canPin, driverCore, pin, type Served, serve } from './processes.ts'
import { type Findings, heading, operationLine, verdicts } from './report.ts'
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
    growth: [],
    users: flags.growth,
  }
  pin(process.pid, driverCore)
  if (flags.profile) await mkdir(flags.profile, { recursive: true })
  if (!canPin) console.log('This machine holds no process on a core: ratios say less.')
  const database = await openDatabase()
  closing.push(database.stop)
  const seeded = await seed(database)
  if (flags.extras.includes('startup'))
    found.startup = await measureStartup(envOf(database.url, seeded), await freePort(), flags.starts)
  if (flags.growth > 0) await measureGrowth(database, seeded, flags, found)
  const lido = await openLido(database, seeded)
  const bare = await openBare(seeded)
  await measureOperations(lido, bare, flags, found)
  if (flags.extras.includes('storm'))
    for (const name of ['client_credentials', 'refresh'] as const)
      found.storms.push(await storm(lido, name, flags.storm))
  if (flags.extras.includes('workspaces')) {
    const server = await openServer('lido', envOf(database.url, seeded), ['--expose-gc'])
    found.workspaces = await measureWorkspaces(database, seeded, server, flags.workspaces)
  }
  return found
}

const measureOperations = async (lido: Subject, bare: Subject, flags: Flags, found: Findings) => {
  console.log(heading())
  for (const name of flags.operations) {
    for (const atOnce of flags.levels) {
      const subjects = name === 'sign_in' ? [lido] : [bare, lido]
      const measured = await measure(subjects, name, atOnce, planOf(flags, atOnce))
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

/** Two databases side by side, one of them grown, each with a server of its own. */
const measureGrowth = async (database: Database, seeded: Seed, flags: Flags, found: Findings): Promise<void> => {
  const few = 1000
  const grown = await openAnother(database, 'grown')
  closing.push(grown.stop)
  const seededMany = await seed(grown)
  await grow(database, seeded, users, few)
  await grow(grown, seededMany, users, flags.growth)
  const subjects = [
    { ...(await openLido(database, seeded)), users: few },
    { ...(await openLido(grown, seededMany)), users: flags.growth },
  ]
  for (const name of growing) {
    const [before, after] = await measure(subjects, name, 32, { slices: 3, milliseconds: flags.most })
    if (before && after) found.growth.push({ name, few: before, many: after })
  }
  for (const { server } of subjects) await server.stop()
}

const envOf = (databaseUrl: string, { secret }: Seed): Record<string, string> => ({
  DATABASE_URL: databaseUrl,
  SECRETS: secret,
  PUBLIC_URL: 'https://lido.example',
})

const openServer = async (program: 'lido' | 'bare', env: Record<string, string>, flags?: string[]) => {
  const server: Served = await serve(program, { env, port: await freePort(), ...(flags ? { flags } : {}) })
  closing.push(server.stop)
  return server
}

const openLido = async (database: Database, seeded: Seed): Promise<Subject> => {
  const server = await openServer('lido', envOf(database.url, seeded))
  return { name: 'lido', origin: server.origin, prefix: `/w/${fixture.workspace}`, users, server, database }
}

const openBare = async ({ jwks }: Seed): Promise<Subject> => {
  const server = await openServer('bare', { JWKS: jwks, PUBLIC_URL: 'https://lido.example' })
  return { name: 'bare', origin: server.origin, prefix: '', users, server, database: undefined }
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

const failures = ({ operations, storms, growth }: Findings): string[] =>
  [
    ...operations.flatMap(({ lido, bare }) => [lido, bare]),
    ...storms,
    ...growth.flatMap(({ few, many }) => [few, many]),
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
