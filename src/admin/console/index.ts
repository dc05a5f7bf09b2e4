import type { Context, Middleware } from 'koa'
import { isConnectionFailure } from '../../db/connect.ts'
import type { ConsoleSession } from '../../directory/console-sessions.ts'
import { addressOf } from '../../platform/http/assets.ts'
import { checkCsrf, csrfToken } from '../../platform/http/csrf.ts'
import { setPageHeaders } from '../../platform/http/headers.ts'
import { awaitUpload } from '../../platform/http/pace.ts'
import { readForm } from '../../platform/http/parse.ts'
import { type Brand, openRender } from '../../platform/http/render.ts'
import { Problem } from '../../platform/problem.ts'
import { wordsFor } from '../../platform/words.ts'
import type { Services } from '../../services.ts'
import { operatorOf } from '../access.ts'
import type { Json } from '../openapi.ts'
import { openRouter } from '../router.ts'
import { menuOf } from './menu.ts'
import { type ConsolePage, isFresh, type Outcome, type Sample, type Screen, type Visit } from './page.ts'
import { pages } from './pages/index.ts'
import { type ConsoleSignIn, openSignIn } from './signin.ts'

/** The operators' web console: a client of the admin workspace, whose pages call the routes of the API. */
export const operatorsConsole = (services: Services): Middleware => {
  const signIn = openSignIn(services)
  const desk: Desk = { services, signIn, match: openRouter(pages) }
  return async (ctx, next) => {
    if (ctx.path !== '/console' && !ctx.path.startsWith('/console/')) return next()
    ctx.set('Cache-Control', 'no-store')
    ctx.state.route = '/console'
    await answerProblems(ctx, desk, () => serve(ctx, desk))
  }
}

interface Desk {
  services: Services
  signIn: ConsoleSignIn
  match: ReturnType<typeof openRouter<ConsolePage>>
}

const serve = async (ctx: Context, desk: Desk): Promise<void> => {
  const { signIn, services } = desk
  if (ctx.path === '/console/callback' && ctx.method === 'GET') return signIn.complete(ctx)
  const session = await signIn.find(ctx)
  if (!session) {
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD')
      throw new Problem('form_expired', { detail: 'You were signed out. Sign in and do it again.' })
    return signIn.begin(ctx, ctx.originalUrl)
  }
  ctx.state.session = session
  if (ctx.path === '/console/~sign-out' && ctx.method === 'POST') {
    checkForm(ctx, services, session, await readForm(ctx))
    return signIn.end(ctx, session)
  }
  const { place: page, params } = desk.match(
    ctx.method === 'HEAD' ? 'GET' : ctx.method,
    ctx.path.slice('/console'.length) || '/',
  )
  ctx.state.route = `/console${page.path}`
  const visit = await open(ctx, desk, session, page, params)
  if (page.danger && !isFresh(visit))
    return signIn.begin(ctx, ctx.method === 'GET' ? ctx.originalUrl : ctx.path, session)
  await answer(ctx, desk, visit, await page.handle(visit))
}

const open = async (
  ctx: Context,
  { services }: Desk,
  session: ConsoleSession,
  page: ConsolePage,
  params: Record<string, string>,
): Promise<Visit> => {
  const { csrf = '', ...query } = Object.fromEntries(
    new URLSearchParams(ctx.querystring).entries().filter(([, value]) => value !== ''),
  )
  const form = page.method === 'POST' && !page.upload ? await readForm(ctx) : {}
  // The token of an upload stands in its address, so that it is checked before anything of the body is read.
  if (page.method === 'POST') checkForm(ctx, services, session, page.upload ? { csrf } : form)
  if (page.upload) awaitUpload(ctx.req)
  const upload = page.upload ? { type: ctx.get('Content-Type'), stream: ctx.req } : undefined
  const actor = operatorOf(session.operator)
  return { services, session, actor, at: services.clock.now(), path: ctx.path, params, query, form, upload }
}

/** Refuses a form that no page of this visit sent. Throws `form_expired`. */
const checkForm = (ctx: Context, { keyring, config }: Services, { id }: ConsoleSession, form: Record<string, string>) =>
  checkCsrf(ctx, keyring, boundTo(id), config.publicUrl, form.csrf)

const boundTo = (sessionId: string): string => `console:${sessionId}`

const answer = async (ctx: Context, desk: Desk, visit: Visit, outcome: Outcome): Promise<void> => {
  if ('download' in outcome) {
    const { type, filename, stream } = outcome.download
    ctx.set('Content-Type', `${type}; charset=utf-8`)
    ctx.attachment(filename)
    ctx.body = stream
    return
  }
  if ('show' in outcome) return draw(ctx, desk, visit.session, outcome.show)
  if ('sample' in outcome) return drawSample(ctx, outcome.sample)
  if ('mail' in outcome) return drawMail(ctx, outcome.mail)
  if (outcome.notice)
    ctx.cookies.set(noticeCookie, Buffer.from(outcome.notice).toString('base64url'), { ...noticeKept, maxAge: 60_000 })
  ctx.status = 303
  ctx.redirect(outcome.to)
}

// What was done is said on the page after it, once; the text is ours, and drawn as text.
const noticeCookie = 'lido_console_notice'
const noticeKept = { httpOnly: true, sameSite: 'strict', path: '/console', overwrite: true, signed: false } as const

const takeNotice = (ctx: Context): string | null => {
  const kept = ctx.cookies.get(noticeCookie, { signed: false })
  if (!kept) return null
  ctx.cookies.set(noticeCookie, null, noticeKept)
  return Buffer.from(kept, 'base64url').toString().slice(0, 300)
}

const draw = (ctx: Context, { services }: Desk, session: ConsoleSession | undefined, screen: Screen): void => {
  const nonce = setPageHeaders(ctx, { frames: screen.frames === true })
  ctx.status = screen.status ?? 200
  ctx.type = 'html'
  ctx.body = render(screen.view, {
    ...frame(services, session, ctx.path),
    crumbs: screen.crumbs ?? [],
    title: screen.title,
    notice: session ? takeNotice(ctx) : null,
    nonce,
    ...screen.values,
  })
}

const drawSample = (ctx: Context, { view, brand: looks, values }: Sample): void => {
  const nonce = setPageHeaders(ctx, { framed: true })
  ctx.type = 'html'
  ctx.body = render(view, { ...values, words: wordsFor('en'), brand: looks, nonce })
}

/** A mail as our own view drew it; its one style element is let through. */
const drawMail = (ctx: Context, { html }: { html: string }): void => {
  const nonce = setPageHeaders(ctx, { framed: true })
  ctx.type = 'html'
  ctx.body = html.replace('<style>', `<style nonce="${nonce}">`)
}

const frame = ({ keyring }: Services, session: ConsoleSession | undefined, path: string): Json => ({
  words: wordsFor('en'),
  brand,
  sheet: addressOf('console.css'),
  csrf: session ? csrfToken(keyring, boundTo(session.id)) : '',
  operator: session ? { name: session.name, role: session.operator.role } : null,
  menu: session ? menuOf(operatorOf(session.operator), path) : [],
  path,
})

const brand: Brand = { name: 'Lido Console', logo: null, color: '#1f6feb', links: [] }
const render = openRender()

const answerProblems = async (ctx: Context, desk: Desk, run: () => Promise<void>): Promise<void> => {
  try {
    await run()
  } catch (error) {
    const problem = problemOf(error)
    if (!problem) desk.services.log.error({ err: error, trace: ctx.state.trace }, 'a page of the console failed')
    if (problem?.retryAfter) ctx.set('Retry-After', String(problem.retryAfter))
    const values = {
      detail: problem?.detail ?? null,
      errors: problem?.errors ?? [],
      trace: ctx.state.trace,
      code: problem?.code ?? 'server_error',
    }
    const title = problem?.title ?? 'Something went wrong'
    const session = ctx.state.session as ConsoleSession | undefined
    draw(ctx, desk, session, { view: 'console/problem', title, status: problem?.status ?? 500, values })
  }
}

const problemOf = (error: unknown): Problem | undefined => {
  if (error instanceof Problem) return error
  return isConnectionFailure(error) ? new Problem('unavailable', { retryAfter: 2, cause: error }) : undefined
}
