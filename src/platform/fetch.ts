import { lookup as systemLookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

export interface Reply {
  status: number
  /** Names in lower case; what came several times is joined by commas. */
  headers: Record<string, string>
  text(): string
  /** Throws where the text is no JSON. */
  json(): unknown
}

/**
 * The only way out to other servers. It follows no redirect, and rejects with one and the same message whatever went
 * wrong, since whoever typed an address may be asking what is behind it; the cause is for the log.
 */
export type Fetch = (
  url: string,
  init?: {
    method?: string
    headers?: Record<string, string>
    body?: string | Uint8Array
    /** Milliseconds for the whole exchange, from the name look-up to the last byte; 3,000 by default. */
    timeoutMs?: number
    /** The most bytes of an answer's body; 1 MiB by default. */
    maxBytes?: number
  },
) => Promise<Reply>

interface FetchOptions {
  /** Addresses, CIDR ranges and `host:port`s that may be reached although they are not public, also by plain http. */
  allow: readonly string[]
  lookup?: Lookup
}

type Lookup = (name: string) => Promise<{ address: string; family: number }[]>

/** Reaches public addresses by https, and those on the list; throws where an entry of the list cannot be read. */
export const openFetch = ({ allow, lookup = everyAddress }: FetchOptions): Fetch => {
  const rules = allow.map(parseRule)
  const dispatcher = once(() => openAgent(rules, lookup))
  return async (url, { method = 'GET', headers, body, timeoutMs = 3_000, maxBytes = 1_048_576 } = {}) => {
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const target = checkTarget(url, rules)
      const { agent, request } = await dispatcher()
      const asked = request(target, { method, headers, body, signal, dispatcher: agent })
      const answer = await Promise.race([asked, expiry(signal)])
      const text = await readBody(answer.body, maxBytes)
      return { status: answer.statusCode, headers: flatten(answer.headers), text: () => text, json: () => parse(text) }
    } catch (cause) {
      throw failure(cause)
    }
  }
}

type Address = ipaddr.IPv4 | ipaddr.IPv6

type Rule = (host: string, port: number, address: Address) => boolean

const parseRule = (entry: string): Rule => {
  if (isIP(entry)) return within([ipaddr.process(entry), ipaddr.process(entry).kind() === 'ipv4' ? 32 : 128])
  if (ipaddr.isValidCIDR(entry)) return within(ipaddr.parseCIDR(entry))
  const [, name = '', digits] = /^(.+):(\d{1,5})$/.exec(entry) ?? []
  const host = URL.parse(`https://${name}`)?.hostname
  if (!host) throw new Error(`Not an address, a CIDR range or host:port: ${entry}`)
  const literal = isIP(bare(host)) ? parseRule(bare(host)) : undefined
  return (asked, port, address) => port === Number(digits) && (literal ? literal(asked, port, address) : asked === host)
}

const within =
  (range: [Address, number]): Rule =>
  (_host, _port, address) =>
    address.kind() === range[0].kind() && address.match(range)

// An address in disguise (IPv4 inside IPv6) is judged by what it stands for. Of IPv6 only 2000::/3 is public.
const permits = (rules: Rule[], url: URL, address: string): boolean => {
  const ip = ipaddr.process(address)
  if (rules.some((rule) => rule(url.hostname, portOf(url), ip))) return true
  return url.protocol === 'https:' && ip.range() === 'unicast' && (ip instanceof ipaddr.IPv4 || isGlobal(ip))
}

const isGlobal = ({ parts: [first = 0] }: ipaddr.IPv6): boolean => first >> 13 === 1

const portOf = ({ port, protocol }: URL): number => Number(port) || (protocol === 'https:' ? 443 : 80)

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

// Sockets look no literal address up, so it is checked here; URL has read every spelling of it (0x7f.1, 2130706433).
const checkTarget = (text: string, rules: Rule[]): URL => {
  const url = new URL(text)
  if (!['https:', 'http:'].includes(url.protocol)) throw refusal()
  if (url.username || url.password) throw refusal()
  const host = bare(url.hostname)
  if (isIP(host) && !permits(rules, url, host)) throw refusal()
  return url
}

/** Loaded at its first use: the package takes 50 ms and 20 MB. */
const openAgent = async (rules: Rule[], lookup: Lookup) => {
  const { Agent, Pool, request } = await import('undici')
  const connect = (origin: URL) => ({ lookup: checkedLookup(rules, origin, lookup), timeout: 3_000 })
  const factory = (origin: string | URL) => new Pool(origin, { connections: 32, connect: connect(new URL(origin)) })
  return { agent: new Agent({ factory }), request }
}

/** The socket connects to what was checked; a name that means something else a moment later gains nothing. */
const checkedLookup =
  (rules: Rule[], origin: URL, lookup: Lookup): LookupFunction =>
  (name, { all }, done) => {
    const answer = (found: { address: string; family: number }[]) => {
      const permitted = found.filter(({ address }) => permits(rules, origin, address))
      const [first] = permitted
      if (!first) done(refusal(), '')
      else if (all) done(null, permitted)
      else done(null, first.address, first.family)
    }
    lookup(name).then(answer, (error) => done(error, ''))
  }

const everyAddress: Lookup = (name) => systemLookup(name, { all: true })

// undici heeds a signal only once it has a connection: not while a name is looked up or a server lets it wait.
const expiry = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))

const readBody = async (body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Error('The answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const flatten = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]))

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw failure(new Error('The answer is no JSON'))
  }
}

const failure = (cause: unknown): Error => new Error('A request to another server failed', { cause })

const refusal = (): Error => new Error('The address is not permitted')

const once = <Result>(open: () => Result): (() => Result) => {
  let opened: { result: Result } | undefined
  return () => {
    opened ??= { result: open() }
    return opened.result
  }
}
