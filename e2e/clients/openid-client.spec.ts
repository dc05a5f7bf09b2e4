import { generateKeyPair } from 'jose'
import * as oidc from 'openid-client'
import { deviceGrant } from '../../src/directory/client-metadata.ts'
import { signIn } from '../acts.ts'
import { expect, page as html, test } from './app.ts'

const home = async () => (_request: unknown, response: { end(text: string): void }) => response.end(html('Back'))
const options = { execute: [oidc.allowInsecureRequests] }

test('openid-client pushes its request, binds its tokens to a key, renews and introspects', async ({
  page,
  town,
  serve,
}) => {
  const redirect_uri = `${await serve(home)}/callback`
  const { issuer, id, secret } = await town.register({
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [redirect_uri],
    require_pushed_authorization_requests: true,
    dpop_bound_access_tokens: true,
  })
  const config = await oidc.discovery(new URL(issuer), id, undefined, oidc.ClientSecretBasic(secret), options)
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const asked = {
    redirect_uri,
    scope: 'openid email',
    state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  }
  const to = await oidc.buildAuthorizationUrlWithPAR(config, asked, { DPoP })
  expect([...to.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
  await page.goto(to.href)
  await signIn(page, town.email)
  await expect(page.getByRole('heading')).toHaveText('Back')
  const checks = { pkceCodeVerifier, expectedState, idTokenExpected: true }
  const tokens = await oidc.authorizationCodeGrant(config, new URL(page.url()), checks, undefined, { DPoP })
  const renewed = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '', undefined, { DPoP })
  expect(renewed.token_type).toBe('dpop')
  const subject = tokens.claims()?.sub ?? ''
  expect((await oidc.fetchUserInfo(config, renewed.access_token, subject, { DPoP })).email).toBe(town.email)
  expect((await oidc.tokenIntrospection(config, renewed.access_token)).active).toBe(true)
  await oidc.tokenRevocation(config, renewed.refresh_token ?? '')
  const again = oidc.refreshTokenGrant(config, renewed.refresh_token ?? '', undefined, { DPoP })
  await expect(again).rejects.toMatchObject({ error: 'invalid_grant' })
})

test('openid-client waits for a device to be let in, authenticated by its key', async ({ page, town }) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const { issuer, id } = await town.register({
    grant_types: [deviceGrant],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [await crypto.subtle.exportKey('jwk', publicKey)] } as never,
  })
  const config = await oidc.discovery(new URL(issuer), id, undefined, oidc.PrivateKeyJwt(privateKey), options)
  const begun = await oidc.initiateDeviceAuthorization(config, { scope: 'openid email' })
  const waiting = oidc.pollDeviceAuthorizationGrant(config, begun)
  await page.goto(begun.verification_uri_complete ?? '')
  await page.getByRole('button', { name: 'Continue' }).click()
  await signIn(page, town.email)
  await page.getByRole('button', { name: 'Connect' }).click()
  await expect(page.getByRole('heading')).toHaveText('Device connected')
  const tokens = await waiting
  const told = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '')
  expect(told.email).toBe(town.email)
})
