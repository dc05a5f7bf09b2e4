import { readFile } from 'node:fs/promises'
import {
  type Answer,
  type Asked,
  type Bench,
  type Fault,
  httpFaults,
  loopback,
  openHttpDouble,
  type Person,
  type SourceDouble,
  sourceTools,
} from './double-testing.ts'
import { httpSource } from './http.ts'
import type { OpenSource } from './source.ts'

export const httpBench: Bench = {
  source: httpSource,
  states: ['ok', 'must_change', 'mfa_required', 'must_reset', 'blocked'],
  faults: httpFaults,
  open: () => openHttpSourceDouble(),
}

export const secret = 'canary secret of both sides'

/** Checks a request as docs/http-source.md tells the other side to: this is the very code that stands there. */
export const isFromLido: (secret: string, headers: Asked['headers'], body: string) => boolean = await (async () => {
  const page = await readFile(new URL('../../../docs/http-source.md', import.meta.url), 'utf8')
  const [, code = ''] = /```js\n(.*?)```/s.exec(page) ?? []
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).isFromLido
})()

export interface HttpSourceDouble extends SourceDouble {
  seen: readonly Asked[]
  /** What it answers instead, whoever is asked of. */
  say(answer: Answer | undefined): void
  open(allow?: readonly string[], settings?: Record<string, unknown>): OpenSource
}

/** A server of the operator's that knows its people, under `/people`. */
export const openHttpSourceDouble = async (): Promise<HttpSourceDouble> => {
  const people: Person[] = []
  let said: Answer | undefined
  const server = await openHttpDouble({
    answer: (asked, fault) => said ?? answer(people, asked, fault),
    rateLimited: { status: 429, headers: { 'retry-after': '7' } },
    unauthorized: { status: 403 },
  })
  const settings = { url: `${server.url}/people/`, secret, tenant_id_field: 'organisation' }
  return {
    ...server,
    settings,
    add: (person) => people.push(person),
    say(next) {
      said = next
    },
    open: (allow = loopback, others = {}) =>
      httpSource.open(
        httpSource.settings.parse({ ...settings, ...others }) as Parameters<typeof httpSource.open>[0],
        sourceTools(allow),
      ),
  }
}

const answer = (people: Person[], asked: Asked, fault: Fault | undefined): Answer => {
  if (!isFromLido(secret, asked.headers, asked.body)) return { status: 403 }
  const call = `${asked.method} ${asked.url.pathname}`
  if (call === 'GET /people/users') return list(people, asked)
  if (call !== 'POST /people/check' && call !== 'POST /people/find') return { status: 404, body: '<h1>Not found</h1>' }
  if (asked.headers['content-type'] !== 'application/json') return { status: 415 }
  const { identifier, kind, password } = JSON.parse(asked.body)
  const name = fault === 'other_user' ? 'other@example.org' : identifier
  const person = people.find(({ email }) => kind === 'email' && email.toLowerCase() === name)
  if (!person) return { status: 404 }
  if (call === 'POST /people/find')
    return person.state === 'blocked' ? { status: 423 } : { status: 200, body: told(person) }
  return check(person, fault === 'other_user' ? person.password : password)
}

const check = (person: Person, password: unknown): Answer => {
  if (person.state === 'blocked') return { status: 423 }
  if (person.state === 'must_reset') return { status: 409, body: told(person) }
  if (password !== person.password) return { status: 401 }
  const flags = { must_change: person.state === 'must_change', mfa: person.state === 'mfa_required' }
  return { status: 200, body: { ...told(person), ...flags } }
}

const told = (person: Person) => ({
  id: `p-${person.email.length}-${person.email.charCodeAt(0)}`,
  email: person.email,
  email_verified: person.verified ?? true,
  profile: person.name === undefined ? {} : { name: person.name },
  metadata: person.tenant === undefined ? {} : { organisation: person.tenant },
  roles: person.roles ?? [],
})

const list = (people: Person[], asked: Asked): Answer => {
  const start = Number(asked.url.searchParams.get('cursor') ?? 0)
  const next = start + 100 < people.length ? String(start + 100) : null
  return { status: 200, body: { users: people.slice(start, start + 100).map(told), next } }
}
