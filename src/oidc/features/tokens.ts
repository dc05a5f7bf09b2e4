import { isAlive } from '../accounts.ts'
import type { Feature } from './feature.ts'

/** Introspection (RFC 7662) and revocation (RFC 7009): every client for its own tokens. */
export const tokens: Feature = (wiring) => ({
  revocation: {
    enabled: true,
    allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId,
  },
  introspection: {
    enabled: true,
    allowedPolicy: async (ctx, client, token) =>
      token.clientId === client.clientId && (await isAlive(wiring, ctx, token)),
  },
})
