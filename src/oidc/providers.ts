import type { Middleware } from 'koa'
import mount from 'koa-mount'
import { LRUCache } from 'lru-cache'
import type { Changes } from '../db/changes.ts'
import { isConnectionFailure } from '../db/connect.ts'
import { currentWork } from '../db/work.ts'
import type { Client } from '../directory/clients.ts'
import { findBySlug, type Workspace } from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { tellWantedAcr } from './acr.ts'
import { openAdapter } from './adapter.ts'
import { cachedClients, compareSecrets, engineClient, keepClients } from './clients.ts'
import { configurationOf } from './configuration.ts'
import { documents } from './documents.ts'
import { Provider } from './engine.ts'
import { type GrantType, nameClosedGrants, registerGrants } from './grants/index.ts'
import * as keys from './keys.ts'
import { skipNeedlessLogout } from './logout.ts'
import { posted } from './posted.ts'
import { noteRefusals } from './refusals.ts'
import { settle } from './settle.ts'
import type { EnginePages } from './wiring.ts'

/** A workspace at work: its engine, mounted under its address, and its clients. */
export interface Issuer {
  workspace: Workspace
  provider: Provider
  middleware: Middleware
  findClient(id: string): Promise<Client | undefined>
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
  const ready = new LRUCache<string, Kept>({ max: options.most ?? 2000 })
  const building = new Map<string, Promise<Issuer | undefined>>()
  options.changes.subscribe((changed) => {
    // What is being built may have read the old state: let it answer its own request, but do not keep it.
    building.clear()
    for (const [slug, { issuer }] of ready.entries()) if (concerns(changed, issuer.workspace)) ready.delete(slug)
  })

  const build = async (slug: string): Promise<Issuer | undefined> => {
    const built = await buildIssuer(options, slug)
    if (built && building.has(slug)) ready.set(slug, built)
    return built?.issuer
  }

  const findReady = (slug: string): Issuer | undefined => {
    const known = ready.get(slug)
    if (!known?.until || known.until > options.services.clock.now()) return known?.issuer
    ready.delete(slug)
    return undefined
  }

  return {
    async find(slug) {
      if (!options.changes.listening()) return (await buildIssuer(options, slug))?.issuer
      const known = findReady(slug) ?? building.get(slug)
      if (known) return known
      const promise = build(slug).finally(() => {
        if (building.get(slug) === promise) building.delete(slug)
      })
      building.set(slug, promise)
      return promise
    },
  }
}

/** An issuer that is ready, until its keys change places. */
interface Kept {
  issuer: Issuer
  until: Date | undefined
}

const concerns = (changed: string, { id, connections }: Workspace): boolean =>
  changed === 'everything' ||
  changed === `workspace:${id}` ||
  connections.some(({ pool }) => changed === `pool:${pool.id}`)

const buildIssuer = async ({ services, pages, grants }: Options, slug: string): Promise<Kept | undefined> => {
  const { db, keyring, clock, config } = services
  const workspace = /^[a-z0-9][a-z0-9-]{0,62}$/.test(slug) ? await findBySlug(db, slug) : undefined
  if (!workspace) return undefined
  const signingKeys = await keys.load(db, keyring, clock.now(), workspace.id)
  const findClient = cachedClients(services, workspace)
  const adapter = openAdapter({ services, workspace, findClient: async (id) => engineClient(await findClient(id)) })
  const configuration = configurationOf({ services, workspace, keys: signingKeys, adapter, pages })
  const provider = new Provider(`${config.publicUrl}/w/${slug}`, configuration)
  harden(provider, services)
  tellWantedAcr(provider)
  noteRefusals(provider)
  compareSecrets(provider)
  keepClients(provider, findClient)
  registerGrants(provider, grants, { workspace, findClient })
  provider.use(documents())
  provider.use(posted(workspace))
  provider.use(settle({ services, workspace }))
  provider.use(skipNeedlessLogout(pages, workspace))
  provider.use(nameClosedGrants)
  const middleware = mount(`/w/${slug}`, provider as unknown as Parameters<typeof mount>[1]) as Middleware
  return { issuer: { workspace, provider, findClient, middleware }, until: signingKeys.changesAt }
}

const harden = (provider: Provider, { log }: Services): void => {
  // Every ID token names its session, not only those of clients that hear of logouts.
  provider.Client.prototype.includeSid = () => true
  provider.on('server_error', (_ctx, error) => {
    const work = currentWork()
    const known = error instanceof Problem || isConnectionFailure(error)
    if (work && known) work.failure ??= error
    else log.error({ err: error, trace: work?.trace }, 'the engine failed')
  })
}
