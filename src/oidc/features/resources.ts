import type { ClientMetadata } from '../../directory/client-metadata.ts'
import type { Resource } from '../../directory/resources.ts'
import { errors } from '../engine.ts'
import type { Feature } from './feature.ts'

/** Tokens for a named resource (RFC 8707), as the resource wants them; JSON Web Tokens (RFC 9068) unless it says. */
export const resources: Feature = ({ resources: known }) => ({
  resourceIndicators: {
    enabled: true,
    // None; several at once stay several, which no token is for.
    defaultResource: (_ctx, _client, several) => several as string[],
    useGrantedResource: () => true,
    getResourceServerInfo: async (_ctx, identifier, client) => resourceServerOf(known, client, identifier),
  },
})

/** A resource as a client gets tokens for it. Throws `invalid_target` where it may not. */
export const resourceServerOf = (known: readonly Resource[], client: object, identifier: string) => {
  const wanted = scopesOf(client, identifier)
  if (!wanted) throw new errors.InvalidTarget('this client may not ask for tokens for this resource')
  return serverOf(
    identifier,
    wanted,
    known.find((resource) => resource.identifier === identifier),
  )
}

/** The scopes that a client may have at a resource; undefined where it may not ask for it at all. */
export const scopesOf = (client: object, identifier: string): readonly string[] | undefined => {
  const { resources: own = {} } = client as { resources?: ClientMetadata['resources'] }
  return Object.hasOwn(own, identifier) ? own[identifier] : undefined
}

/** What has no record is named by its clients alone, with the scopes that they name. */
const serverOf = (identifier: string, wanted: readonly string[], resource: Resource | undefined) => {
  const declared = resource && new Set(resource.scopes.map(({ name }) => name))
  const scope = wanted.filter((name) => declared?.has(name) ?? true).join(' ')
  const lifetime = resource?.access_token_lifetime
  const ttl = lifetime ? { accessTokenTTL: lifetime } : {}
  if (resource?.token_format === 'opaque')
    return { scope, audience: identifier, accessTokenFormat: 'opaque' as const, ...ttl }
  const alg = resource?.signing_alg ?? 'RS256'
  return { scope, audience: identifier, accessTokenFormat: 'jwt' as const, jwt: { sign: { alg } }, ...ttl }
}
