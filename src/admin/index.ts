import type { Context, Middleware } from 'koa'
import type { Changes } from '../db/changes.ts'
import { isConnectionFailure } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type Access, demand, openAccess } from './access.ts'
import { anyPatch, check } from './check.ts'
import { showDocs } from './docs.ts'
import { once } from './idempotency.ts'
import { type Json, openapiOf } from './openapi.ts'
import { readJson } from './parse.ts'
import { resources } from './resources/index.ts'
import type { Answer, Call, Download, Route } from './route.ts'

const root = '/api/v1'

/** The operators' door: every route of every resource, their OpenAPI document, one catch. */
export const admin = (services: Services, changes: Changes): Middleware => {
  const access = openAccess(services, changes)
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
      const { route, params } = match(ctx.method, ctx.path.slice(root.length))
      ctx.state.route = `${root}${route.path}`
      await serve(ctx, services, access, route, params)
    })
  }
}

const serve = async (ctx: Context, services: Services, access: Access, route: Route, raw: Record<string, string>) => {
  const actor = await access.identify(ctx.get('Authorization'))
  demand(actor, route.scope)
  const params = check(route.params, raw, () => new Problem('not_found'))
  const query = check(route.query, { ...ctx.query })
  const sent = route.body ? await readJson(ctx, route.method === 'PATCH') : undefined
  const body = route.body && check(route.method === 'PATCH' ? anyPatch : route.body, sent)
  const call: Call<unknown, unknown, unknown> = {
    params,
    query,
    body,
    actor,
    services,
    at: services.clock.now(),
    ifMatch: ctx.get('If-Match') || undefined,
    upload: { type: ctx.is([...(route.upload ?? [])]) || undefined, stream: ctx.req },
  }
  const handle = () => route.handle(call as Call<never, never, never>)
  if (route.download) return sendDownload(ctx, (await handle()) as Download)
  const answering = handle as () => Promise<Answer<unknown>>
  const key = route.method === 'POST' ? ctx.get('Idempotency-Key') : ''
  // An upload is not kept to be compared: its query and length have to do.
  const request = route.upload ? [ctx.url, ctx.get('Content-Length')] : [ctx.path, sent]
  send(ctx, route, key ? await once(services, actor, { key, route, request }, answering) : await answering())
}

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
    if (problem?.code === 'unauthorized') ctx.set('WWW-Authenticate', 'Bearer')
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

/** Finds the route of a request. Throws `not_found`, or `method_not_allowed` where only the method is wrong. */
const openRouter = (routes: readonly Route[]) => {
  const compiled = routes.map((route) => ({ route, parts: route.path.split('/') }))
  return (method: string, path: string): { route: Route; params: Record<string, string> } => {
    const parts = path.split('/').map(decode)
    const fitting = compiled.flatMap(({ route, parts: wanted }) => {
      const params = matchParts(wanted, parts)
      return params ? [{ route, params }] : []
    })
    const found = fitting.find(({ route }) => route.method === method)
    if (found) return found
    throw new Problem(fitting.length > 0 ? 'method_not_allowed' : 'not_found')
  }
}

const matchParts = (wanted: string[], parts: string[]): Record<string, string> | undefined => {
  if (wanted.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, want] of wanted.entries()) {
    const part = parts[index] ?? ''
    const name = want.match(/^\{(\w+)\}$/)?.[1]
    if (name ? part === '' : want !== part) return undefined
    if (name) params[name] = part
  }
  return params
}

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Problem('invalid_request')
  }
}
