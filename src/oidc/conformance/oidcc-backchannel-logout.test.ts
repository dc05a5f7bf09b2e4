import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { eventually } from '../fixtures-testing.ts'
import { verifyDiscovery } from './discovery-testing.ts'
import { goodbye, openSuite, type Suite } from './suite-testing.ts'

/** `oidcc-backchannel-rp-initiated-logout-certification-test-plan`: both of its modules. */
let suite: Suite
let hearing: Server
const heard: { method: string | undefined; type: string | undefined; body: string }[] = []
before(async () => {
  suite = await openSuite({ env: { EGRESS_ALLOW: '127.0.0.1' } })
  hearing = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    heard.push({ method: request.method, type: request.headers['content-type'], body })
    response.writeHead(200, { 'Cache-Control': 'no-store' }).end()
  })
  await new Promise<void>((resolve) => hearing.listen(0, '127.0.0.1', resolve))
})
after(async () => {
  hearing?.close()
  await suite.stop()
})

test('oidcc-backchannel-logout-discovery-endpoint-verification: discovery tells back-channel logout with sessions', async () => {
  await verifyDiscovery(suite)
  assert.equal(suite.metadata.backchannel_logout_supported, true)
  assert.equal(suite.metadata.backchannel_logout_session_supported, true)
})

test('oidcc-backchannel-rp-initiated-logout: the client is told by a logout token, and prompt=none finds nobody', async () => {
  const { port } = hearing.address() as AddressInfo
  const client = await suite.client({
    backchannel_logout_uri: `http://127.0.0.1:${port}/logout`,
    backchannel_logout_session_required: true,
  })
  const { browser, idToken, claims } = await suite.flow(client)
  const asked = { id_token_hint: idToken, post_logout_redirect_uri: goodbye, state: 'bye' }
  await browser.get(`${suite.metadata.end_session_endpoint}?${new URLSearchParams(asked)}`)
  assert.equal(browser.page.url, `${goodbye}?state=bye`)
  const [told] = await eventually(10_000, async () => {
    assert.equal(heard.length, 1)
    return heard
  })
  assert.deepEqual([told?.method, told?.type], ['POST', 'application/x-www-form-urlencoded'])
  const token = new URLSearchParams(told?.body).get('logout_token') ?? ''
  const keys = createRemoteJWKSet(new URL(String(suite.metadata.jwks_uri)))
  const checks = { issuer: suite.issuer, audience: client.id, algorithms: ['RS256'], typ: 'logout+jwt' }
  const { payload } = await jwtVerify(token, keys, { ...checks, requiredClaims: ['iat', 'exp', 'jti', 'events'] })
  assert.deepEqual([payload.sub, payload.sid], [claims.sub, claims.sid])
  assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
  assert.equal('nonce' in payload, false)
  const { answer } = await suite.visit(client, { prompt: 'none' }, browser)
  assert.equal(answer.get('error'), 'login_required')
})
