import type { RequestListener } from 'node:http'
import Koa, { type Context, type Middleware, type Next } from 'koa'
import { operatorsConsole } from './admin/console/index.ts'
import { admin } from './admin/index.ts'
import type { Changes } from './db/changes.ts'
import { emptyWork, withWork } from './db/work.ts'
import { type ActiveDomains, openActiveDomains } from './directory/active-domains.ts'
import type { Active } from './directory/domains.ts'
import { newTrace, traceIn } from './directory/traces.ts'
import { type ClientDocuments, openClientDocuments } from './oidc/client-documents.ts'
import type { GrantType } from './oidc/grants/index.ts'
import { tokenExchange } from './oidc/grants/token-exchange.ts'
import { type Issuers, openIssuers } from './oidc/providers.ts'
import { account } from './pages/account/index.ts'
import { callback } from './pages/callback.ts'
import { demo } from './pages/demo.ts'
import { development } from './pages/development.ts'
import { chooseApp, type DomainApp, everyIssuer, openDomainApps } from './pages/domain-apps.ts'
import { enginePages } from './pages/engine.ts'
import { invitation } from './pages/invitation.ts'
import type { Desk } from './pages/page.ts'
import { passwordGrantOf } from './pages/password-grant.ts'
import { problems } from './pages/problems.ts'
import { recover } from './pages/recover.ts'
import { keepRefusals } from './pages/refusals.ts'
import { lookAgain, signin } from './pages/signin.ts'
import { comeFromLeaving, leaveUpstream } from './pages/upstream-logout.ts'
import { upstreamMetadata } from './pages/upstream-metadata.ts'
import { verify } from './pages/verify.ts'
import { domainProof, insertedForm, wellKnown } from './pages/well-known.ts'
import { findAsset } from './platform/http/assets.ts'
import { openClientAddress } from './platform/http/proxies.ts'
import { openRender } from './platform/http/render.ts'
import { Problem } from './platform/problem.ts'
import { sha256 } from './platform/secrets.ts'
import type { Services } from './services.ts'
import { reload } from './signin/pools/reload.ts'

interface Options {
  services: Services
  changes: Changes
  /** Whether this node takes requests; readiness is switched off before it stops. */
  ready(): Promise<boolean>
}

/** The program as one Koa application: the middleware and the mounts, in order; with the issuers, for its jobs. */
export const createApp = ({ services, changes, ready }: Options): { answer: RequestListener; issuers: Issuers } => {
  const desk: Desk = { services, render: openRender() }
  const home = services.config.publicUrl
  const domains = openActiveDomains(services.db, changes)
  const grants = grantsOf(services)
  const clientDocuments = openClientDocuments(services)
  const issuers = openIssuers({
    services,
    changes,
    pages: enginePages(desk),
    grants,
    reload: reload(services),
    domains,
    clientDocuments,
    home,
    origin: null,
  })
  const app = beginApp(desk)
  app.use(operations(services, ready))
  app.use(assets)
  app.use(wellKnown(services, home))
  app.use(domainProof(services))
  app.use(admin(services, changes))
  app.use(operatorsConsole(services))
  app.use(callbacks(desk))
  app.use(upstreamsDocuments(services))
  app.use(insertedForm)
  app.use(workspaces(desk, issuers))
  if (services.config.env !== 'production') {
    app.use(development(desk))
    app.use(demo(desk))
  }
  const domainApps = openDomainApps({ changes, make: domainAppOf(desk, domains, clientDocuments) })
  const answer = chooseApp({ services, domains, atHome: app.callback(), domainApps })
  return { answer, issuers: everyIssuer(issuers, domains, domainApps) }
}

const grantsOf = (services: Services): GrantType[] => [passwordGrantOf(services), tokenExchange(services)]

/** What every application begins with, wherever it answers. */
const beginApp = (desk: Desk): Koa => {
  const { services } = desk
  const app = new Koa()
  app.keys = services.keyring.cookieSigner() as unknown as NonNullable<Koa['keys']>
  app.on('error', (error) => services.log.error({ err: error }, 'an answer could not be sent'))
  speakForConfiguration(app, services)
  app.use(observe(services))
  app.use(keepRefusals(services))
  app.use(problems(desk))
  app.use(refuseOddTargets)
  return app
}

/** A workspace alone, at a domain of its own: everything in it is told that this is where the program is. */
const domainAppOf =
  ({ services: atHome, render }: Desk, domains: ActiveDomains, clientDocuments: ClientDocuments) =>
  ({ origin, slug }: Active, changes: Changes): DomainApp => {
    const home = atHome.config.publicUrl
    const services = { ...atHome, config: { ...atHome.config, publicUrl: origin } }
    const desk: Desk = { services, render }
    const grants = grantsOf(services)
    const issuers = openIssuers({
      services,
      changes,
      pages: enginePages(desk),
      grants,
      reload: reload(services),
      domains,
      clientDocuments,
      home,
      origin,
      most: 1,
    })
    const door = workspaceDoor(desk, issuers)
    const app = beginApp(desk)
    app.use(assets)
    app.use(wellKnown(services, home))
    app.use(domainProof(services))
    app.use(callbacks(desk))
    app.use(upstreamsDocuments(services))
    app.use((ctx, next) => door(ctx, next, slug, ctx.path))
    return { answer: app.callback(), issuers }
  }

/** Scheme, host and client address come from the configuration and its proxies, never from what a request says. */
const speakForConfiguration = (app: Koa, { config }: Services): void => {
  const clientAddress = openClientAddress(config.trustedProxies)
  const url = new URL(config.publicUrl)
  const fixed = {
    protocol: url.protocol.slice(0, -1),
    secure: url.protocol === 'https:',
    host: url.host,
    hostname: url.hostname,
    origin: url.origin,
  }
  for (const [name, value] of Object.entries(fixed)) Object.defineProperty(app.request, name, { get: () => value })
  Object.defineProperty(app.request, 'href', {
    get(this: Koa.Request) {
      return url.origin + this.originalUrl
    },
  })
  Object.defineProperty(app.request, 'ip', {
    get(this: Koa.Request) {
      return clientAddress(this.req.socket.remoteAddress ?? '', this.get('X-Forwarded-For'))
    },
  })
}

/** The requests of one interaction, by its uid. */
const ofInteraction = /^(?:\/w\/[^/]+)?\/(?:signin|authorize|device)\/([\w-]+)$/

const nameTrace = (ctx: Context, trace: string): void => {
  ctx.state.trace = trace
  ctx.set('X-Trace-Id', trace)
}

/** The request that an interaction begins with belongs to it too, which is known only by where it leads. */
const joinStory = (ctx: Context): void => {
  const to = ctx.res.getHeader('Location')
  const uid = ctx.state.interaction || typeof to !== 'string' ? undefined : to.match(ofInteraction)?.[1]
  if (uid) nameTrace(ctx, traceIn(uid, ctx.state.trace))
}

const hsts = 'max-age=63072000; includeSubDomains'

/** One line and one count a request; neither says anything that is secret or somebody's. */
const observe =
  ({ config, log, metrics }: Services): Middleware =>
  async (ctx, next) => {
    const began = performance.now()
    const uid = ctx.path.match(ofInteraction)?.[1]
    ctx.state.interaction = uid && sha256(uid)
    nameTrace(ctx, newTrace(uid))
    ctx.set('X-Content-Type-Options', 'nosniff')
    if (config.publicUrl.startsWith('https:')) ctx.set('Strict-Transport-Security', hsts)
    await next()
    joinStory(ctx)
    const seconds = (performance.now() - began) / 1000
    const route = ctx.state.route ?? 'other'
    metrics.request(ctx.method, route, ctx.status, seconds)
    if (log.isLevelEnabled('info')) {
      const { method, status } = ctx
      log.info(
        {
          trace: ctx.state.trace,
          method,
          route,
          workspace: ctx.state.workspace?.slug,
          status,
          ms: Math.round(seconds * 1e4) / 10,
        },
        'request',
      )
    }
  }

// A target in absolute form (RFC 9112 section 3.2.2) names a host of the sender's choice, a NUL fits no column, and a
// parameter named like something that every object has means nothing good.
const refuseOddTargets: Middleware = (ctx, next) => {
  if (/[?&](__proto__|constructor|prototype|toString|valueOf|hasOwnProperty)(=|&|\[|$)/.test(ctx.req.url ?? '')) {
    throw new Problem('invalid_request')
  }
  if (!ctx.req.url?.startsWith('/') || /%00|\0/.test(ctx.req.url)) throw new Problem('invalid_request')
  return next()
}

const operations =
  ({ metrics, kms }: Services, ready: () => Promise<boolean>): Middleware =>
  async (ctx, next) => {
    if (ctx.path === '/healthz') return plain(ctx, 200, 'ok')
    if (ctx.path === '/readyz') return (await ready()) ? plain(ctx, 200, readiness(kms)) : plain(ctx, 503, 'not ready')
    if (ctx.path !== '/metrics') return next()
    ctx.state.route = '/metrics'
    ctx.set('Content-Type', metrics.contentType)
    ctx.body = await metrics.text()
  }

/** Another node would not get further with AWS KMS, and most of what this one does needs no signature. */
const readiness = (kms: Services['kms']): string => {
  const failedAt = kms.failedAt()
  return failedAt ? `ready, but AWS KMS failed when it was last asked, at ${failedAt.toISOString()}` : 'ready'
}

const plain = (ctx: Context, status: number, text: string): void => {
  ctx.state.route = ctx.path
  ctx.status = status
  ctx.set('Cache-Control', 'no-store')
  ctx.body = text
}

const assets: Middleware = (ctx, next) => {
  const asset = findAsset(ctx.path)
  if (!asset) return next()
  ctx.state.route = asset.path
  ctx.set('Cache-Control', 'public, max-age=31536000, immutable')
  ctx.set('ETag', `"${asset.version}"`)
  ctx.type = asset.type
  ctx.body = asset.body
}

/** What upstreams are given of a connection. */
const upstreamsDocuments = (services: Services): Middleware => {
  const show = upstreamMetadata(services)
  return (ctx, next) => {
    const [, connection] = ctx.path.match(/^\/callback\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/metadata$/) ?? []
    if (connection === undefined) return next()
    ctx.state.route = '/callback/:connection/metadata'
    return show(ctx, connection)
  }
}

/** Where upstreams send people back to; it belongs to no workspace's path, for the other side knows only a connection. */
const callbacks = (desk: Desk): Middleware => {
  const take = callback(desk)
  return (ctx, next) => {
    const [, connection, left] = ctx.path.match(/^\/callback\/([^/]+)(\/logout)?$/) ?? []
    if (connection === undefined) return next()
    if (left) {
      ctx.state.route = '/callback/:connection/logout'
      readOnly(ctx)
      return comeFromLeaving(desk, ctx)
    }
    ctx.state.route = '/callback/:connection'
    readOrWrite(ctx)
    return take(ctx, connection)
  }
}

/** Every workspace, below the path of its slug. */
const workspaces = (desk: Desk, issuers: Issuers): Middleware => {
  const door = workspaceDoor(desk, issuers)
  return (ctx, next) => {
    const [, slug, rest = '/'] = ctx.path.match(/^\/w\/([^/]+)(\/.*)?$/) ?? []
    return slug === undefined ? next() : door(ctx, next, slug, rest)
  }
}

/** The door of a workspace: its pages, and the engine for everything else. */
const workspaceDoor = (desk: Desk, issuers: Issuers) => {
  const { services } = desk
  const pages = {
    account: account(desk),
    signin: signin(desk),
    recover: recover(desk),
    invitation: invitation(desk),
    verify: verify(desk),
  }
  return async (ctx: Context, next: Next, slug: string, typed: string) => {
    const rest = spelt(typed)
    if (rest !== typed) ctx.path = ctx.path.slice(0, -typed.length) + rest
    const issuer = await issuers.find(slug)
    if (issuer?.workspace.status !== 'active') throw new Problem('not_found', { key: 'unknown_workspace' })
    ctx.state.workspace = issuer.workspace
    const work = emptyWork(services.clock.now(), ctx.state.trace)
    work.agent = ctx.get('User-Agent').slice(0, 300)
    await withWork(work, async () => {
      if (/^\/signin\/[\w-]+$/.test(rest)) {
        ctx.state.route = '/w/:workspace/signin/:uid'
        readOrWrite(ctx)
        return lookAgain(ctx, () => pages.signin(ctx, issuer, work))
      }
      if (rest === '/recover') {
        ctx.state.route = '/w/:workspace/recover'
        readOrWrite(ctx)
        return pages.recover(ctx, issuer, work)
      }
      if (/^\/account(\/[\w~.-]+){0,3}$/.test(rest)) {
        ctx.state.route = '/w/:workspace/account/*'
        readOrWrite(ctx)
        return pages.account(ctx, issuer, work, rest.slice('/account'.length))
      }
      if (/^\/invitation(\/[\w-]+)?$/.test(rest)) {
        ctx.state.route = '/w/:workspace/invitation/:token'
        readOrWrite(ctx)
        return pages.invitation(ctx, issuer, work, rest.split('/')[2])
      }
      if (/^\/verify\/[\w-]+$/.test(rest)) {
        ctx.state.route = '/w/:workspace/verify/:token'
        readOnly(ctx)
        return pages.verify(ctx, issuer, rest.split('/')[2] ?? '')
      }
      if (rest === '/logout' || rest === '/logout/confirm') {
        ctx.state.route = `/w/:workspace${rest}`
        await issuer.middleware(ctx, next)
        return leaveUpstream(desk, ctx, issuer)
      }
      ctx.state.route = `/w/:workspace${engineRoutes.has(rest) ? rest : rest.startsWith('/authorize/') ? '/authorize/:uid' : rest.startsWith('/device/') ? '/device/:uid' : rest.startsWith('/register/') ? '/register/:client' : '/*'}`
      return issuer.middleware(ctx, next)
    })
  }
}

const readOnly = (ctx: Context): void => {
  if (ctx.method === 'GET') return
  ctx.set('Allow', 'GET')
  throw new Problem('method_not_allowed')
}

const readOrWrite = (ctx: Context): void => {
  if (ctx.method === 'GET' || ctx.method === 'POST') return
  ctx.set('Allow', 'GET, POST')
  throw new Problem('method_not_allowed')
}

/** The engine answers at its addresses in any case and with a slash behind; what stands around it knows one spelling. */
const spelt = (rest: string): string => {
  const bare = rest.replace(/(?<=.)\/$/, '')
  if (engineRoutes.has(bare.toLowerCase())) return bare.toLowerCase()
  return /^\/(authorize|device|register)\//i.test(bare) ? bare.replace(/^\/\w+/, (name) => name.toLowerCase()) : rest
}

const engineRoutes = new Set([
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  '/register',
  '/authorize',
  '/token',
  '/userinfo',
  '/jwks',
  '/logout',
  '/logout/confirm',
  '/logout/success',
  '/introspect',
  '/par',
  '/revoke',
  '/device',
  '/device_authorization',
  '/backchannel',
])
