import { isDeepStrictEqual } from 'node:util'
import type { AdapterPayload } from 'oidc-provider'
import { faultsOf } from '../../directory/profiles.ts'
import type { Resource } from '../../directory/resources.ts'
import { isStorable } from '../../platform/storable.ts'
import { errors, type KoaContextWithOIDC } from '../engine.ts'
import type { Feature } from './feature.ts'
import { scopesOf } from './resources.ts'

/** The most characters of `authorization_details`, and the most of them in a request. */
const most = { characters: 8192, details: 10 }

type Detail = { type: string } & Record<string, unknown>

/**
 * Requests that say in detail what they want (RFC 9396), of the types that the workspace's resources declare. Details
 * belong to the code and the refresh token that came of the request, not to whatever else the person has agreed to.
 */
export const details: Feature = ({ resources }) => ({
  richAuthorizationRequests: {
    enabled: resources.some(({ authorization_details_types: types }) => types.length > 0),
    types: Object.fromEntries(resources.flatMap(typesOf)),
    authorizationDetailsForGrantSource: (ctx) => askedFor(ctx),
    authorizationDetailsForAccessToken: (ctx, token, source) => {
      const { rar } = (source ?? {}) as { rar?: Detail[] }
      const { aud } = token as { aud?: unknown }
      const resource = resources.find(({ identifier }) => identifier === aud)
      const own = new Set(resource?.authorization_details_types.map(({ type }) => type))
      return narrowed(askedFor(ctx), source === undefined ? undefined : (rar ?? [])).filter(({ type }) => own.has(type))
    },
    authorizationDetailsForIntrospection: (_ctx, token) => (token as { rar?: Detail[] }).rar ?? [],
  },
})

/** A client as the engine reads it, with the types that it may ask for: those of its resources, as far as it says. */
export const withTypes = (
  client: AdapterPayload | undefined,
  resources: readonly Resource[],
): AdapterPayload | undefined => {
  if (!client) return undefined
  const { authorization_details_types: wanted } = client as { authorization_details_types?: string[] }
  const own = resources.filter(({ identifier }) => scopesOf(client, identifier))
  const types = own.flatMap(({ authorization_details_types: declared }) => declared.map(({ type }) => type))
  // The engine refuses a client that names a type which nobody declares any more.
  return { ...client, authorization_details_types: types.filter((type) => wanted?.includes(type) ?? true) }
}

const typesOf = ({ identifier, authorization_details_types: types }: Resource) =>
  types.map(({ type, schema }) => {
    const validate = async (ctx: KoaContextWithOIDC, detail: object, client: object): Promise<void> => {
      refuseTooMuch(ctx)
      if (!scopesOf(client, identifier)) refuse(`the client may not ask for what the type ${type} belongs to`)
      if (!namesResource(ctx, identifier)) refuse(`details of the type ${type} need their resource in the request`)
      if (!isStorable(detail)) refuse(`details of the type ${type} have a character that is none`)
      const faults = await faultsOf(schema, detail as Record<string, unknown>)
      const told = faults.map(({ property, keyword }) => `${property.slice(0, 60)} (${keyword})`)
      if (faults.length > 0) refuse(`details of the type ${type} do not fit its schema: ${told.join(', ')}`)
    }
    return [type, { validate }] as const
  })

const refuseTooMuch = ({ oidc }: KoaContextWithOIDC): void => {
  const text = String(oidc.params?.authorization_details ?? '')
  if (text.length > most.characters) refuse('there are too many details')
  if ((JSON.parse(text) as unknown[]).length > most.details) refuse('there are too many details')
}

const namesResource = ({ oidc }: KoaContextWithOIDC, identifier: string): boolean =>
  [oidc.params?.resource ?? []].flat().includes(identifier)

const askedFor = ({ oidc }: KoaContextWithOIDC): Detail[] | undefined => {
  const text = oidc.params?.authorization_details
  return typeof text === 'string' ? (JSON.parse(text) as Detail[]) : undefined
}

/** What a token is asked for has to be among what was granted (RFC 9396 section 6.1), whole and unchanged. */
const narrowed = (asked: Detail[] | undefined, granted: Detail[] | undefined): Detail[] => {
  if (!granted) return asked ?? []
  const more = asked?.some((detail) => !granted.some((one) => isDeepStrictEqual(one, detail)))
  if (more) refuse('details were asked for that were not granted')
  return asked ?? granted
}

const refuse = (why: string): never => {
  throw new errors.InvalidAuthorizationDetails(why)
}
