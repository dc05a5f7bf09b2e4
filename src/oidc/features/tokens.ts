import type { Resource } from '../../directory/resources.ts'
import { isAlive, saidBehind } from '../accounts.ts'
import type { Feature } from './feature.ts'

/**
 * Introspection (RFC 7662) and revocation (RFC 7009): every client for its own tokens, and the client of a resource for
 * those that are meant for it.
 */
export const tokens: Feature = (wiring) => ({
  revocation: {
    enabled: true,
    allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
  },
  introspection: {
    enabled: true,
    allowedPolicy: async (ctx, client, token) => {
      const own = token.clientId === client.clientId
      // Anybody could ask in the name of a client that does not authenticate itself.
      const authenticated = client.clientAuthMethod !== 'none'
      if (!own && !(authenticated && isFor(wiring.resources, client.clientId, token))) return false
      // Whoever got the token has to be here still, and its person has to be let in by that one.
      const holder = own ? client : await ctx.oidc.provider.Client.find(token.clientId ?? '')
      if (holder === undefined || !(await isAlive(wiring, holder, token))) return false
      const told = token as { extra?: object }
      told.extra = { ...(await saidBehind(wiring, ctx, token)), ...told.extra }
      return true
    },
  },
})

/** Whether a token is for a resource that asks about its tokens by this client. */
const isFor = (resources: readonly Resource[], clientId: string, token: object): boolean => {
  const { aud } = token as { aud?: unknown }
  return resources.some(
    ({ identifier, introspection_client_ids: askers }) => identifier === aud && askers.includes(clientId),
  )
}
