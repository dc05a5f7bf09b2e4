import type { Middleware } from 'koa'
import mount from 'koa-mount'
import { LRUCache } from 'lru-cache'
import type { AdapterPayload } from 'oidc-provider'
import type { Changes } from '../db/changes.ts'
import * as clients from '../directory/clients.ts'
import { findBySlug, type Workspace } from '../directory/workspaces.ts'
import { sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { openAdapter } from './adapter.ts'
import { configurationOf, type EnginePages } from './configuration.ts'
import { documents } from './documents.ts'
import { Provider } from './engine.ts'
import { type GrantType, registerGrants } from './grants/index.ts'
import * as keys from './keys.ts'
import { settle } from './settle.ts'

/** A workspace at work: its engine, mounted under its address, and its clients. */
export interface Issuer {
  workspace: Workspace
  provider: Provider
  middleware: Middleware
  findClient(id: string): Promise<clients.Client | undefined>
}

export interface Issuers {
  /** The issuer of a slug, built on first use; undefined where there is none. */
  find(slug: string): Promise<Issuer | undefined>
}

interface Options {
  services: Services
  changes: Changes
  pages: EnginePages
  grants: GrantType[]
  /** How many workspaces are kept ready at once. */
  most?: number
}

/** One engine a workspace, built on first use and dropped on every node when anything of the workspace changes. */
export const openIssuers = (options: Options): Issuers => {
  const ready = new LRUCache<string, Issuer>({ max: options.most ?? 2000, ttlAutopurge: false })
  const building = new Map<string, Promise<Issuer | undefined>>()
  options.changes.subscribe((changed) => {
    // What is being built may have read the old state: let it answer its own request, but do not keep it.
    building.clear()
    for (const [slug, { workspace }] of ready.entries()) if (concerns(changed, workspace)) ready.delete(slug)
  })

  const build = async (slug: string): Promise<Issuer | undefined> => {
    const issuer = await buildIssuer(options, slug)
    if (issuer && building.has(slug)) {
      const { changesAt } = issuer
      const left = changesAt ? Math.max(1, changesAt.getTime() - options.services.clock.now().getTime()) : undefined
      ready.set(slug, issuer, { ...(left ? { ttl: left } : {}) })
    }
    return issuer
  }

  return {
    async find(slug) {
      if (!options.changes.listening()) return buildIssuer(options, slug)
      const known = ready.get(slug) ?? building.get(slug)
      if (known) return known
      const promise = build(slug).finally(() => {
        if (building.get(slug) === promise) building.delete(slug)
      })
      building.set(slug, promise)
      return promise
    },
  }
}

const concerns = (changed: string, { id, connections }: Workspace): boolean =>
  changed === 'everything' ||
  changed === `workspace:${id}` ||
  connections.some(({ pool }) => changed === `pool:${pool.id}`)

const buildIssuer = async (
  { services, pages, grants }: Options,
  slug: string,
): Promise<(Issuer & { changesAt: Date | undefined }) | undefined> => {
  const { db, keyring, clock, config } = services
  const workspace = /^[a-z0-9][a-z0-9-]{0,62}$/.test(slug) ? await findBySlug(db, slug) : undefined
  if (!workspace) return undefined
  const signingKeys = await keys.load(db, keyring, clock.now(), workspace.id)
  const findClient = cachedClients(services, workspace)
  const adapter = openAdapter({ services, workspace, findClient: async (id) => engineClient(await findClient(id)) })
  const configuration = configurationOf({ services, workspace, keys: signingKeys, adapter, pages })
  const provider = new Provider(`${config.publicUrl}/w/${slug}`, configuration)
  harden(provider, services)
  registerGrants(provider, grants, { workspace, findClient })
  provider.use(documents())
  provider.use(settle({ services, workspace }))
  return {
    workspace,
    provider,
    findClient,
    middleware: mount(`/w/${slug}`, provider as unknown as Parameters<typeof mount>[1]) as Middleware,
    changesAt: signingKeys.changesAt,
  }
}

/** Clients of a workspace, kept with its engine; a workspace may have very many, so only those in use are. */
const cachedClients = ({ db }: Services, workspace: Workspace) => {
  const kept = new LRUCache<string, { client: clients.Client | undefined }>({ max: 500 })
  return async (id: string): Promise<clients.Client | undefined> => {
    const known = kept.get(id)
    if (known) return known.client
    const client = id.length <= 255 && !id.includes('\0') ? await clients.find(db, workspace.id, id) : undefined
    if (client) kept.set(id, { client })
    return client
  }
}

/** A client as the engine reads it; undefined where it is switched off. */
const engineClient = (client: clients.Client | undefined): AdapterPayload | undefined => {
  if (client?.status !== 'active') return undefined
  const { id, metadata, secretHash } = client
  const code = metadata.grant_types.includes('authorization_code')
  return {
    ...metadata,
    client_id: id,
    ...(secretHash ? { client_secret: secretHash } : {}),
    response_types: code ? ['code'] : [],
  } as AdapterPayload
}

const harden = (provider: Provider, { log }: Services): void => {
  // Secrets are stored as their SHA-256; both hashes have one length, and equal hashes tell nothing of the secret.
  const compare = provider.Client.prototype.compareClientSecret
  provider.Client.prototype.compareClientSecret = function (actual: string) {
    return compare.call(this, sha256(actual))
  }
  provider.on('server_error', (_ctx, error) => log.error({ err: error }, 'the engine failed'))
}
