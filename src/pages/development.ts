import type { Context, Middleware } from 'koa'
import { setPageHeaders } from '../platform/http/headers.ts'
import type { Brand } from '../platform/http/render.ts'
import type { Message } from '../platform/messages.ts'
import type { Services } from '../services.ts'
import { type Desk, wordsOf } from './page.ts'

/** The pages that only development mode has: what there is, and every message that was sent. */
export const development =
  (desk: Desk): Middleware =>
  async (ctx, next) => {
    if (ctx.method !== 'GET') return next()
    if (ctx.path === '/') return draw(ctx, desk, 'dev/index', { rows: addresses(desk.services.config.publicUrl) })
    if (ctx.path === '/dev/inbox')
      return draw(ctx, desk, 'dev/inbox', { messages: await sent(desk.services, undefined) })
    if (ctx.path !== '/dev/inbox.json') return next()
    ctx.state.route = ctx.path
    const { to } = ctx.query
    ctx.set('Cache-Control', 'no-store')
    ctx.body = await sent(desk.services, typeof to === 'string' ? to : undefined)
  }

/** Every address of a development server, for the start's output and its first page. */
export const addresses = (origin: string): { address: string; what: string }[] => [
  { address: `${origin}/demo`, what: 'Demo application: sign in and see the claims' },
  { address: `${origin}/dev/inbox`, what: 'Inbox: every mail and text message that was sent' },
  { address: `${origin}/w/demo/account`, what: 'The account of whoever is signed in to the demo workspace' },
  { address: `${origin}/w/demo/.well-known/openid-configuration`, what: 'Discovery of the demo workspace' },
  { address: `${origin}/console`, what: 'Console for operators' },
  { address: `${origin}/api/docs`, what: 'Admin API, with its OpenAPI document' },
  { address: `${origin}/healthz`, what: 'Liveness' },
  { address: `${origin}/readyz`, what: 'Readiness' },
  { address: `${origin}/metrics`, what: 'Metrics for Prometheus' },
]

const draw = (ctx: Context, { render }: Desk, view: string, values: object): void => {
  ctx.state.route = ctx.path
  const nonce = setPageHeaders(ctx)
  ctx.type = 'html'
  ctx.body = render(view, { ...values, words: wordsOf(ctx), brand: lido, nonce })
}

export const lido: Brand = { name: 'Lido', logo: null, color: '#1f6feb', links: [] }

/** What was sent, newest first. */
const sent = async ({ db }: Services, to: string | undefined) => {
  const rows = await db
    .selectFrom('inbox')
    .select(['message', 'sentAt'])
    .$if(to !== undefined, (query) => query.where('recipient', '=', (to ?? '').toLowerCase()))
    .orderBy('id', 'desc')
    .limit(200)
    .execute()
  return rows.map(({ message, sentAt }) => {
    const { to, channel, subject, text, html, code, link } = message as unknown as Message
    return { to, channel, subject, text, html, code: code ?? null, link: link ?? null, sent_at: sentAt.toISOString() }
  })
}
