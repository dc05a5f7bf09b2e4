import { z } from 'zod'
import type { Fetch } from '../platform/fetch.ts'
import type { ClientMetadata } from './client-metadata.ts'

type Belonging = Pick<ClientMetadata, 'sector_identifier_uri' | 'redirect_uris' | 'jwks_uri'> & {
  grant_types: readonly string[]
}

const listed = z.array(z.string()).max(1000)

const withoutBrowser = ['urn:ietf:params:oauth:grant-type:device_code', 'urn:openid:params:grant-type:ciba']

/**
 * Why the document at a client's `sector_identifier_uri` does not say that the client belongs to that sector (OpenID
 * Connect Registration 1.0 section 5); undefined where it does, and where the client names none. What is at the address
 * is not told: whoever names it may be asking what is behind it.
 */
export const sectorFault = async (fetch: Fetch, client: Belonging): Promise<string | undefined> => {
  const { sector_identifier_uri: uri, redirect_uris, grant_types, jwks_uri } = client
  if (uri === undefined) return undefined
  const known = await readList(fetch, uri)
  if (!known) return 'No list of addresses could be read there'
  const own = withoutBrowser.some((type) => grant_types.includes(type)) && jwks_uri ? [jwks_uri] : []
  const all = [...redirect_uris, ...own].every((one) => known.includes(one))
  return all ? undefined : 'The list there does not name every redirect address of this client'
}

const readList = async (fetch: Fetch, uri: string): Promise<string[] | undefined> => {
  try {
    const reply = await fetch(uri, { headers: { Accept: 'application/json' }, timeoutMs: 3_000, maxBytes: 65_536 })
    return reply.status === 200 ? listed.safeParse(reply.json()).data : undefined
  } catch {
    return undefined
  }
}
