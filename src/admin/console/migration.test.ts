import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { isSignedIn, visitAs } from '../../pages/fixtures-testing.ts'
import { makeExternal, type Outside, openOutside, secretThere } from '../../pages/outside-testing.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { openConsole } from './fixtures-testing.ts'
import { csrfOf, send } from './forms-testing.ts'

let lido: AdminLido
let outside: Outside

before(async () => {
  lido = await adminLido({ EGRESS_ALLOW: '127.0.0.1' })
  outside = await openOutside()
})
afterEach(() => outside.people.clear())
after(async () => {
  await lido.stop()
  await outside.close()
})

let made = 0
const newSlug = () => `elsewhere-${++made}`

const makeLocal = async () => {
  const slug = newSlug()
  const { status } = await lido.call('POST', '/pools', { slug, name: `Pool ${slug}` })
  assert.equal(status, 201)
  return slug
}

const sourceOf = async (slug: string) => {
  const { body } = await lido.call('GET', `/pools/${slug}`)
  return body as { kind: string; source: Record<string, unknown> | null; upstream: Record<string, unknown> | null }
}

test('a pool is moved elsewhere by its form, whose secrets are typed and never shown', async () => {
  const slug = await makeLocal()
  const console = await openConsole(lido)
  await console.get(`/console/pools/${slug}/~outside`)
  assert.match(console.page.html, /Auth0/)
  await console.get(`/console/pools/${slug}/~outside?type=http`)
  const typed = {
    'source.settings.url': outside.url,
    'source.settings.secret': 'the secret of the source',
    'source.mode': 'migrate',
  }
  await send(console, `/console/pools/${slug}/~outside`, typed)
  assert.equal(console.page.status, 422)
  assert.match(console.page.html, /move over for good/)
  assert.ok(console.page.html.includes(outside.url), 'what was typed stays')
  assert.ok(!console.page.html.includes('the secret of the source'))
  await send(console, `/console/pools/${slug}/~outside`, { ...typed, confirm_migration: 'true' })
  assert.equal(console.page.status, 200, console.page.html)
  const { kind, source } = await sourceOf(slug)
  assert.equal(kind, 'external')
  assert.deepEqual([source?.type, source?.mode, source?.secrets], ['http', 'migrate', ['secret']])
  await console.get(`/console/pools/${slug}/~outside`)
  assert.match(console.page.html, /type="password"/)
  await send(console, `/console/pools/${slug}/~outside`, {
    'source.settings.tenant_id_field': 'organisation',
    'source.settings.secret': '',
  })
  const after = await sourceOf(slug)
  assert.deepEqual(after.source?.secrets, ['secret'], 'an empty secret is kept')
  assert.deepEqual(after.source?.settings, { url: outside.url, tenant_id_field: 'organisation' })
})

test('settings that are wrong are told at their fields', async () => {
  const slug = await makeLocal()
  const console = await openConsole(lido)
  await console.get(`/console/pools/${slug}/~outside?type=auth0`)
  await send(console, `/console/pools/${slug}/~outside`, {
    'source.settings.domain': 'no host at all',
    'source.settings.client_id': 'x',
    'source.settings.client_secret': 'x',
    'source.mode': 'migrate',
  })
  assert.equal(console.page.status, 422)
  assert.match(console.page.html, /Must be a host/)
  assert.equal((await sourceOf(slug)).kind, 'local')
})

test('every type of source and upstream has a form', async () => {
  const slug = await makeLocal()
  const console = await openConsole(lido)
  for (const type of 'auth0 cognito custom http oidc google microsoft apple github facebook saml'.split(' ')) {
    await console.get(`/console/pools/${slug}/~outside?type=${type}`)
    assert.equal(console.page.status, 200, `${type}: ${console.page.html}`)
    assert.match(console.page.html, /name="(source|upstream)\.settings\./, type)
  }
})

test('a federated pool is made by its form', async () => {
  const slug = await makeLocal()
  const console = await openConsole(lido)
  await console.get(`/console/pools/${slug}/~outside?type=github`)
  await send(console, `/console/pools/${slug}/~outside`, {
    'upstream.settings.client_id': 'lido',
    'upstream.settings.client_secret': 'shared',
  })
  assert.equal(console.page.status, 200, console.page.html)
  const { kind, upstream } = await sourceOf(slug)
  assert.deepEqual([kind, upstream?.type, upstream?.secrets], ['federated', 'github', ['client_secret']])
})

test('the cockpit shows how far people are, what went wrong, and lists who has not come', async () => {
  const { slug } = await makeExternal(lido, outside)
  outside.add({ email: 'came@example.org', roles: ['role-of-elsewhere'] })
  outside.add({ email: 'stays@example.org' })
  const person = await visitAs(lido, slug, 'came@example.org')
  await person.submit({ password: secretThere })
  assert.ok(isSignedIn(person))
  const console = await openConsole(lido)
  await console.get(`/console/pools/${slug}/migration`)
  assert.equal(console.page.status, 200, console.page.html)
  assert.match(console.page.html, /<dt>Came over<\/dt><dd>1<\/dd>/)
  assert.match(console.page.html, /role-of-elsewhere/)
  await console.get(`/console/pools/${slug}/migration/remaining`)
  assert.match(console.page.html, /stays@example\.org/)
  assert.ok(!console.page.html.includes('came@example.org'))
  await send(console, `/console/pools/${slug}/migration/remaining/~mail`, {
    'only.stays@example.org': 'true',
    whom: 'some',
  })
  assert.match(console.page.url, /\/migration$/)
  const { subject } = await lido.message('stays@example.org')
  assert.match(subject, /^Set a password/)
})

test('pausing, observing and freezing are one press each; taking the source away needs a tick', async () => {
  const { slug, pool } = await makeExternal(lido, outside)
  const console = await openConsole(lido)
  const here = `/console/pools/${slug}/migration`
  const press = async (name: string) => {
    await console.get(here)
    const csrf = csrfOf(console)
    await console.post(`${here}/~${name}`, { csrf })
  }
  await press('pause')
  assert.match(console.page.html, /Nothing is asked of the source/)
  await press('resume')
  await press('observe')
  assert.equal((await sourceOf(slug)).source?.observe, true)
  await console.get(`${here}/~begin`)
  await send(console, `${here}/~begin`)
  assert.equal((await sourceOf(slug)).source?.observe, false)
  await console.get(`${here}/~finish`)
  const csrf = csrfOf(console)
  await console.post(`${here}/~finish`, { csrf, step: 'freeze' })
  assert.equal((await sourceOf(slug)).source?.frozen, true)
  await console.post(`${here}/~finish`, { csrf, step: 'cut' })
  assert.equal(console.page.status, 422)
  await console.post(`${here}/~finish`, { csrf, step: 'cut', understood: 'true' })
  assert.equal((await sourceOf(pool.id)).kind, 'local')
})

test('a mapping is tried on a sample, and the connection is tested', async () => {
  const { slug } = await makeExternal(lido, outside)
  const console = await openConsole(lido)
  await console.get(`/console/pools/${slug}/~outside/mapping`)
  await send(console, `/console/pools/${slug}/~outside/mapping`, { claims: '{ "roles": ["role-of-elsewhere"] }' })
  assert.match(console.page.html, /role-of-elsewhere/)
  assert.match(console.page.html, /unknown here/)
  await send(console, `/console/pools/${slug}/~outside/mapping`, { claims: 'no JSON' })
  assert.equal(console.page.status, 422)
  await console.get(`/console/pools/${slug}/migration`)
  const csrf = csrfOf(console)
  await console.post(`/console/pools/${slug}/~outside/test`, { csrf })
  assert.match(console.page.html, /as it should be/)
})

test('who may only look sees the numbers and no button, and can press none', async () => {
  const { slug } = await makeExternal(lido, outside)
  for (const role of ['viewer', 'helpdesk'] as const) {
    const console = await openConsole(lido, { role })
    await console.get(`/console/pools/${slug}/migration`)
    assert.equal(console.page.status, 200, console.page.html)
    assert.ok(!console.page.html.includes('/~pause'))
    assert.ok(!console.page.html.includes('/~finish'))
    await console.get(`/console/pools/${slug}/~outside`)
    assert.notEqual(console.page.status, 200)
    const without = await console.post(`/console/pools/${slug}/migration/~pause`, {})
    assert.equal(without.status, 403)
  }
  assert.equal((await sourceOf(slug)).source?.paused, false)
})
