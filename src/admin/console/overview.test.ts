import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as audit from '../../directory/audit.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { makePerson } from '../operators-testing.ts'
import { openConsole } from './fixtures-testing.ts'

let lido: AdminLido
let poolId = ''
before(async () => {
  lido = await adminLido()
  poolId = String((await lido.call('POST', '/pools', { slug: 'counted', name: 'Counted' })).body.id)
  await lido.call('POST', '/pools', { slug: 'hidden', name: 'Hidden' })
  for (const happening of [succeeded, succeeded, failed])
    await audit.record(lido.services.db, new Date(), { poolId }, happening)
})
after(() => lido.stop())

const succeeded: audit.Happening = { type: 'sign_in.succeeded', data: { methods: ['password'] } }
const failed: audit.Happening = { type: 'sign_in.failed', data: { method: 'password', why: 'wrong' } }

test('the dashboard draws what happened, says it in a table, and counts one pool alone', async () => {
  const browser = await openConsole(lido, { role: 'viewer' })
  await browser.get('/console?days=7&pool=counted')
  assert.equal(browser.page.status, 200)
  assert.match(browser.page.html, /aria-label="Sign-ins: 2 in all, at most 2 on a day"/)
  assert.match(browser.page.html, /aria-label="Failures: 1 in all/)
  const today = new Date().toISOString().slice(0, 10)
  assert.ok(browser.page.html.includes(`<title>${today}: 2</title>`))
  assert.match(browser.page.html, new RegExp(`<th scope="row">${today}</th><td>2</td>`))
  assert.equal(browser.page.html.match(/<rect class="chart-bar" x=/g)?.length, 21)
  for (const days of ['8', '-1', '1e9', 'x']) {
    await browser.get(`/console?days=${days}`)
    assert.match(browser.page.html, /last 30 days/)
  }
  await browser.get('/console?pool=nowhere')
  assert.equal(browser.page.status, 404)
})

test('an operator with limits counts and finds only what is theirs', async () => {
  const browser = await openConsole(lido, { role: 'viewer', pools: [poolId], workspaces: [] })
  await browser.get('/console')
  assert.match(browser.page.html, /Counted/)
  assert.doesNotMatch(browser.page.html, /Administrators|Hidden/)
  await browser.get('/console/events')
  assert.match(browser.page.html, /sign_in\.succeeded/)
  assert.doesNotMatch(browser.page.html, /workspace\.created/)
  await browser.get('/console/events?pool=hidden')
  assert.equal(browser.page.status, 404)
  await browser.get('/console/operators')
  assert.equal(browser.page.status, 404)
})

test('events are filtered by form and downloaded as filtered', async () => {
  const browser = await openConsole(lido, { role: 'viewer' })
  const today = new Date().toISOString().slice(0, 10)
  await browser.get(`/console/events?type=sign_in.failed&workspace=&pool=counted&since=${today}&until=`)
  assert.match(browser.page.html, /<code>sign_in\.failed<\/code>/)
  assert.doesNotMatch(browser.page.html, /sign_in\.succeeded/)
  await browser.get(browser.link('Download as CSV'))
  assert.match(browser.page.headers.get('Content-Disposition') ?? '', /attachment; filename="events.csv"/)
  assert.equal(browser.page.html.trim().split('\r\n').length, 2)
  await browser.get('/console/events?type=nonsense')
  assert.equal(browser.page.status, 422)
})

test('the X-ray tells what is behind the reference of an error page', async () => {
  const browser = await openConsole(lido, { role: 'viewer' })
  const query = new URLSearchParams({ client_id: 'demo', response_type: 'code', redirect_uri: 'https://evil.example/' })
  const refused = await fetch(`${lido.url}/w/demo/authorize?${query}`, { headers: { Accept: 'text/html' } })
  const trace = (await refused.text()).match(/<code>([\w-]{10,16})<\/code>/)?.[1] ?? ''
  assert.equal(trace, refused.headers.get('X-Trace-Id'))
  await browser.get(`/console/traces?trace=${encodeURIComponent(` ${trace} `)}`)
  assert.equal(browser.page.url, `${lido.url}/console/traces/${trace}`)
  assert.match(browser.page.html, /invalid_redirect_uri/)
  assert.match(browser.page.html, /sent https:\/\/evil\.example\//)
  await browser.get('/console/traces/unheard-of-12')
  assert.equal(browser.page.status, 404)
  assert.match(browser.page.alert ?? '', /Nothing is known/)
})

test('an owner invites an operator, changes what they may, and takes it away', async () => {
  const browser = await openConsole(lido)
  await browser.get('/console/operators/~new')
  const form = { csrf: browser.page.html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? '' }
  await browser.post('/console/operators/~new', { ...form, email: 'not an address', role: 'viewer' })
  assert.equal(browser.page.status, 422)
  assert.match(browser.page.html, /value="not an address"/)
  await browser.post('/console/operators/~new', { ...form, email: 'new@example.org', role: 'viewer' })
  assert.match(browser.page.html, /An invitation went to new@example\.org/)
  assert.match((await lido.message('new@example.org')).link, /\/w\/admin\/invitation\//)
  const limited = { ...form, email: 'desk@example.org', role: 'helpdesk', [`pools.${poolId}`]: 'true' }
  await browser.post('/console/operators/~new', limited)
  await browser.get((await lido.message('desk@example.org')).link)
  await browser.submit({ new_password: 'a long pass phrase of mine' })
  const desk = (await lido.call('GET', '/operators')).body.items?.find(({ role }) => role === 'helpdesk')
  assert.deepEqual([desk?.pools, desk?.workspaces], [[poolId], null])
  await browser.get('/console/operators')
  const id = await makePerson(lido, 'administrators', 'limited@example.org')
  await lido.call('PUT', `/operators/${id}`, { role: 'viewer' })
  await browser.post(`/console/operators/${id}/~edit`, { ...form, role: 'helpdesk', [`pools.${poolId}`]: 'true' })
  assert.match(browser.page.html, /The operator was changed/)
  const { body } = await lido.call('GET', `/operators/${id}`)
  assert.deepEqual([body.role, body.pools, body.workspaces], ['helpdesk', [poolId], null])
  await browser.post(`/console/operators/${id}/~delete`, form)
  assert.equal((await lido.call('GET', `/operators/${id}`)).status, 404)
})

test('only owners see and change operators', async () => {
  for (const role of ['admin', 'viewer'] as const) {
    const browser = await openConsole(lido, { role })
    await browser.get('/console/operators')
    assert.doesNotMatch(browser.page.html, /New operator/)
    await browser.get('/console/operators/~new')
    assert.equal(browser.page.status, 403)
  }
})

test('roles and tenants are made, changed and deleted', async () => {
  const browser = await openConsole(lido, { role: 'admin' })
  const csrf = async (path: string) => {
    await browser.get(path)
    return browser.page.html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''
  }
  await browser.post('/console/tenants/~new', {
    csrf: await csrf('/console/tenants/~new'),
    slug: 'acme',
    name: 'Acme',
    pool: 'counted',
    metadata: '{"plan":"gold"}',
  })
  assert.match(browser.page.html, /The tenant was made/)
  const tenant = (await lido.call('GET', '/tenants')).body.items?.[0]
  assert.deepEqual([tenant?.slug, tenant?.pool_id, tenant?.metadata], ['acme', poolId, { plan: 'gold' }])
  await browser.post('/console/tenants/~new', {
    csrf: await csrf('/console/tenants/~new'),
    slug: 'acme',
    name: 'Again',
    pool: 'counted',
    metadata: '{oops',
  })
  assert.match(browser.page.html, /This is not JSON/)
  assert.match(browser.page.html, /\{oops/)
  const fields = {
    key: 'billing',
    name: 'Billing',
    permissions: 'bills:read\r\nbills:pay\r\n',
    tenant_id: String(tenant?.id),
  }
  await browser.post('/console/roles/~new', { csrf: await csrf('/console/roles/~new'), ...fields })
  const role = (await lido.call('GET', '/roles')).body.items?.[0]
  assert.deepEqual([role?.permissions, role?.tenant_id], [['bills:read', 'bills:pay'], tenant?.id])
  const edit = `/console/roles/${role?.id}/~edit`
  const form = { csrf: await csrf(edit), key: 'billing', name: 'Bills', description: '', permissions: 'bills:read' }
  const etag = browser.page.html.match(/name="etag" value="([^"]*)"/)?.[1]?.replaceAll('&quot;', '"') ?? ''
  await browser.post(edit, { ...form, etag })
  assert.match(browser.page.html, /The role was changed/)
  await browser.post(edit, { ...form, name: 'Overtaken', etag })
  assert.match(browser.page.alert ?? '', /changed in the meantime/)
  assert.equal((await lido.call('GET', `/roles/${role?.id}`)).body.name, 'Bills')
  await browser.post(`/console/roles/${role?.id}/~delete`, { csrf: form.csrf })
  assert.equal((await lido.call('GET', `/roles/${role?.id}`)).status, 404)
})
