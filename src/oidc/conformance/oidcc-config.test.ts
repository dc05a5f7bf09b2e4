import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { testLido } from '../../testing.ts'
import { freePort, makePool, makeWorkspace } from '../fixtures-testing.ts'
import { fetchAt } from '../raw-testing.ts'
import { verifyDiscovery } from './discovery-testing.ts'
import { openSuite, type Suite } from './suite-testing.ts'

/** `oidcc-config-certification-test-plan`: its one module, once over http for loopback, once with an https address. */
let suite: Suite
before(async () => {
  suite = await openSuite()
})
after(() => suite.stop())

test('oidcc-discovery-endpoint-verification: discovery and the keys have everything that section 3 asks for', () =>
  verifyDiscovery(suite))

test('oidcc-discovery-endpoint-verification: every address is https where the public one is', async () => {
  const port = await freePort()
  const lido = await testLido({
    PUBLIC_URL: 'https://id.example.org',
    TRUSTED_PROXIES: '127.0.0.1',
    PORT: String(port),
  })
  try {
    await makeWorkspace(lido, 'conformance', { pools: [await makePool(lido, 'suite')] })
    const issuer = 'https://id.example.org/w/conformance'
    const at = fetchAt(`http://127.0.0.1:${port}`)
    const answer = await at(`${issuer}/.well-known/openid-configuration`, { headers: { 'X-Forwarded-Proto': 'https' } })
    const metadata = (await answer.json()) as Record<string, unknown>
    assert.equal(metadata.issuer, issuer)
    for (const [name, told] of Object.entries(metadata))
      if (/(_endpoint|_uri)$/.test(name)) assert.match(String(told), /^https:\/\/id\.example\.org\//, name)
  } finally {
    await lido.stop()
  }
})
