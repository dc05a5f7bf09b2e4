import type { Context, Middleware } from 'koa'
import type { Changes } from '../db/changes.ts'
import { isConnectionFailure } from '../db/connect.ts'
import { type ClientCertificates, openClientCertificates } from '../platform/http/client-certificate.ts'
import { awaitUpload } from '../platform/http/pace.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type Actor, demand, openAccess } from './access.ts'
import { showDocs } from './docs.ts'
import { once } from './idempotency.ts'
import { type Json, openapiOf } from './openapi.ts'
import { readJson } from './parse.ts'
import { prepare } from './perform.ts'
import { resources } from './resources/index.ts'
import type { Answer, Download, Route } from './route.ts'
import { openRouter } from './router.ts'
import { challenges, type Sender } from './sender.ts'

const root = '/api/v1'

/** The operators' door: every route of every resource, their OpenAPI document, one catch. */
export const admin = (services: Services, changes: Changes): Middleware => {
  const access = openAccess(services, changes)
  const certificates = openClientCertificates(services.config)
  const identify = (ctx: Context) => access.identify(senderOf(ctx, certificates))
  const match = openRouter(resources)
  let made: Json | undefined
  const document = () => {
    made ??= openapiOf(resources, services.config.publicUrl)
    return made
  }
  return async (ctx, next) => {
    if (ctx.path !== '/api' && !ctx.path.startsWith('/api/')) return next()
    ctx.set('Cache-Control', 'no-store')
    await answerProblems(ctx, services, async () => {
      if (ctx.path === '/api/openapi.json' && ctx.method === 'GET') {
        ctx.state.route = ctx.path
        ctx.type = 'application/json'
        ctx.body = JSON.stringify(document())
        return
      }
      if (ctx.path === '/api/docs' && ctx.method === 'GET') {
        ctx.state.route = ctx.path
        return showDocs(ctx, services, document())
      }
      if (!ctx.path.startsWith(`${root}/`)) throw new Problem('not_found')
      const { place: route, params } = match(ctx.method, ctx.path.slice(root.length))
      ctx.state.route = `${root}${route.path}`
      await serve(ctx, services, identify, route, params)
    })
  }
}

const serve = async (
  ctx: Context,
  services: Services,
  identify: (ctx: Context) => Promise<Actor>,
  route: Route,
  params: Record<string, string>,
) => {
  const actor = await identify(ctx)
  // Whoever may not is told so before what they sent is read.
  demand(actor, route.scope)
  if (route.upload) awaitUpload(ctx.req)
  const sent = route.body ? await readJson(ctx, route.method === 'PATCH') : undefined
  const handle = prepare(services, actor, route, {
    params,
    query: { ...ctx.query },
    body: sent,
    ifMatch: ctx.get('If-Match') || undefined,
    upload: { type: ctx.is([...(route.upload ?? [])]) || undefined, stream: ctx.req },
  })
  if (route.download) return sendDownload(ctx, (await handle()) as Download)
  const answering = handle as () => Promise<Answer<unknown>>
  const key = route.method === 'POST' ? ctx.get('Idempotency-Key') : ''
  // An upload is not kept to be compared: its query and length have to do.
  const request = route.upload ? [ctx.url, ctx.get('Content-Length')] : [ctx.path, sent]
  send(ctx, route, key ? await once(services, actor, { key, route, request }, answering) : await answering())
}

const senderOf = (ctx: Context, certificates: ClientCertificates): Sender => ({
  authorization: ctx.get('Authorization'),
  proof: ctx.get('DPoP'),
  method: ctx.method,
  path: ctx.path,
  certificate: certificates.of(ctx.req),
})

const sendDownload = (ctx: Context, { type, filename, stream }: Download): void => {
  ctx.set('Content-Type', `${type}; charset=utf-8`)
  ctx.attachment(filename)
  ctx.body = stream
}

const send = (ctx: Context, route: Route, { body, etag, location }: Answer<unknown>): void => {
  ctx.status = route.status
  if (etag) ctx.set('ETag', etag)
  if (location) ctx.set('Location', `${root}${location}`)
  if (!route.answer) {
    ctx.body = null
    ctx.status = route.status
    return
  }
  ctx.type = 'application/json'
  ctx.body = JSON.stringify(route.answer.parse(body))
}

const answerProblems = async (ctx: Context, { log }: Services, run: () => Promise<void>): Promise<void> => {
  try {
    await run()
  } catch (error) {
    const problem = problemOf(error)
    if (!problem) log.error({ err: error, trace: ctx.state.trace }, 'an admin request failed')
    ctx.status = problem?.status ?? 500
    if (problem?.retryAfter) ctx.set('Retry-After', String(problem.retryAfter))
    if (problem?.code === 'unauthorized') ctx.set('WWW-Authenticate', challenges)
    ctx.type = 'application/problem+json'
    ctx.body = JSON.stringify({
      type: `urn:lido:problem:${problem?.code ?? 'server_error'}`,
      title: problem?.title ?? 'Something went wrong',
      status: ctx.status,
      ...(problem?.detail ? { detail: problem.detail } : {}),
      ...(problem?.errors ? { errors: problem.errors } : {}),
      trace: ctx.state.trace,
    })
  }
}

const problemOf = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error
  return isConnectionFailure(error) ? new Problem('unavailable', { retryAfter: 2, cause: error }) : undefined
}
