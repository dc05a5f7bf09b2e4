import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import * as pools from '../src/directory/pools.ts'
import type { Database } from './database.ts'
import { rssOf, type Served } from './processes.ts'
import { authorized, type Target } from './worker.ts'

/** One way through all rows; `cpu` and `databaseCpu` are milliseconds a thousand rows, `peak` bytes of the server. */
export interface Pass {
  name: 'dry run' | 'import' | 'export'
  rows: number
  seconds: number
  cpu: number
  databaseCpu: number
  peak: number
}

/** What bringing many users in and out costs; `before` and `after` are bytes of the server. */
export interface Imported {
  before: number
  passes: Pass[]
  after: number
}

interface Subject extends Target {
  server: Served
  database: Database
}

/** Imports so many users over HTTP, first without changing anything, and exports them. Throws where one is missing. */
export const measureImport = async (subject: Subject, rows: number): Promise<Imported> => {
  await pools.create(subject.database.db, new Date(), { slug, name: 'Imports', settings: { user_schema } })
  const headers = await authorized(subject)
  // What every request needs is loaded by then; what an import needs is not.
  const before = await rss(subject)
  const passes = [
    await pass(subject, 'dry run', rows, () => importAll(subject, headers, rows, '?dry_run=true')),
    await pass(subject, 'import', rows, () => importAll(subject, headers, rows, '')),
    await pass(subject, 'export', rows, () => exportAll(subject, headers, rows)),
  ]
  await subject.server.ask({ ask: 'collect' })
  return { before, passes, after: await rss(subject) }
}

const slug = 'imports'
const user_schema = {
  type: 'object',
  properties: { given_name: { type: 'string' }, family_name: { type: 'string' } },
  required: ['family_name'],
}

const rss = async ({ server }: Subject): Promise<number> => (await server.ask({ ask: 'usage' })).rss

const pass = async (subject: Subject, name: Pass['name'], rows: number, work: () => Promise<void>): Promise<Pass> => {
  const { server, database } = subject
  const usage = await server.ask({ ask: 'usage' })
  const databaseCpu = database.cpu()
  const began = performance.now()
  const peak = await peakDuring(server.pid, work)
  const seconds = (performance.now() - began) / 1000
  const after = await server.ask({ ask: 'usage' })
  const each = (milliseconds: number) => (milliseconds / rows) * 1000
  return {
    name,
    rows,
    seconds,
    cpu: each(after.cpu - usage.cpu),
    databaseCpu: each(database.cpu() - databaseCpu),
    peak,
  }
}

/** Looks at a process twenty times a second until something is done. */
const peakDuring = async (pid: number, work: () => Promise<void>): Promise<number> => {
  let peak = rssOf(pid)
  const looking = setInterval(() => {
    peak = Math.max(peak, rssOf(pid))
  }, 50)
  try {
    await work()
  } finally {
    clearInterval(looking)
  }
  return peak
}

interface Progress {
  id: string
  state: string
  created: number
  failed: number
  errors: unknown[]
}

const importAll = async ({ origin }: Subject, headers: Record<string, string>, rows: number, query: string) => {
  const path = `${origin}/api/v1/pools/${slug}/imports`
  const sent = { ...headers, 'content-type': 'text/csv' }
  const body = Readable.from(csvOf(rows))
  const begun = await request(`${path}${query}`, { method: 'POST', headers: sent, body, headersTimeout: longest })
  let progress = await progressOf(begun, 201)
  while (progress.state !== 'done') {
    await setTimeout(100)
    progress = await progressOf(await request(`${path}/${progress.id}`, { headers }), 200)
  }
  const [error] = progress.errors
  if (progress.created !== rows || progress.failed > 0)
    throw new Error(`Of ${rows} users ${progress.created} came in, the first that did not: ${JSON.stringify(error)}`)
}

const longest = 600_000

const progressOf = async ({ statusCode, body }: Dispatcher.ResponseData, status: number): Promise<Progress> => {
  const text = await body.text()
  if (statusCode !== status) throw new Error(`Expected ${status}, got ${statusCode}: ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

const exportAll = async ({ origin }: Subject, headers: Record<string, string>, rows: number) => {
  const path = `${origin}/api/v1/pools/${slug}/exports?format=csv&hashes=true`
  const { statusCode, body } = await request(path, { headers, bodyTimeout: longest })
  let lines = 0
  body.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1
  })
  await once(body, 'end')
  if (statusCode !== 200 || lines !== rows + 1) throw new Error(`${lines} lines came out with ${statusCode}.`)
}

/** A file as another system gives it away, in pieces of some hundred rows. */
const csvOf = function* (rows: number): Iterable<string> {
  yield 'email,email_verified,external_id,profile.given_name,profile.family_name,password_hash\n'
  for (let first = 0; first < rows; first += 500)
    yield Array.from({ length: Math.min(500, rows - first) }, (_, n) => rowOf(first + n)).join('')
}

const rowOf = (n: number): string =>
  `person${n}@import.example,true,person-${n},Ada${n % 10},Lovelace${n % 100},${bcryptOf(n)}\n`

// In the form of bcrypt, and nobody's: an import does not hash, and making real ones would take hours.
const bcryptOf = (n: number): string =>
  `$2b$10$${createHash('sha512').update(String(n)).digest('base64').replaceAll('+', '.').slice(0, 53)}`
