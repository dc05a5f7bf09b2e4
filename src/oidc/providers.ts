import type { JWTPayload } from 'jose'
import type { Context, Middleware } from 'koa'
import mount from 'koa-mount'
import { LRUCache } from 'lru-cache'
import type { Changes } from '../db/changes.ts'
import { isConnectionFailure } from '../db/connect.ts'
import { currentWork } from '../db/work.ts'
import type { ActiveDomains } from '../directory/active-domains.ts'
import { issuerOf, pathOf } from '../directory/address.ts'
import { openSecrets } from '../directory/client-secrets.ts'
import type { Client } from '../directory/clients.ts'
import * as resources from '../directory/resources.ts'
import { findBySlug, type Workspace } from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { tellWantedAcr } from './acr.ts'
import { openAdapter } from './adapter.ts'
import { keepPace } from './awaited.ts'
import { type TellOfLogout, tellByOutbox } from './backchannel.ts'
import { pingByOutbox } from './ciba.ts'
import { type ClientDocuments, clientFrom, takesDocument } from './client-documents.ts'
import { cachedClients, compareSecrets, engineClient, heldTo, keepClients, withResources } from './clients.ts'
import { configurationOf } from './configuration.ts'
import { endContexts } from './contexts.ts'
import { documents } from './documents.ts'
import { Provider } from './engine.ts'
import { withTypes } from './features/details.ts'
import { showFormPost } from './form-post.ts'
import { type GrantType, nameClosedGrants, registerGrants } from './grants/index.ts'
import { noteIssued } from './issued.ts'
import { keyStoreOf } from './key-store.ts'
import { noteEnded, skipNeedlessLogout } from './logout.ts'
import { placed } from './placed.ts'
import { posted } from './posted.ts'
import { limitPublicRequests, limitSignatures } from './public-requests.ts'
import { timePushed } from './pushed.ts'
import { noteRefusals } from './refusals.ts'
import { noteUse, registration } from './registration.ts'
import { refuseReplays } from './replay.ts'
import { tellSaid } from './said.ts'
import { settle } from './settle.ts'
import { sign as signed } from './signing-keys.ts'
import { guardUserCodes, leaveNewSessions, showUserCode } from './user-codes.ts'
import type { EnginePages, Reload } from './wiring.ts'

/** A workspace at work: its engine, mounted under its address, and its clients. */
export interface Issuer {
  workspace: Workspace
  provider: Provider
  middleware: Middleware
  /** What it gives access tokens for, as operators have described it. */
  resources: readonly resources.Resource[]
  findClient(id: string): Promise<Client | undefined>
  /** A token of the workspace for somebody else than a client, by its RS256 key. */
  sign(typ: string, claims: JWTPayload): Promise<string>
  /** Sends a client a logout token of a session that has ended; throws where it cannot be told. */
  tellOfLogout: TellOfLogout
}

export interface Issuers {
  /** The issuer of a slug, built on first use; undefined where there is none. At a domain's origin where that is told. */
  find(slug: string, origin?: string | null): Promise<Issuer | undefined>
}

interface Options {
  services: Services
  changes: Changes
  pages: EnginePages
  reload: Reload
  grants: GrantType[]
  domains: ActiveDomains
  /** What this node keeps of clients' documents, wherever it answers. */
  clientDocuments: ClientDocuments
  /** PUBLIC_URL, also where these are answered at a domain of their own. */
  home: string
  /** The origin that they are answered at; null below PUBLIC_URL. */
  origin: string | null
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

/** Finds the clients of a workspace that are known by a document at their address. */
const documentsOf = ({ clientDocuments: find, pages }: Options, workspace: Workspace) => {
  const { registration: policy } = workspace.settings
  const made = new WeakMap<object, Client | undefined>()
  return async (id: string): Promise<Client | undefined> => {
    if (!takesDocument(id, policy)) return undefined
    const asking = Provider.ctx as Context | undefined
    const document = await find(id, async () => asking === undefined || pages.mayFetch(asking, workspace))
    if (!document) return undefined
    if (!made.has(document)) {
      const client = clientFrom(id, document, policy)
      made.set(document, client && withResources(client, workspace))
    }
    return made.get(document)
  }
}

const buildIssuer = async (options: Options, slug: string): Promise<Kept | undefined> => {
  const { services, pages, grants, reload, domains, home, origin } = options
  const { db, clock, config } = services
  const found = /^[a-z0-9][a-z0-9-]{0,62}$/.test(slug) ? await findBySlug(db, slug) : undefined
  if (!found) return undefined
  const workspace = placed(found, { origin, home, domains: await domains.of(found.id) })
  const signingKeys = await (await keyStoreOf(services, workspace)).load(clock.now())
  const findClient = cachedClients(services, workspace, documentsOf(options, workspace))
  const secretsOf = (client: Client) => openSecrets(services.keyring, workspace.id, client)
  const declared = await resources.all(db, workspace.id)
  const engineClientOf = async (id: string) =>
    withTypes(engineClient(heldTo(config, await findClient(id)), secretsOf), declared)
  const adapter = openAdapter({ services, workspace, findClient: engineClientOf })
  const configuration = configurationOf({
    services,
    workspace,
    keys: signingKeys,
    resources: declared,
    adapter,
    pages,
    reload,
  })
  const provider = new Provider(issuerOf(config, workspace), configuration)
  harden(provider, services)
  refuseReplays(provider, services, workspace)
  limitPublicRequests(provider, pages, workspace)
  if (signingKeys.keys.some((key) => key.is === 'far')) limitSignatures(provider, pages, workspace)
  tellWantedAcr(provider)
  tellSaid(provider)
  endContexts(provider, workspace)
  keepPace(provider, services, workspace)
  guardUserCodes(provider, pages, workspace)
  leaveNewSessions(provider)
  pingByOutbox(provider)
  timePushed(provider, clock, workspace)
  noteRefusals(provider)
  noteIssued(provider, services, workspace)
  noteEnded(provider, services, workspace)
  compareSecrets(provider)
  keepClients(provider, findClient, secretsOf)
  const tellOfLogout = tellByOutbox(provider)
  registerGrants(provider, grants, { workspace, keys: signingKeys, resources: declared, findClient })
  noteUse(provider, services, workspace)
  provider.use(documents(services, workspace))
  provider.use(registration({ services, workspace, provider, pages }))
  provider.use(posted(workspace))
  provider.use(showUserCode)
  provider.use(settle({ services, workspace }))
  provider.use(showFormPost(pages, workspace))
  provider.use(skipNeedlessLogout(pages, workspace))
  provider.use(nameClosedGrants)
  const sign = (typ: string, claims: JWTPayload) => signed(signingKeys, typ, { iss: provider.issuer, ...claims })
  const middleware = mount(pathOf(workspace) || '/', provider as unknown as Parameters<typeof mount>[1]) as Middleware
  return {
    issuer: { workspace, provider, resources: declared, findClient, middleware, sign, tellOfLogout },
    until: signingKeys.changesAt,
  }
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
