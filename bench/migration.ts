import { readConfig } from '../src/config.ts'
import { isSignedIn, makeUser, visitAs } from '../src/pages/fixtures-testing.ts'
import { makeExternal, openOutside, secretThere } from '../src/pages/outside-testing.ts'
import { openLog } from '../src/platform/log.ts'
import { start } from '../src/start.ts'
import type { TestLido } from '../src/testing.ts'
import type { Database } from './database.ts'
import { atMost } from './verdict.ts'

/** What one sign-in costs: processor time of server, browser and source together and of PostgreSQL, in ms; statements. */
interface Cost {
  cpu: number
  databaseCpu: number
  statements: number
}

/** What it costs to come over, to come again, and to have been here all along. */
export interface MigrationFound {
  first: Cost
  next: Cost
  local: Cost
}

/** Signs people in one after another, in this process, against a source on loopback that answers at once. */
export const measureMigration = async (database: Database, people: number): Promise<MigrationFound> => {
  const outside = await openOutside()
  const statements: string[] = []
  const config = readConfig({
    ...{ NODE_ENV: 'test', PORT: '0', HOST: '127.0.0.1', EGRESS_ALLOW: '127.0.0.1', DATABASE_URL: database.url },
    SECRETS: 'a-secret-that-only-the-bench-knows-0123456789',
  })
  const log = openLog({ level: 'silent' })
  const running = await start(config, { log, onStatement: (text) => statements.push(text) })
  const lido: TestLido = { ...running, lines: [], statements, message: () => Promise.reject(new Error('No mail.')) }
  try {
    const { slug, pool } = await makeExternal(lido, outside)
    const emailOf = (kind: string, n: number) => `${kind}${n}@example.org`
    for (let n = 0; n <= people; n += 1) {
      outside.add({ email: emailOf('there', n) })
      await makeUser(lido, pool, emailOf('here', n), { password: secretThere })
    }
    const signIn = async (email: string) => {
      const browser = await visitAs(lido, slug, email)
      await browser.submit({ password: secretThere })
      if (!isSignedIn(browser)) throw new Error(`${email} did not come in.`)
    }
    const costOf = async (work: () => Promise<void>): Promise<Cost> => {
      const before = { cpu: process.cpuUsage(), database: database.cpu(), statements: statements.length }
      await work()
      const { user, system } = process.cpuUsage(before.cpu)
      const cpu = (user + system) / 1000
      return { cpu, databaseCpu: database.cpu() - before.database, statements: statements.length - before.statements }
    }
    // The first one pays for what is read once.
    await signIn(emailOf('there', people))
    const found: Record<keyof MigrationFound, Cost[]> = { first: [], next: [], local: [] }
    for (let n = 0; n < people; n += 1) found.first.push(await costOf(() => signIn(emailOf('there', n))))
    // In turn, so that neither is the one that a program still warming up is measured by.
    for (let n = 0; n < people; n += 1) {
      found.next.push(await costOf(() => signIn(emailOf('there', n))))
      found.local.push(await costOf(() => signIn(emailOf('here', n))))
    }
    return { first: middle(found.first), next: middle(found.next), local: middle(found.local) }
  } finally {
    await running.stop()
    await outside.close()
  }
}

/** The middle of each figure; PostgreSQL's clock ticks in hundredths of a second, so that its mean says more. */
const middle = (costs: Cost[]): Cost => {
  const sorted = (name: 'cpu' | 'statements') => costs.map((cost) => cost[name]).sort((one, other) => one - other)
  const at = Math.floor(costs.length / 2)
  const database = costs.reduce((sum, { databaseCpu }) => sum + databaseCpu, 0) / costs.length
  return { cpu: sorted('cpu')[at] ?? 0, databaseCpu: database, statements: sorted('statements')[at] ?? 0 }
}

/** What was found, in lines, with what is promised: coming again costs what it costs those who were always here. */
export const migrationLines = ({ first, next, local }: MigrationFound): string[] => {
  const line = (title: string, { cpu, databaseCpu, statements }: Cost) =>
    `        ${title.padEnd(44)} ${cpu.toFixed(1)} ms of CPU, PostgreSQL ${databaseCpu.toFixed(1)} ms, ${statements.toFixed(1)} statements`
  return [
    line('a first sign-in, which migrates', first),
    line('the next one', next),
    line('one of somebody made here', local),
    atMost('who has come over, against who was made here: statements', next.statements / local.statements, 1.05, 2),
    atMost('who has come over, against who was made here: CPU', next.cpu / local.cpu, 1.1, 2),
  ]
}
