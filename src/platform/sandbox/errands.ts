import type { Fetch, Reply } from '../fetch.ts'
import { limits } from './runner/limits.ts'
import type { Answer, Request } from './runner/protocol.ts'

/** Where a script's requests may go, and what is put into their headers on the way. */
export interface Reach {
  origins: readonly string[]
  secrets: Readonly<Record<string, string>>
}

/** Sends one run's requests; an answer always comes. */
export type Errands = (request: Request) => Promise<Answer>

/** What a script asks for is sent by us, who look at where it goes; the request itself comes from a child nobody trusts. */
export const openErrands = (fetch: Fetch, { origins, secrets }: Reach): Errands => {
  let sent = 0
  return async (request) => {
    const id = Number(request.id)
    try {
      sent += 1
      if (sent > limits.fetches) throw new Refusal(`A run may fetch ${limits.fetches} times`)
      const { url, ...init } = checked(request, origins, secrets)
      const reply = await fetch(url, { ...init, timeoutMs: limits.fetchTime, maxBytes: limits.fetchBytes })
      return { id, ok: true, ...hide(reply, secrets) }
    } catch (error) {
      return { id, ok: false, detail: error instanceof Refusal ? error.message : 'The request failed' }
    }
  }
}

class Refusal extends Error {}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

const checked = ({ url, method, headers, body }: Request, origins: readonly string[], secrets: Reach['secrets']) => {
  const target = URL.parse(String(url))
  if (!target || !origins.includes(target.origin)) throw new Refusal('The origin is not among the allowed origins')
  if (target.username || target.password) throw new Refusal('An address may hold no user and no password')
  if (!methods.includes(method)) throw new Refusal(`The method has to be one of ${methods.join(', ')}`)
  if (body !== undefined && typeof body !== 'string') throw new Refusal('The body has to be a string')
  if (body && Buffer.byteLength(body) > limits.fetchBody) throw new Refusal('The body is too long')
  return { url: target.href, method, headers: filled(headers, secrets), ...(body === undefined ? {} : { body }) }
}

// Those that say where a request goes or where it ends: a `Host` of another name would leave the allowed origin.
const ours = /^(host|connection|content-length|expect|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i
const headerName = /^[\w!#$%&'*+.^`|~-]+$/

const filled = (headers: unknown, secrets: Reach['secrets']): Record<string, string> => {
  const entries = Object.entries(headers ?? {})
  if (JSON.stringify(entries).length > limits.fetchBody) throw new Refusal('The headers are too long')
  return Object.fromEntries(entries.map(([name, value]) => [permitted(name), fill(String(value), secrets)]))
}

const permitted = (name: string): string => {
  if (!headerName.test(name) || ours.test(name)) throw new Refusal(`The header ${name.slice(0, 50)} cannot be set`)
  return name
}

const fill = (value: string, secrets: Reach['secrets']): string =>
  value.replaceAll(/\{\{secret:([\w-]+)\}\}/g, (_all, name: string) => {
    if (!Object.hasOwn(secrets, name)) throw new Refusal(`There is no secret called ${name}`)
    return secrets[name] ?? ''
  })

/** The answer, without the secrets that a server may repeat in it. */
const hide = (reply: Reply, secrets: Reach['secrets']) => {
  const values = Object.entries(secrets).filter(([, value]) => value !== '')
  const clean = (text: string) =>
    values.reduce((cleaned, [name, value]) => cleaned.replaceAll(value, () => `{{secret:${name}}}`), text)
  const headers = Object.entries(reply.headers).map(([name, value]) => [name, clean(value)])
  return { status: reply.status, headers: Object.fromEntries(headers), text: clean(reply.text()) }
}
