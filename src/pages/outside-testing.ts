import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { PoolSource } from '../directory/pool-source.ts'
import * as pools from '../directory/pools.ts'
import type { TestLido } from '../testing.ts'
import { makeClient, makeWorkspace } from './fixtures-testing.ts'

/** Somebody at the source, as its server tells of them, and the password that it knows. */
export interface There {
  id: string
  email: string
  password: string
  email_verified?: boolean
  [field: string]: unknown
}

/** One question to the source. */
export interface Question {
  call: 'check' | 'find'
  identifier: string
  typed: string
  password?: string
  ip?: string
}

/** A source that answers over HTTP: who is there, what it was asked, and how it answers for a while. */
export interface Outside {
  url: string
  people: Map<string, There>
  asked: Question[]
  /** Milliseconds that every answer takes. */
  latency: number
  /** Answers in the place of the source. */
  instead: ((question: Question) => { status: number; body?: string } | undefined) | undefined
  /** How many people a page of the list has, how many pages were asked for, and what comes in the place of one. */
  pageSize: number
  pages: number
  insteadOfList: (() => { status: number; body?: string } | undefined) | undefined
  add(person: Partial<There> & { email: string }): There
  /** Nobody listens any more, until it is called again. */
  hang(): void
  close(): Promise<void>
}

export const secretThere = 'correct horse battery there'

/** Opens a source on loopback that speaks as docs/http-source.md says. */
export const openOutside = async (): Promise<Outside> => {
  const people = new Map<string, There>()
  let hanging = false
  const answerTo = (question: Question): { status: number; body?: string } => {
    const person = people.get(question.identifier)
    const told = outside.instead?.(question)
    if (told) return told
    if (!person) return { status: 404 }
    const { password, ...shown } = person
    if (question.call === 'check' && question.password !== password) return { status: 401 }
    return { status: 200, body: JSON.stringify(shown) }
  }
  const pageOf = (cursor: string | null): { status: number; body: string } => {
    outside.pages += 1
    const told = outside.insteadOfList?.()
    if (told) return { body: '', ...told }
    const from = Number(cursor ?? 0)
    const all = [...new Set(people.values())].map(({ password: _, ...shown }) => shown)
    const next = from + outside.pageSize < all.length ? String(from + outside.pageSize) : null
    return { status: 200, body: JSON.stringify({ users: all.slice(from, from + outside.pageSize), next }) }
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (hanging) return
    if (request.method === 'GET') {
      const { status, body } = pageOf(new URL(request.url ?? '/', outside.url).searchParams.get('cursor'))
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      return
    }
    const call = request.url?.endsWith('/check') ? 'check' : 'find'
    const question: Question = { call, ...JSON.parse(Buffer.concat(chunks).toString()) }
    outside.asked.push(question)
    if (outside.latency > 0) await new Promise((resolve) => setTimeout(resolve, outside.latency))
    const { status, body = '' } = answerTo(question)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const outside: Outside = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    people,
    asked: [],
    latency: 0,
    instead: undefined,
    pageSize: 100,
    pages: 0,
    insteadOfList: undefined,
    add(person) {
      const id = `there|${person.email.replace(/\W/g, '-')}`
      const added = { id, password: secretThere, email_verified: true, ...person }
      people.set(person.email.toLowerCase(), added)
      return added
    },
    hang() {
      hanging = !hanging
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return outside
}

type Settings = NonNullable<Parameters<typeof pools.create>[2]['settings']>

let made = 0

/** A workspace whose only pool is external and lives in a source; and its client `app`, that may use the password grant. */
export const makeExternal = async (
  lido: TestLido,
  outside: Pick<Outside, 'url'>,
  { source = {}, settings = {} }: { source?: Partial<PoolSource> | Record<string, unknown>; settings?: Settings } = {},
) => {
  made += 1
  const slug = `outside-${made}`
  const pool = await pools.create(lido.services.db, lido.services.clock.now(), {
    slug,
    name: `Pool ${slug}`,
    kind: 'external',
    source: {
      type: 'http',
      mode: 'migrate',
      settings: { url: outside.url, secret: 'the secret of the source' },
      ...source,
    } as PoolSource,
    settings,
  })
  const workspace = await makeWorkspace(lido, slug, [{ pool }])
  await makeClient(lido, workspace.id, { grant_types: ['authorization_code', 'refresh_token'] })
  return { pool, workspace, slug }
}

/** Changes a pool as an operator does, and waits until every door knows it. */
export const changePool = async (lido: TestLido, id: string, change: Partial<pools.Pool>): Promise<pools.Pool> => {
  const { db, clock } = lido.services
  const before = await pools.findById(db, id)
  if (!before) throw new Error('The pool is gone.')
  const after = await pools.update(db, clock.now(), before, { ...before, ...change } as never, { kind: 'system' })
  await new Promise((resolve) => setTimeout(resolve, 250))
  return after
}
