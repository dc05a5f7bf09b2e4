import type { ClientMetadata } from '../../directory/client-metadata.ts'
import { errors } from '../engine.ts'
import type { Feature } from './feature.ts'

/** Tokens for a named resource (RFC 8707), as JSON Web Tokens (RFC 9068). */
export const resources: Feature = () => ({
  resourceIndicators: {
    enabled: true,
    defaultResource: () => [],
    useGrantedResource: () => true,
    getResourceServerInfo: async (_ctx, resource, client) => {
      const scopes = (client.resources as ClientMetadata['resources'] | undefined)?.[resource]
      if (!scopes) throw new errors.InvalidTarget('this client may not ask for tokens for this resource')
      return { scope: scopes.join(' '), audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }
    },
  },
})
