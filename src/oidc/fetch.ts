import { LRUCache } from 'lru-cache'
import type { Fetch } from '../platform/fetch.ts'

/** The most bytes of a document that a client points to: its keys, or the addresses of a sector. */
const maxBytes = 65_536

/** How long a document is kept at most, in seconds, whatever its server says: keys that were withdrawn go. */
const longestKept = 3600

/** How long an address that did not answer is left alone, in milliseconds. */
const restMs = 10_000

/**
 * The engine's way out: the program's own, with its checks of addresses, its limits, and no redirect followed. A document
 * that could not be had is not asked for again at once: anybody can make a client's keys be looked up.
 */
export const engineFetch = (fetch: Fetch) => {
  const failed = new LRUCache<string, true>({ max: 1000, ttl: restMs })
  const ask = asking(fetch)
  return async (url: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const target = url instanceof Request ? url.url : String(url)
    const reads = (init.method ?? 'GET') === 'GET'
    if (reads && failed.has(target)) throw new Error('A request to another server has just failed')
    try {
      const response = await ask(target, init)
      if (reads && response.status !== 200) failed.set(target, true)
      return response
    } catch (error) {
      if (reads) failed.set(target, true)
      throw error
    }
  }
}

const asking =
  (fetch: Fetch) =>
  async (target: string, init: RequestInit): Promise<Response> => {
    const headers = Object.fromEntries(new Headers(init.headers))
    const sent = init.body instanceof URLSearchParams ? String(init.body) : init.body
    const body = typeof sent === 'string' ? { body: sent } : {}
    const reply = await fetch(target, { method: init.method ?? 'GET', headers, timeoutMs: 3_000, maxBytes, ...body })
    const empty = reply.status === 204 || reply.status === 304
    return new Response(empty ? null : reply.text(), { status: reply.status, headers: kept(reply.headers) })
  }

/** What the engine looks at: what the answer is, and how long it may be kept. */
const kept = ({
  'content-type': type,
  'cache-control': control = '',
}: Record<string, string>): Record<string, string> => {
  const seconds = Number(control.match(/max-age=(\d{1,9})/)?.[1] ?? 0)
  const age = { 'cache-control': `max-age=${Math.min(seconds, longestKept)}` }
  return type === undefined ? age : { ...age, 'content-type': type }
}
