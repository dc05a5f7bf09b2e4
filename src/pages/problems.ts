import type { Context, Middleware } from 'koa'
import { isConnectionFailure } from '../db/connect.ts'
import { brandOf } from '../directory/outbox.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { setPageHeaders } from '../platform/http/headers.ts'
import type { Brand } from '../platform/http/render.ts'
import { Problem } from '../platform/problem.ts'
import { type Desk, wordsOf } from './page.ts'
import { refusedBy } from './refusals.ts'

/** The one catch of this door: problems are worded for whoever asked, everything else is a bug and logged once. */
export const problems =
  (desk: Desk): Middleware =>
  async (ctx, next) => {
    try {
      await next()
      if (ctx.status === 404 && ctx.body == null) throw new Problem('not_found')
    } catch (error) {
      const problem = problemOf(error)
      if (!problem || problem.status >= 500) {
        desk.services.log[problem ? 'warn' : 'error']({ err: error, trace: ctx.state.trace }, 'a request failed')
      }
      ctx.state.refused = refusedBy(problem)
      answer(ctx, desk, problem)
    }
  }

/** Shows an error of the engine that may not be sent to a client (RFC 9700 section 4.11.2). */
export const engineProblem = (
  ctx: Context,
  desk: Desk,
  workspace: Workspace,
  out: { error: string; error_description?: string },
) => {
  const key = engineKeys.find(([wanted]) => wanted(out))?.[1] ?? 'oauth'
  const { error, error_description } = out
  draw(ctx, desk, workspace, { key, code: error, error, error_description })
}

type EngineError = { error: string; error_description?: string }
const engineKeys: [(out: EngineError) => boolean, string][] = [
  [({ error }) => error === 'invalid_client', 'unknown_client'],
  [({ error }) => error === 'invalid_redirect_uri', 'unknown_redirect_uri'],
  [({ error_description }) => /session|interaction|expired/.test(error_description ?? ''), 'expired'],
  [({ error }) => error === 'server_error', 'server_error'],
]

const problemOf = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error
  if (isConnectionFailure(error)) return new Problem('unavailable', { retryAfter: 2, cause: error })
  return undefined
}

const answer = (ctx: Context, desk: Desk, problem: Problem | undefined): void => {
  for (const name of ['Set-Cookie', 'Location', 'Content-Encoding']) ctx.remove(name)
  ctx.status = problem?.status ?? 500
  if (problem?.retryAfter) ctx.set('Retry-After', String(problem.retryAfter))
  const code = problem?.code ?? 'server_error'
  if (ctx.accepts('json', 'html') === 'html') {
    const workspace = ctx.state.workspace as Workspace | undefined
    draw(ctx, desk, workspace, { key: problem?.key ?? code, code })
    return
  }
  ctx.set('Cache-Control', 'no-store')
  ctx.type = 'application/problem+json'
  ctx.body = JSON.stringify({
    type: `urn:lido:problem:${code}`,
    title: problem?.title ?? 'Something went wrong',
    status: ctx.status,
    ...(problem?.detail ? { detail: problem.detail } : {}),
    ...(problem?.errors ? { errors: problem.errors } : {}),
    trace: ctx.state.trace,
  })
}

interface Shown {
  key: string
  code: string
  error?: string
  error_description?: string | undefined
}

const draw = (
  ctx: Context,
  { services, render }: Desk,
  workspace: Workspace | undefined,
  { key, code, error, error_description }: Shown,
): void => {
  const words = wordsOf(ctx, ctx.query.ui_locales, workspace)
  const nonce = setPageHeaders(ctx)
  ctx.type = 'html'
  ctx.body = render('problem', {
    words,
    brand: workspace ? brandOf(workspace) : plain,
    nonce,
    title: words.t(`problem.${key}.title`),
    detail: words.t(`problem.${key}.detail`),
    code,
    trace: ctx.state.trace,
    error: error ?? null,
    error_description: error_description ?? null,
    home: services.config.env === 'development' ? '/' : null,
  })
}

/** The looks of a page that belongs to no workspace. */
export const plain: Brand = { name: 'Lido', logo: null, color: '#1f6feb', links: [] }
