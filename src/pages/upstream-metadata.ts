import type { Context } from 'koa'
import * as connections from '../directory/connections.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { callbackOf } from '../signin/departing.ts'
import { openUpstream } from '../signin/pools/federated.ts'

/**
 * What the other side of a connection has to know of us, such as our SAML metadata. It names addresses and a certificate,
 * and may be read by anybody, also before the connection is open.
 */
export const upstreamMetadata =
  (services: Services) =>
  async (ctx: Context, connectionId: string): Promise<void> => {
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') {
      ctx.set('Allow', 'GET, HEAD')
      throw new Problem('method_not_allowed')
    }
    const pool = await connections.findPool(services.db, connectionId)
    const upstream = pool?.upstream ? openUpstream(pool, services) : undefined
    const metadata = upstream?.metadata?.(callbackOf(services, connectionId))
    if (!metadata) throw new Problem('not_found')
    ctx.set('Cache-Control', 'public, max-age=300')
    ctx.type = metadata.type
    ctx.body = metadata.body
  }
