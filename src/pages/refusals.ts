import type { Context, Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import * as audit from '../directory/audit.ts'
import * as traces from '../directory/traces.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { openBucket } from '../platform/bucket.ts'
import type { Problem } from '../platform/problem.ts'
import { plainLine } from '../platform/storable.ts'
import type { Services } from '../services.ts'
import { addressKey } from '../signin/limits.ts'

/** How many refusals a second are kept, on this node and for one sender; `flying` are being written at a time. */
const most = {
  node: { rate: 20, burst: 60 },
  sender: { rate: 5, burst: 30 },
  flying: 30,
}

/** How many of a kind a second leave an event of their own, which stays longer to be read through. */
const paces = {
  refused: { rate: 1, burst: 60 },
  passing: { rate: 1 / 60, burst: 5 },
}

/**
 * Keeps why a workspace's door refused a request, once the answer is out. It is done as well as can be: a flood of
 * errors, or a database that is away, costs rows and never an answer. What leaves no event is counted by the next one.
 */
export const keepRefusals = (services: Services): Middleware => {
  const isOpen = openGate()
  let flying = 0
  const write = async (refusal: traces.Refusal): Promise<void> => {
    flying += 1
    try {
      await traces.keep(services.db, refusal)
      services.metrics.refusal('kept')
    } catch (error) {
      services.metrics.refusal('failed')
      services.log.warn({ err: error, trace: refusal.trace }, 'a refusal could not be kept')
    } finally {
      flying -= 1
    }
  }
  return async (ctx, next) => {
    await next()
    const refused = ctx.state.refused as traces.Refused | undefined
    if (!refused || !(ctx.state.workspace || ctx.originalUrl.startsWith('/w/'))) return
    const refusal = refusalOf(ctx, refused, services.clock.now())
    const open = isOpen(addressKey(ctx.ip), refusal.at)
    tell(services, refusal, refused, open)
    if (refused.passing) return
    if (flying < most.flying && open) {
      ctx.res.once('close', () => void write(refusal))
      return
    }
    services.metrics.refusal('dropped')
    services.log.info({ trace: refusal.trace, why: refusal.code }, 'a refusal was not kept')
  }
}

/** Where clients and people are refused, by what the event is called. */
const endpoints: Record<string, audit.Refusals> = {
  '/authorize': 'authorization.refused',
  '/authorize/:uid': 'authorization.refused',
  '/par': 'authorization.refused',
  '/device_authorization': 'authorization.refused',
  '/device': 'authorization.refused',
  '/device/:uid': 'authorization.refused',
  '/backchannel': 'authorization.refused',
  '/token': 'token.refused',
  '/introspect': 'token.refused',
  '/revoke': 'token.refused',
  '/userinfo': 'userinfo.refused',
  '/register': 'registration.refused',
  '/register/:client': 'registration.refused',
  '/logout': 'logout.refused',
  '/logout/confirm': 'logout.refused',
  '/logout/success': 'logout.refused',
}

/** Leaves the event of a refusal; none for a page that only a person is refused by, whose own events tell of it. */
const tell = ({ behind }: Services, refusal: traces.Refusal, refused: traces.Refused, open: boolean): void => {
  const { route, code: error, reason, workspaceId, clientId, trace, at } = refusal
  const endpoint = route.replace(/^[A-Z]+ \/w\/:workspace/, '')
  const type = endpoints[endpoint]
  if (!type || workspaceId === null) return
  const pace = refused.passing ? paces.passing : paces.refused
  const kind = { type, workspaceId, data: { endpoint, error }, pace }
  const about = { workspaceId, clientId: clientId ?? undefined, ...refused.person, trace }
  const { grantType } = refused
  const data = {
    endpoint,
    error,
    ...(reason === null ? {} : { reason }),
    ...(grantType === undefined ? {} : { grant_type: grantType }),
  }
  if (open) behind.addOneOf(kind, audit.event(at, about, { type, data }))
  else behind.leaveOut(kind, at)
}

// One sender must not use up what is there for all.
const openGate = () => {
  const node = openBucket(most.node)
  const senders = new LRUCache<string, (at: Date) => boolean>({ max: 2000 })
  return (who: string, at: Date): boolean => {
    const sender = senders.get(who) ?? openBucket(most.sender)
    senders.set(who, sender)
    return sender(at) && node(at)
  }
}

const refusalOf = (ctx: Context, { code, reason, clientId, checks = [] }: traces.Refused, at: Date) => ({
  trace: String(ctx.state.trace),
  at,
  workspaceId: (ctx.state.workspace as Workspace | undefined)?.id ?? null,
  clientId: clientId ?? (ctx.state.clientId as string | undefined) ?? null,
  interaction: (ctx.state.interaction as string | undefined) ?? null,
  route: `${ctx.method} ${ctx.state.route ?? '/w/:workspace/*'}`,
  status: ctx.status,
  code: plainLine(code, 60),
  reason: reason === undefined ? null : plainLine(reason, 300),
  checks,
})

/** What a problem tells operators beyond what its page says; undefined for one that nobody could be told of. */
export const refusedBy = (problem: Problem | undefined): traces.Refused | undefined => {
  if (problem?.code === 'unavailable' && problem.cause !== undefined) return undefined
  if (!problem)
    return { code: 'server_error', reason: 'the program failed; its log says how, in a line with this trace' }
  const { code, key, detail } = problem
  return { code: key ?? code, reason: causeOf(problem) ?? detail ?? reasons[code] ?? problem.title }
}

// An error of the engine tells itself in words that hold nothing of the request.
const causeOf = ({ cause }: Problem): string | undefined => {
  const { error_description } = (cause ?? {}) as { error_description?: unknown }
  return typeof error_description === 'string' ? error_description : undefined
}

const reasons: Record<string, string> = {
  expired:
    'the sign-in is over, began in another browser, or its cookie was not sent; or its pool or client was closed',
  form_expired: 'the form was sent by another site, or belongs to another browser or sign-in',
}
