import { equal, randomToken, sha256 } from '../../platform/secrets.ts'
import type { Outsider } from '../outsider.ts'
import type { Tried } from '../sources/source.ts'
import { faultOf } from './faults.ts'
import type { Arrived, NotArrived, OpenUpstream, Returned, UpstreamTools } from './upstream.ts'

/** A provider that speaks OAuth 2.0 and no OpenID Connect: who somebody is has to be asked of an API of its own. */
export interface Oauth2Party {
  authorize: string
  token: string
  clientId: string
  clientSecret: string
  scopes: readonly string[]
  /** Asks who a token belongs to. Throws a `NotThere` where the answer is none. */
  who(accessToken: string): Promise<Outsider>
}

/** Says that an answer of a provider's API could not be used; the text holds nothing of anybody. */
export class NotThere extends Error {}

interface Kept {
  verifier: string
}

/** The authorization code grant with PKCE and state (RFC 6749 section 4.1, RFC 7636). */
export const openOauth2 = (party: Oauth2Party, tools: UpstreamTools): OpenUpstream => ({
  depart: async ({ callback, state, loginHint }) => {
    const keep: Kept = { verifier: randomToken(48) }
    const to = new URL(party.authorize)
    to.search = new URLSearchParams({
      response_type: 'code',
      client_id: party.clientId,
      redirect_uri: callback,
      scope: party.scopes.join(' '),
      state,
      code_challenge: sha256(keep.verifier),
      code_challenge_method: 'S256',
      ...(loginHint ? { login: loginHint } : {}),
    }).toString()
    return { is: 'ok', to, keep }
  },
  arrive: async (returned, kept, at) => {
    try {
      return await arrive(party, tools, returned, { ...(kept as Kept), ...at })
    } catch (error) {
      if (error instanceof NotThere) return { is: 'refused', detail: error.message }
      return faultOf(error)
    }
  },
  test: () => test(party, tools),
})

const arrive = async (
  party: Oauth2Party,
  tools: UpstreamTools,
  { fields }: Returned,
  { verifier, callback, state }: Kept & { callback: string; state: string },
): Promise<Arrived | NotArrived> => {
  if (!equal(fields.state ?? '', state)) return { is: 'refused', detail: 'The state is another.' }
  if (fields.error)
    return { is: fields.error === 'access_denied' ? 'denied' : 'refused', detail: 'They did not go on.' }
  if (!fields.code) return { is: 'refused', detail: 'There is no code.' }
  const answer = await tools.fetch(party.token, {
    method: 'POST',
    headers: { Accept: 'application/json', 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: party.clientId,
      client_secret: party.clientSecret,
      code: fields.code,
      redirect_uri: callback,
      code_verifier: verifier,
    }).toString(),
  })
  if (answer.status >= 500 || answer.status === 429)
    return { is: 'unavailable', detail: `The token endpoint answers ${answer.status}.` }
  // GitHub answers errors with status 200.
  const { access_token, error } = answer.json() as { access_token?: unknown; error?: unknown }
  const ours = error === 'incorrect_client_credentials' || error === 'invalid_client'
  if (typeof access_token !== 'string')
    return { is: ours ? 'misconfigured' : 'refused', detail: 'The token endpoint gives no token.' }
  return { is: 'ok', user: await party.who(access_token) }
}

/** Nothing can be tried without somebody: only whether the provider is there. */
const test = async ({ token }: Oauth2Party, { fetch }: UpstreamTools): Promise<Tried[]> => {
  const name = 'Token endpoint'
  try {
    await fetch(token, { method: 'POST', headers: { Accept: 'application/json' }, body: '' })
    return [{ name, ok: true, detail: 'It answers. The client id and secret are tried by the first sign-in.' }]
  } catch {
    return [{ name, ok: false, detail: 'The provider could not be reached.' }]
  }
}
