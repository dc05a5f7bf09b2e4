import assert from 'node:assert/strict'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { openBrowser } from '../../browser-testing.ts'
import { type ProofKey, proofKey, proofOf } from '../dpop-testing.ts'
import { type Answer, ask, post } from '../fixtures-testing.ts'
import { makeSigner, type Signer } from '../signer-testing.ts'
import {
  answerPages,
  callback,
  challenge,
  openSuite,
  type Params,
  type Returned,
  readAnswer,
  type Suite,
  type SuiteClient,
  withoutGaps,
} from './suite-testing.ts'

const verifier = 'a-verifier-of-the-suite-that-is-long-enough-for-it'

/** A client of FAPI 2.0: `private_key_jwt`, its tokens bound by DPoP. */
export interface FapiClient extends SuiteClient {
  signer: Signer
  key: ProofKey
}

type Claims = Record<string, unknown>

/** What differs from a good request; a field of `''` is left out. */
export interface Change {
  params?: Params
  /** What stands beside the request object, where there is one. */
  beside?: Params
  assertion?: JWTPayload
  header?: { alg?: string }
  /** Of a request object: its claims. */
  object?: Claims
  proof?: ProofKey
  claims?: Claims
  headers?: Params
  by?: Signer
}

/** The suite against the security profile; with `signed`, against message signing: JAR in, JARM out. */
export interface FapiSuite extends Suite {
  signed: boolean
  first: FapiClient
  second: FapiClient
  push(client: FapiClient, change?: Change): Promise<Answer>
  /** Pushes, and answers the address that the browser goes to. */
  pushed(client: FapiClient, change?: Change, more?: Params): Promise<string>
  /** Pushes, signs in, and answers what came back. */
  code(client: FapiClient, change?: Change): Promise<Returned>
  /** At the token endpoint; `proof: undefined` said outright leaves the proof out. */
  token(client: FapiClient, fields: Params, change?: Change): Promise<Answer>
  redeemed(client: FapiClient, code: string, change?: Change & { fields?: Params }): Promise<Answer>
  resource(token: string, by: ProofKey | undefined, change?: { claims?: Claims; headers?: Params }): Promise<Answer>
  /** Everything; answers the tokens. */
  whole(client: FapiClient, change?: Change): Promise<{ body: Answer['body']; claims: JWTPayload; returned: Returned }>
}

/** Goes to an address of the authorization endpoint, signs in and agrees; reads the signed answer where there is one. */
export const visitAddress = async (
  suite: FapiSuite,
  client: FapiClient,
  address: string,
  decision = 'allow',
): Promise<Returned> => {
  const browser = openBrowser(suite.lido.url)
  await browser.get(address)
  const steps = await answerPages(browser, decision)
  const returned = readAnswer(browser.page)
  const response = returned.answer.get('response')
  if (!response) return { browser, steps, ...returned }
  const answer = await openResponse(suite, client, response)
  return { browser, steps, ...returned, answer, code: answer.get('code') ?? '' }
}

/** What a signed answer says (JARM section 4), checked. */
const openResponse = async ({ issuer, metadata }: Suite, { id }: FapiClient, response: string) => {
  const keys = createRemoteJWKSet(new URL(String(metadata.jwks_uri)))
  const checks = { issuer, audience: id, algorithms: ['PS256'], requiredClaims: ['exp'] }
  const { payload } = await jwtVerify(response, keys, checks)
  return new URLSearchParams(Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, String(value)])))
}

export const openFapi = async (signed: boolean): Promise<FapiSuite> => {
  const suite = await openSuite()
  const profile = signed ? 'fapi2_message_signing' : 'fapi2_security'
  const { issuer, metadata } = suite
  const tokenEndpoint = String(metadata.token_endpoint)
  const parEndpoint = String(metadata.pushed_authorization_request_endpoint)

  const fapiClient = async (): Promise<FapiClient> => {
    const signer = await makeSigner('PS256')
    const client = await suite.client({
      profile,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: signer.jwks,
      id_token_signed_response_alg: 'PS256',
      require_pkce: true,
    })
    return { ...client, signer, key: await proofKey() }
  }

  const assertionOf = ({ id, signer }: FapiClient, { assertion = {}, by = signer }: Change) =>
    by.assertion(issuer, id, assertion)

  const asked = async (client: FapiClient, { params = {}, object = {}, beside = {} }: Change): Promise<Params> => {
    const wanted = withoutGaps({
      response_type: 'code',
      scope: 'openid offline_access',
      state: 's1',
      nonce: 'n1',
      prompt: 'consent',
      redirect_uri: callback,
      ...challenge(verifier),
      ...(signed ? { response_mode: 'jwt' } : {}),
      ...params,
    })
    if (!signed) return { ...wanted, ...beside }
    return { request: await client.signer.request(issuer, client.id, { ...wanted, ...object }), ...beside }
  }

  const self: FapiSuite = {
    ...suite,
    signed,
    first: await fapiClient(),
    second: await fapiClient(),
    push: async (client, change = {}) => {
      const headers: Params = { ...change.headers }
      if (change.proof)
        headers.DPoP = await proofOf(change.proof, ['POST', parEndpoint], { claims: change.claims ?? {} })
      const fields = { client_id: client.id, ...(await asked(client, change)), ...(await assertionOf(client, change)) }
      return post(parEndpoint, withoutGaps(fields), headers)
    },
    pushed: async (client, change = {}, more = {}) => {
      const { status, body, text } = await self.push(client, change)
      assert.equal(status, 201, text)
      assert(Number(body.expires_in) > 0)
      const fields = { client_id: client.id, request_uri: String(body.request_uri), ...more }
      return `${metadata.authorization_endpoint}?${new URLSearchParams(fields)}`
    },
    code: async (client, change = {}) => visitAddress(self, client, await self.pushed(client, change)),
    token: async (client, fields, change = {}) => {
      const by = 'proof' in change ? change.proof : client.key
      const headers: Params = { ...change.headers }
      if (by) headers.DPoP = await proofOf(by, ['POST', tokenEndpoint], { claims: change.claims ?? {} })
      return post(tokenEndpoint, withoutGaps({ ...(await assertionOf(client, change)), ...fields }), headers)
    },
    redeemed: (client, code, change = {}) => {
      const fields = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: callback }
      return self.token(client, { ...fields, ...change.fields }, change)
    },
    resource: async (token, by, { claims = {}, headers = {} } = {}) => {
      const address = String(metadata.userinfo_endpoint)
      const proof = by ? { DPoP: await proofOf(by, ['GET', address], { token, claims }) } : ({} as Params)
      return ask(address, { headers: { Authorization: `DPoP ${token}`, ...proof, ...headers } })
    },
    whole: async (client, change = {}) => {
      const returned = await self.code(client, change)
      assert(returned.code, `${returned.answer} ${returned.page.url}`)
      const { status, body, text } = await self.redeemed(client, returned.code, { ...change, assertion: {} })
      assert.equal(status, 200, text)
      assert.equal(body.token_type, 'DPoP')
      const nonce = (change.params?.nonce ?? 'n1') as string
      const claims = await suite.checkIdToken(client, String(body.id_token), { nonce, alg: 'PS256' })
      const { status: told } = await self.resource(String(body.access_token), client.key, {
        claims: change.claims ?? {},
      })
      assert.equal(told, 200)
      return { body, claims, returned }
    },
  }
  return self
}
