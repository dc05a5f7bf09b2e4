import { Readable } from 'node:stream'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type Actor, demand } from './access.ts'
import { anyPatch, check } from './check.ts'
import type { Answer, Call, Download, Route } from './route.ts'

/** What is asked of a route, whichever door it came through. */
export interface Asked {
  params: Record<string, string>
  query?: Record<string, unknown>
  body?: unknown
  ifMatch?: string | undefined
  /** The body of a route that reads its own. */
  upload?: { type: string | undefined; stream: Readable }
}

/**
 * Checks a request by its route and actor; what it answers does it. Throws `forbidden` where the actor's scopes do not
 * reach, `not_found` where a parameter cannot be one, `unprocessable` where a value does not fit.
 */
export const prepare = (
  services: Services,
  actor: Actor,
  route: Route,
  { params, query = {}, body, ifMatch, upload }: Asked,
): (() => Promise<Answer<unknown> | Download>) => {
  demand(actor, route.scope)
  const call: Call<unknown, unknown, unknown> = {
    params: check(route.params, params, () => new Problem('not_found')),
    query: check(route.query, query),
    body: route.body && check(route.method === 'PATCH' ? anyPatch : route.body, body),
    actor,
    services,
    at: services.clock.now(),
    ifMatch,
    upload: upload ?? { type: undefined, stream: Readable.from([]) },
  }
  return () => route.handle(call as Call<never, never, never>)
}
