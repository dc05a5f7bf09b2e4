import { Resolver } from 'node:dns/promises'

/** Asks the domain name system. */
export interface Dns {
  /**
   * The texts at a name (RFC 1035 section 3.3.14), each put together from its strings, aliases followed; none where there
   * is no such name, and no more than the first hundred. Throws where nobody has answered in time.
   */
  texts(name: string): Promise<string[]>
}

interface DnsOptions {
  /** Addresses with or without a port; those of the system where none is given. */
  servers: readonly string[]
  /** Milliseconds for the whole question, whoever is asked. */
  timeoutMs?: number
}

/** Opens the way to some servers. Nothing is remembered from one question to the next. */
export const openDns = ({ servers, timeoutMs = 3_000 }: DnsOptions): Dns => ({
  async texts(name) {
    const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / 3), tries: 2 })
    if (servers.length > 0) resolver.setServers(servers)
    const timer = setTimeout(() => resolver.cancel(), timeoutMs)
    try {
      const records = await resolver.resolveTxt(name)
      return records.slice(0, most.records).map((strings) => strings.join('').slice(0, most.characters))
    } catch (cause) {
      if (nothing.has((cause as { code?: string }).code ?? '')) return []
      throw new Error('The domain name system did not answer', { cause })
    } finally {
      clearTimeout(timer)
    }
  },
})

/** Whether these can be asked. */
export const areServers = (servers: readonly string[]): boolean => {
  try {
    new Resolver().setServers(servers)
    return true
  } catch {
    return false
  }
}

const most = { records: 100, characters: 1000 }

// NXDOMAIN, and a name without texts.
const nothing = new Set(['ENOTFOUND', 'ENODATA'])
