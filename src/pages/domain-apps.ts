import type { IncomingMessage, RequestListener } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Changes } from '../db/changes.ts'
import type { ActiveDomains } from '../directory/active-domains.ts'
import type { Active } from '../directory/domains.ts'
import type { Issuers } from '../oidc/providers.ts'
import { openTrust } from '../platform/http/proxies.ts'
import type { Services } from '../services.ts'

/** A workspace at a domain: what answers there, and its issuer for jobs. */
export interface DomainApp {
  answer: RequestListener
  issuers: Issuers
}

/** The applications of domains, made when somebody comes. */
export interface DomainApps {
  get(active: Active): DomainApp
}

interface Options {
  changes: Changes
  make(active: Active, changes: Changes): DomainApp
  /** How many are kept ready at once. */
  most?: number
}

/** One application a domain; it hears of changes for as long as it is kept. */
export const openDomainApps = ({ changes, make, most = 2000 }: Options): DomainApps => {
  const apps = new LRUCache<string, { app: DomainApp; hear(changed: string): void }>({ max: most })
  changes.subscribe((changed) => {
    for (const { hear } of apps.values()) hear(changed)
  })
  return {
    get(active) {
      const key = `${active.origin} ${active.workspaceId} ${active.slug}`
      const known = apps.get(key)
      if (known) return known.app
      const hearers: ((changed: string) => void)[] = []
      const app = make(active, { ...changes, subscribe: (hear) => void hearers.push(hear) })
      apps.set(key, { app, hear: (changed) => hearers.forEach((one) => void one(changed)) })
      return app
    },
  }
}

interface Choosing {
  services: Services
  domains: ActiveDomains
  atHome: RequestListener
  domainApps: DomainApps
}

/**
 * Answers at a workspace's domain where the request names one that is active, and at PUBLIC_URL else. What a request says
 * of its host chooses among those, and is never said again (security.md, decision 6).
 */
export const chooseApp = ({ services, domains, atHome, domainApps }: Choosing): RequestListener => {
  const named = openNamed(services)
  return async (request, response) => {
    for (const host of named(request)) {
      const active = await domains.at(host).catch(() => undefined)
      if (active) return domainApps.get(active).answer(request, response)
    }
    return atHome(request, response)
  }
}

/** Every issuer: at its domain where one is told that is active, else below PUBLIC_URL. */
export const everyIssuer = (atHome: Issuers, domains: ActiveDomains, domainApps: DomainApps): Issuers => ({
  async find(slug, origin) {
    const active = origin ? await domains.at(new URL(origin).host) : undefined
    return active?.slug === slug ? domainApps.get(active).issuers.find(slug) : atHome.find(slug)
  },
})

/** The hosts that a request may be for: its own, or else what a proxy that we trust says. None is PUBLIC_URL's. */
const openNamed = ({ config }: Services): ((request: IncomingMessage) => string[]) => {
  const isTrusted = openTrust(config.trustedProxies)
  const home = new URL(config.publicUrl).host
  return ({ headers, socket }) => {
    const own = headers.host?.toLowerCase() ?? ''
    if (own === home) return []
    const forwarded = headers['x-forwarded-host']
    const told = typeof forwarded === 'string' && isTrusted(socket.remoteAddress ?? '') ? forwarded.toLowerCase() : home
    return told === home ? [own] : [own, told]
  }
}
