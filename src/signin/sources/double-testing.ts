import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readConfig } from '../../config.ts'
import type { Identifier } from '../../directory/identifiers.ts'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { type Fetch, openFetch } from '../../platform/fetch.ts'
import type { OpenSource, Source, SourceTools } from './source.ts'

/** What a source may have to say of somebody who typed the right password. */
export type State = 'ok' | 'must_reset' | 'must_change' | 'mfa_required' | 'blocked'

/** Somebody whom a double knows. */
export interface Person {
  email: string
  password: string
  state?: State
  /** True where nothing else is said. */
  verified?: boolean
  roles?: string[]
  tenant?: string
  name?: string
}

/** How a double misbehaves, whoever is asked of. */
export type Fault =
  /** It asks for fewer questions, and for 7 seconds of peace where it can say so. */
  | 'rate_limited'
  /** It answers after ten seconds. */
  | 'slow'
  /** It answers, and takes ten seconds for the body. */
  | 'dripping'
  | 'error'
  /** Half of the right answer, and then the connection ends. */
  | 'half_body'
  /** A page for people with status 200. */
  | 'html'
  /** The right answer with numbers for text and text for lists. */
  | 'wrong_types'
  /** What is right for somebody else, whose address is `other@example.org`. */
  | 'other_user'
  /** More bytes than anybody reads. */
  | 'flood'
  /** It sends to another address of its own, whose visits `followed` counts. */
  | 'redirect'
  /** Nobody listens. */
  | 'refused'
  /** It does not take the settings that it is asked with. */
  | 'unauthorized'

/** A source and what can be shown of it; one line of the conformance suite. */
export interface Bench {
  source: Source
  /** What it can say of people. */
  states: readonly State[]
  /** What can befall it; a source without a network knows no redirect. */
  faults: readonly Fault[]
  open(): Promise<SourceDouble>
}

/** What stands behind a source in a test: answers as strictly as the real thing, and as badly as it is told to. */
export interface SourceDouble {
  /** Settings that lead here, as an operator types them. */
  settings: Record<string, unknown>
  /** The source on these settings; `allow` stands for EGRESS_ALLOW, and lets it come here if absent. */
  open(allow?: readonly string[]): OpenSource
  add(person: Person): void
  /** Undefined: as it should. */
  behave(fault: Fault | undefined): void
  /** How many requests came here, and how many of them only because somebody followed a redirect. */
  reached(): number
  followed(): number
  close(): Promise<void>
}

export const loopback: readonly string[] = ['127.0.0.1']

/** All that can befall who speaks HTTP. */
export const httpFaults: readonly Fault[] = [
  'rate_limited',
  'slow',
  'dripping',
  'error',
  'half_body',
  'html',
  'wrong_types',
  'other_user',
  'flood',
  'redirect',
  'refused',
  'unauthorized',
]

/** What a source is opened with in a test; `others` takes the place of any of it, such as a sandbox. */
export const sourceTools = (
  allow: readonly string[] = loopback,
  others: Partial<SourceTools> & { clock?: Clock; fetch?: Fetch } = {},
): SourceTools => ({
  fetch: openFetch({ allow }),
  clock: systemClock,
  config: readConfig({ NODE_ENV: 'test', EGRESS_ALLOW: allow.join(',') }),
  sandbox: { run: () => assert.fail('nothing is run here'), close: async () => {} },
  ...others,
})

export const emailOf = (email: string): Identifier => ({ kind: 'email', value: email.toLowerCase(), typed: email })

/** What one request asks of a double. */
export interface Asked {
  method: string
  url: URL
  headers: IncomingMessage['headers']
  body: string
}

/** What a double answers; JSON where the body is no text. */
export interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

/** What a double that speaks HTTP is made of: the right answers, and those of its own faults. */
export interface Manners {
  answer(asked: Asked, fault: Fault | undefined): Answer | Promise<Answer>
  /** How it says that it was asked too often. */
  rateLimited: Answer
  /** How it says that the settings are wrong. */
  unauthorized: Answer
}

/** A server on loopback that misbehaves as it is told; what it knows of a protocol is in its manners. */
export const openHttpDouble = async (manners: Manners) => {
  let fault: Fault | undefined
  let reached = 0
  let followed = 0
  const seen: Asked[] = []
  const server = createServer(async (request, response) => {
    reached += 1
    const asked = await read(request)
    if (asked.url.pathname === '/elsewhere') followed += 1
    else seen.push(asked)
    const answer = fault === 'rate_limited' ? manners.rateLimited : await manners.answer(asked, fault)
    misbehave(fault, fault === 'unauthorized' ? manners.unauthorized : answer, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () =>
    new Promise<void>((resolve) => {
      if (!server.listening) return resolve()
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    reached: () => reached,
    followed: () => followed,
    close,
    behave(next: Fault | undefined) {
      fault = next
      if (fault === 'refused') server.close().closeAllConnections()
      else if (!server.listening) server.listen(port, '127.0.0.1')
    },
  }
}

const read = async (request: IncomingMessage): Promise<Asked> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const url = new URL(request.url ?? '/', 'http://double.test')
  return { method: request.method ?? '', url, headers: request.headers, body: Buffer.concat(chunks).toString() }
}

const misbehave = (fault: Fault | undefined, answer: Answer, response: ServerResponse): void => {
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? '')
  const body = answer.body === undefined ? '' : text
  const head = { 'content-type': 'application/json', ...answer.headers }
  const send = (status = answer.status, sent = body, headers: Record<string, string> = head) =>
    response.writeHead(status, headers).end(sent)
  const later = (then: () => void) => setTimeout(then, 10_000).unref()
  switch (fault) {
    case 'slow':
      return void later(send)
    case 'dripping':
      response.writeHead(answer.status, head).write(body.slice(0, 1))
      return void later(() => response.end(body.slice(1)))
    case 'error':
      return void send(500, '{"error":"server_error"}')
    case 'half_body':
      response.writeHead(answer.status, { ...head, 'content-length': String(Buffer.byteLength(body) + 1) })
      response.write(body.slice(0, body.length / 2))
      return void setTimeout(() => response.destroy(), 20)
    case 'html':
      return void send(200, '<!doctype html><title>Sign in</title><h1>Welcome</h1>', { 'content-type': 'text/html' })
    case 'flood':
      return void send(200, `"${'x'.repeat(3_000_000)}"`)
    case 'redirect':
      return void send(302, '', { location: '/elsewhere' })
    case 'wrong_types':
      return void send(answer.status, JSON.stringify(garble(answer.body)))
    default:
      return void send()
  }
}

/** The same shape with everything of another type. */
const garble = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(garble)
  if (typeof value === 'string') return 42
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, garble(held)]))
  return 'yes'
}
