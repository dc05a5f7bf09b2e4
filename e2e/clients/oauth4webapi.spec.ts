import * as oauth from 'oauth4webapi'
import { deviceGrant } from '../../src/directory/client-metadata.ts'
import { signIn } from '../acts.ts'
import { expect, page as html, test } from './app.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

const discover = async (issuer: string): Promise<oauth.AuthorizationServer> => {
  const url = new URL(issuer)
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...insecure, algorithm: 'oidc' }))
}

test('oauth4webapi keeps to message signing of FAPI 2.0, from the pushed request to the renewed tokens', async ({
  page,
  town,
  serve,
}) => {
  const url = await serve(async () => (_request, response) => void response.end(html('Back')))
  const redirect_uri = `${url}/callback`
  const own = await oauth.generateKeyPair('ES256', { extractable: true })
  const { issuer, id } = await town.register({
    profile: 'fapi2_message_signing',
    application_type: 'native',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [await crypto.subtle.exportKey('jwk', own.publicKey)] } as never,
    id_token_signed_response_alg: 'ES256',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirect_uri],
  })
  const as = await discover(issuer)
  const client: oauth.Client = {
    client_id: id,
    id_token_signed_response_alg: 'ES256',
    authorization_signed_response_alg: 'PS256',
    introspection_signed_response_alg: 'PS256',
  }
  const by = oauth.PrivateKeyJwt(own.privateKey)
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const asked = {
    response_type: 'code',
    response_mode: 'jwt',
    redirect_uri,
    scope: 'openid email',
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  }
  const request = await oauth.issueRequestObject(as, client, asked, own.privateKey)
  const pushed = await oauth.pushedAuthorizationRequest(as, client, by, { request }, { ...insecure, DPoP })
  const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, pushed)
  await page.goto(`${as.authorization_endpoint}?${new URLSearchParams({ client_id: id, request_uri })}`)
  await signIn(page, town.email)
  await expect(page.getByRole('heading')).toHaveText('Back')

  const answer = await oauth.validateJwtAuthResponse(as, client, new URL(page.url()), state, insecure)
  const redeemed = await oauth.authorizationCodeGrantRequest(as, client, by, answer, redirect_uri, verifier, {
    ...insecure,
    DPoP,
  })
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, redeemed, { requireIdToken: true })
  await oauth.validateApplicationLevelSignature(as, redeemed, insecure)
  expect(tokens.token_type).toBe('dpop')

  const asking = { ...insecure, DPoP }
  const told = await oauth.userInfoRequest(as, client, tokens.access_token, asking)
  const { sub } = oauth.getValidatedIdTokenClaims(tokens) ?? { sub: '' }
  expect((await oauth.processUserInfoResponse(as, client, sub, told)).email).toBe(town.email)

  const renewal = await oauth.refreshTokenGrantRequest(as, client, by, tokens.refresh_token ?? '', asking)
  const renewed = await oauth.processRefreshTokenResponse(as, client, renewal)
  const question = { ...insecure, requestJwtResponse: true }
  const introspected = await oauth.introspectionRequest(as, client, by, renewed.access_token, question)
  const meaning = await oauth.processIntrospectionResponse(as, client, introspected)
  await oauth.validateApplicationLevelSignature(as, introspected, insecure)
  expect([meaning.active, meaning.client_id]).toEqual([true, id])
})

test('oauth4webapi is told to wait for a device, and then that it was not let in', async ({ page, town }) => {
  const { issuer, id } = await town.register({ token_endpoint_auth_method: 'none', grant_types: [deviceGrant] })
  const as = await discover(issuer)
  const client: oauth.Client = { client_id: id }
  const asked = await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'openid' }, insecure)
  const begun = await oauth.processDeviceAuthorizationResponse(as, client, asked)
  const poll = async () => {
    const answer = await oauth.deviceCodeGrantRequest(as, client, oauth.None(), begun.device_code, insecure)
    const told = oauth.processDeviceCodeResponse(as, client, answer)
    return told.then(
      () => 'tokens',
      (error: oauth.ResponseBodyError) => error.error,
    )
  }
  expect(await poll()).toBe('authorization_pending')
  await page.goto(begun.verification_uri_complete ?? '')
  await page.getByRole('button', { name: 'Continue' }).click()
  await signIn(page, town.email)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByRole('heading')).toHaveText('Not connected')
  await expect.poll(poll, { intervals: [5_500], timeout: 15_000 }).toBe('access_denied')
})
