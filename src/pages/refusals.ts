import type { Context, Middleware } from 'koa'
import { LRUCache } from 'lru-cache'
import * as audit from '../directory/audit.ts'
import * as traces from '../directory/traces.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { openBucket } from '../platform/bucket.ts'
import type { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { addressKey } from '../signin/limits.ts'

/**
 * How many refusals a second are kept, on this node and for one sender, and how many of them leave an event, which stays
 * longer to be read through; `flying` are being written at a time.
 */
const most = {
  node: { rate: 20, burst: 60 },
  sender: { rate: 5, burst: 30 },
  events: { rate: 1, burst: 60 },
  flying: 30,
}

/**
 * Keeps why a workspace's door refused a request, once the answer is out. It is done as well as can be: a flood of
 * errors, or a database that is away, costs rows and never an answer.
 */
export const keepRefusals = (services: Services): Middleware => {
  const isOpen = openGate()
  const mayTell = openBucket(most.events)
  let flying = 0
  const write = async (refusal: traces.Refusal): Promise<void> => {
    flying += 1
    try {
      await traces.keep(services.db, refusal)
      const told = eventOf(refusal)
      if (told && mayTell(refusal.at)) await audit.record(services.db, refusal.at, aboutOf(refusal), told)
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
    if (flying < most.flying && isOpen(addressKey(ctx.ip), refusal.at)) {
      ctx.res.once('close', () => void write(refusal))
      return
    }
    services.metrics.refusal('dropped')
    services.log.info({ trace: refusal.trace, why: refusal.code }, 'a refusal was not kept')
  }
}

/** Where clients are refused, by what the event is called. */
const endpoints: Record<string, 'token.refused' | 'authorization.refused'> = {
  '/authorize': 'authorization.refused',
  '/authorize/:uid': 'authorization.refused',
  '/par': 'authorization.refused',
  '/device_authorization': 'authorization.refused',
  '/backchannel': 'authorization.refused',
  '/token': 'token.refused',
  '/introspect': 'token.refused',
  '/revoke': 'token.refused',
}

/** The event of a refusal; undefined for a page that only a person is refused by, whose own events tell of it. */
const eventOf = ({ route, code, reason, workspaceId }: traces.Refusal): audit.Happening | undefined => {
  const endpoint = route.replace(/^[A-Z]+ \/w\/:workspace/, '')
  const type = endpoints[endpoint]
  if (!type || workspaceId === null) return undefined
  return { type, data: { endpoint, error: code, ...(reason === null ? {} : { reason }) } }
}

const aboutOf = ({ workspaceId, clientId, trace }: traces.Refusal): audit.About => ({
  workspaceId: workspaceId ?? undefined,
  clientId: clientId ?? undefined,
  trace,
})

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
  code,
  reason: reason ?? null,
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
