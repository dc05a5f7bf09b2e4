import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'
import { type ConsoleBrowser, openConsole } from './fixtures-testing.ts'
import { errorAt, fillIn, valueAt } from './forms-testing.ts'

let lido: AdminLido
let browser: ConsoleBrowser
before(async () => {
  lido = await adminLido()
  browser = await openConsole(lido)
})
after(() => lido.stop())

const make = async (path: string, body: object): Promise<string> => (await lido.make(path, body)).id

test('an operator whose one pool is gone is not let into every pool by a change of something else', async () => {
  const pool = await make('/pools', { slug: 'gone', name: 'Gone' })
  const id = await makePerson(lido, 'administrators', 'limited@example.org')
  assert.equal((await lido.call('PUT', `/operators/${id}`, { role: 'admin', pools: [pool] })).status, 200)
  assert.equal((await lido.call('DELETE', '/pools/gone')).status, 204)
  const path = `/console/operators/${id}/~edit`
  await fillIn(browser, path, { role: 'helpdesk' })
  assert.equal(browser.page.status, 422)
  assert.match(errorAt(browser, 'pools'), /nothing with this id/)
  assert.equal(valueAt(browser, `pools.${pool}`), 'true')
  assert.deepEqual((await lido.call('GET', `/operators/${id}`)).body.pools, [pool])
})

test('a client keeps the connections that an operator may not see', async () => {
  const [seen, hidden] = [
    await make('/pools', { slug: 'seen', name: 'Seen' }),
    await make('/pools', { slug: 'unseen', name: 'Unseen' }),
  ]
  await make('/workspaces', { slug: 'shared', name: 'Shared' })
  await make('/workspaces/shared/connections', { pool: seen })
  const connection = await make('/workspaces/shared/connections', { pool: hidden })
  const client = { client_id: 'shop', client_name: 'Shop', redirect_uris: ['https://a.example/cb'] }
  const made = await lido.call('POST', '/workspaces/shared/clients', { ...client, connections: [connection] })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const limited = await openConsole(lido, { role: 'admin', pools: [seen] })
  await fillIn(limited, '/console/workspaces/shared/clients/shop/~edit', { client_name: 'Store' })
  const { body } = await lido.call('GET', '/workspaces/shared/clients/shop')
  assert.equal(body.client_name, 'Store')
  assert.deepEqual(body.connections, [connection])
})

test('JSON in a field is read as that of the API is', async () => {
  for (const odd of [
    '{"a":"\\u0000"}',
    '{"a":"\\ud800"}',
    '{"__proto__":{"a":1}}',
    `${'['.repeat(3000)}${']'.repeat(3000)}`,
  ]) {
    await fillIn(browser, '/console/pools/people/~edit', { metadata_schema: odd })
    assert.equal(browser.page.status, 422, odd.slice(0, 40))
    assert.match(errorAt(browser, 'metadata_schema'), /not JSON/)
  }
})
