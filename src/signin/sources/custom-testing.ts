import { readFile } from 'node:fs/promises'
import { openFetch } from '../../platform/fetch.ts'
import { openLog } from '../../platform/log.ts'
import { openSandbox } from '../../platform/sandbox.ts'
import { custom } from './custom.ts'
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
import type { OpenSource, SourceTools } from './source.ts'

/** The scripts of docs/custom-source.md, in their order. */
export const documented: readonly string[] = await (async () => {
  const page = await readFile(new URL('../../../docs/custom-source.md', import.meta.url), 'utf8')
  return [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code)
})()

export const customBench: Bench = {
  source: custom,
  states: ['ok', 'must_change', 'mfa_required', 'must_reset', 'blocked'],
  faults: httpFaults,
  open: () => openDouble(),
}

const sandboxes = new Map<string, SourceTools>()

/** What a custom source is opened with: one sandbox for all who may reach the same. */
const toolsFor = (allow: readonly string[]): SourceTools => {
  const known = sandboxes.get(allow.join())
  if (known) return known
  const fetch = openFetch({ allow })
  const tools = sourceTools(allow, { fetch, sandbox: openSandbox({ fetch, log: openLog({ level: 'silent' }) }) })
  sandboxes.set(allow.join(), tools)
  return tools
}

/** Ends the sandboxes that were opened, after a test file; files share a process. */
export const endSandboxes = async (): Promise<void> => {
  const ended = [...sandboxes.values()]
  sandboxes.clear()
  await Promise.all(ended.map(({ sandbox }) => sandbox.close()))
}

/** A custom source on these settings. */
export const openCustom = (settings: unknown, allow: readonly string[] = loopback): OpenSource =>
  custom.open(custom.settings.parse(settings) as Parameters<typeof custom.open>[0], toolsFor(allow))

const key = 'canary key of the interface'

/** The documented script with an HTTP interface, and that interface. */
const openDouble = async (): Promise<SourceDouble> => {
  const people: Person[] = []
  const server = await openHttpDouble({
    answer: (asked, fault) => answer(people, asked, fault),
    rateLimited: { status: 429, headers: { 'retry-after': '7' } },
    unauthorized: { status: 403 },
  })
  const settings = {
    code: documented[0]?.replace('https://people.example.org', server.url),
    secrets: { API_KEY: key },
    allowed_origins: [server.url],
    tenant_id_field: 'organisation',
  }
  return {
    ...server,
    settings,
    add: (person) => people.push(person),
    open: (allow = loopback) => openCustom(settings, allow),
  }
}

const answer = (people: Person[], { method, url, headers, body }: Asked, fault: Fault | undefined): Answer => {
  if (method !== 'POST' || headers['content-type'] !== 'application/json') return { status: 400 }
  if (headers.authorization !== `Bearer ${key}`) return { status: 403 }
  const { email, password } = JSON.parse(body)
  const name = fault === 'other_user' ? 'other@example.org' : email
  const person = people.find((one) => one.email === name)
  if (!person) return { status: 404 }
  if (person.state === 'blocked') return { status: 423 }
  if (url.pathname === '/lookup') return { status: 200, body: { state: 'ok', person: told(person) } }
  const wrong = person.state !== 'must_reset' && fault !== 'other_user' && person.password !== password
  return wrong ? { status: 401 } : { status: 200, body: { state: person.state ?? 'ok', person: told(person) } }
}

const told = ({ email, name, verified = true, roles = [], tenant }: Person) => ({
  id: `p-${email.length}-${email.charCodeAt(0)}`,
  email,
  name,
  verified,
  organisation: tenant,
  roles,
})
