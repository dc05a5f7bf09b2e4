import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as runs from '../../directory/script-runs.ts'
import * as scripts from '../../directory/scripts.ts'
import { type AdminLido, adminLido } from '../fixtures-testing.ts'
import { operator } from '../operators-testing.ts'

let lido: AdminLido
before(async () => {
  lido = await adminLido()
  for (const slug of ['acme', 'other']) await lido.call('POST', '/workspaces', { slug, name: slug })
  await lido.call('POST', '/pools', { slug: 'staff', name: 'Staff' })
})
after(() => lido.stop())

const path = '/workspaces/acme/scripts'
const code = 'const postAuthentication = () => ({ claims: { plan: "gold" } })'
const make = (more: object = {}) => lido.make(path, { name: 'Plans', code, ...more })

test('makes a script, keeps each save as a version, and goes back to one', async () => {
  const made = await make()
  assert.deepEqual([made.version, made.enabled, made.on_failure, made.point], [1, true, 'deny', 'post_authentication'])
  const at = `${path}/${made.id}`
  const changed = await lido.call('PATCH', at, { code: `${code} // two` })
  assert.equal(changed.body.version, 2)
  assert.equal((await lido.call('PATCH', at, { name: 'Other', on_failure: 'continue' })).body.version, 2)
  const back = await lido.call('POST', `${at}/rollback`, { version: 1 })
  assert.deepEqual([back.body.version, back.body.code, back.body.name], [1, code, 'Other'])
  assert.equal((await lido.call('PATCH', at, { code: `${code} // three` })).body.version, 3)
  const { items = [] } = (await lido.call('GET', `${at}/versions`)).body
  assert.deepEqual(
    items.map(({ number, current }) => [number, current]),
    [
      [3, true],
      [2, false],
      [1, false],
    ],
  )
  assert.ok(items.every(({ written_by }) => (written_by as { kind: string }).kind === 'client'))
  assert.equal((await lido.call('POST', `${at}/rollback`, { version: 9 })).status, 404)
  const events = (await lido.call('GET', '/events?type=script.rolled_back')).body.items ?? []
  assert.equal(events.length, 1)
  assert.equal((await lido.call('DELETE', at)).status, 204)
  assert.equal((await lido.call('GET', at)).status, 404)
})

test('keeps the last fifty versions', async () => {
  const { id } = await make()
  for (let n = 0; n < 52; n += 1) await lido.call('PATCH', `${path}/${id}`, { code: `${code} // ${n}` })
  const { items = [] } = (await lido.call('GET', `${path}/${id}/versions`)).body
  assert.deepEqual([items.length, items[0]?.number, items.at(-1)?.number], [50, 53, 4])
})

test('tries a script in the sandbox, and says what does not fit', async () => {
  const { id } = await make()
  const at = `${path}/${id}/test`
  const good = await lido.call('POST', at, { input: {} })
  assert.equal(good.status, 200, JSON.stringify(good.body))
  assert.deepEqual([good.body.ok, good.body.output], [true, { claims: { plan: 'gold' } }])
  const tried = (text: string, input = {}) => lido.call('POST', at, { input, code: text })
  const reserved = await tried('const postAuthentication = () => ({ claims: { sub: "x", groups: [] } })')
  assert.equal(reserved.body.why, 'bad_output')
  assert.deepEqual(
    (reserved.body.errors as { pointer: string }[]).map(({ pointer }) => pointer),
    ['/claims/sub', '/claims/groups'],
  )
  const thrown = await tried('const postAuthentication = () => { console.log("on the way"); throw new Error("oh") }')
  assert.deepEqual([thrown.body.ok, thrown.body.why], [false, 'threw'])
  assert.match(String(thrown.body.detail), /oh/)
  assert.match(String(thrown.body.logs), /on the way/)
  assert.equal((await tried('const postAuthentication = () => { for (;;); }')).body.why, 'timeout')
  assert.equal((await lido.call('POST', at, {})).status, 422)
})

test('keeps samples to try a script on', async () => {
  const { id } = await make({ code: 'const postAuthentication = ({ user }) => ({ claims: { seen: user.id } })' })
  const at = `${path}/${id}`
  const { example } = (await lido.call('GET', `${at}/samples`)).body
  const kept = await lido.call('POST', `${at}/samples`, { name: 'Ada', input: example })
  assert.equal(kept.status, 201, JSON.stringify(kept.body))
  const told = await lido.call('POST', `${at}/test`, { sample: kept.body.id })
  assert.equal(told.body.ok, true, JSON.stringify(told.body))
  assert.equal((await lido.call('DELETE', `${at}/samples/${kept.body.id}`)).status, 204)
  assert.equal((await lido.call('POST', `${at}/test`, { sample: kept.body.id })).status, 404)
})

test('another workspace does not know a script, nor may its connections use it', async () => {
  const { id } = await make()
  for (const [method, rest, body] of [
    ['GET', '', undefined],
    ['PATCH', '', { name: 'Mine' }],
    ['DELETE', '', undefined],
    ['GET', '/versions', undefined],
    ['POST', '/rollback', { version: 1 }],
    ['POST', '/test', { input: {} }],
    ['GET', '/samples', undefined],
    ['POST', '/samples', { name: 'x', input: {} }],
    ['GET', '/runs', undefined],
  ] as const)
    assert.equal(
      (await lido.call(method, `/workspaces/other/scripts/${id}${rest}`, body)).status,
      404,
      `${method} ${rest}`,
    )
  const wrong = { pool: 'staff', post_authentication_script: id }
  assert.equal((await lido.call('POST', '/workspaces/other/connections', wrong)).status, 422)
})

test('a script in use stays, and a mapping script stands behind no connection', async () => {
  const { id } = await make()
  const mapping = await make({ point: 'mapping', code: 'const mapping = ({ mapped }) => mapped' })
  const at = '/workspaces/acme/connections'
  assert.equal((await lido.call('POST', at, { pool: 'staff', post_authentication_script: mapping.id })).status, 422)
  const connection = await lido.call('POST', at, { pool: 'staff', post_authentication_script: id })
  assert.equal(connection.status, 201, JSON.stringify(connection.body))
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 409)
  const freed = await lido.call('PATCH', `${at}/${connection.body.id}`, { post_authentication_script: null })
  assert.equal(freed.body.post_authentication_script, null)
  assert.equal((await lido.call('DELETE', `${path}/${id}`)).status, 204)
})

test('a connection takes an application by https with a public key, and nothing else', async () => {
  await lido.call('POST', '/pools', { slug: 'partners', name: 'Partners' })
  const at = '/workspaces/acme/connections'
  const public_key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
  const set = (application: object) =>
    lido.call('POST', at, { pool: 'partners', post_authentication_application: application })
  const url = 'https://terms.example.org/accept'
  for (const wrong of [
    { url: 'http://terms.example.org/', public_key },
    { url: 'javascript:alert(1)', public_key },
    { url: 'https://user:pass@terms.example.org/', public_key },
    { url },
    { url, public_key: { ...public_key, d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' } },
    { url, public_key: { kty: 'oct', k: 'c2VjcmV0' } },
    { url, public_key: { ...public_key, x: 'AAAA' } },
    { url, public_key: { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) } },
    { url, public_key, timeout_seconds: 5 },
  ])
    assert.equal((await set(wrong)).status, 422, JSON.stringify(wrong))
  const made = await set({ url, public_key })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  assert.deepEqual(made.body.post_authentication_application, { url, public_key, timeout_seconds: 600 })
})

test('nothing stands between operators and the console', async () => {
  const made = await lido.call('POST', '/workspaces/admin/scripts', { name: 'Trap', code })
  const [connection] = (await lido.call('GET', '/workspaces/admin/connections')).body.items ?? []
  const patch = { post_authentication_script: made.body.id }
  const refused = await lido.call('PATCH', `/workspaces/admin/connections/${connection?.id}`, patch)
  assert.equal(refused.status, 422, JSON.stringify(refused.body))
})

test('a viewer reads scripts and tries none; helpdesk does not see them', async () => {
  const { id } = await make()
  const viewer = await operator(lido, 'viewer@example.org', { role: 'viewer' })
  assert.equal((await viewer.call('GET', `${path}/${id}`)).status, 200)
  assert.equal((await viewer.call('POST', `${path}/${id}/test`, { input: {} })).status, 403)
  assert.equal((await viewer.call('PATCH', `${path}/${id}`, { name: 'Mine' })).status, 403)
  const helpdesk = await operator(lido, 'helpdesk@example.org', { role: 'helpdesk' })
  assert.equal((await helpdesk.call('GET', `${path}/${id}`)).status, 403)
})

test('a workspace has fifty scripts at most, also when many come at once', async () => {
  await lido.call('POST', '/workspaces', { slug: 'full', name: 'Full' })
  const asked = Array.from({ length: 55 }, (_, n) =>
    lido.call('POST', '/workspaces/full/scripts', { name: `Script ${n}`, code }),
  )
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 201).length, 50)
  assert.equal(statuses.filter((status) => status === 409).length, 5)
})

test('of twenty changes to one version, one is taken', async () => {
  const { id } = await make()
  const read = await lido.call('GET', `${path}/${id}`)
  const headers = { 'If-Match': read.headers.get('ETag') ?? '' }
  const asked = Array.from({ length: 20 }, (_, n) =>
    lido.call('PATCH', `${path}/${id}`, { code: `${code} // ${n}` }, headers),
  )
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 200).length, 1)
  assert.ok(
    statuses.every((status) => [200, 409, 412].includes(status)),
    String(statuses),
  )
})

test('a workspace is deleted with its scripts, also those in use', async () => {
  await lido.call('POST', '/workspaces', { slug: 'gone', name: 'Gone' })
  await lido.call('POST', '/pools', { slug: 'left', name: 'Left' })
  const { body } = await lido.call('POST', '/workspaces/gone/scripts', { name: 'Plans', code })
  const connection = { pool: 'left', post_authentication_script: body.id }
  assert.equal((await lido.call('POST', '/workspaces/gone/connections', connection)).status, 201)
  assert.equal((await lido.call('DELETE', '/workspaces/gone')).status, 204)
  assert.equal((await lido.call('DELETE', '/pools/left')).status, 204)
})

test('a script that people of another pool come by is no way to them for an operator with limits', async () => {
  const workspace = (await lido.call('GET', '/workspaces/other')).body
  const mine = (await lido.call('POST', '/pools', { slug: 'mine', name: 'Mine' })).body
  const { id } = await lido.make('/workspaces/other/scripts', { name: 'Shared', code })
  const at = `/workspaces/other/scripts/${id}`
  const limits = { role: 'admin', workspaces: [String(workspace.id)], pools: [String(mine.id)] }
  const limited = await operator(lido, 'shared@example.org', limits)
  assert.equal((await limited.call('PATCH', at, { code: `${code} // mine` })).status, 200)
  const using = { pool: 'staff', post_authentication_script: id }
  assert.equal((await lido.call('POST', '/workspaces/other/connections', using)).status, 201)
  const { services } = lido
  const script = await scripts.find(services.db, String(workspace.id), String(id))
  assert.ok(script)
  await services.db.updateTable('scripts').set({ recordNext: true }).where('id', '=', script.id).execute()
  await runs.recordSample(services.db, services.clock.now(), script, { profile: { name: 'Somebody else' } })
  const run = { version: 1, ok: true, why: null, detail: null, ms: 1, logs: 'Somebody else', trace: null }
  await runs.keepRun(services.db, script, { at: services.clock.now(), ...run, userId: null, clientId: null })
  for (const change of [{ record_next: true }, { code: `${code} // theirs` }, { enabled: false }])
    assert.equal((await limited.call('PATCH', at, change)).status, 403, JSON.stringify(change))
  assert.equal((await limited.call('POST', `${at}/rollback`, { version: 1 })).status, 403)
  const [sample] = (await lido.call('GET', `${at}/samples`)).body.items ?? []
  assert.ok(sample)
  assert.equal((await limited.call('POST', `${at}/test`, { sample: sample.id })).status, 404)
  for (const list of ['samples', 'runs']) {
    assert.match(JSON.stringify((await lido.call('GET', `${at}/${list}`)).body.items), /Somebody else/)
    assert.deepEqual((await limited.call('GET', `${at}/${list}`)).body.items, [], list)
  }
  assert.equal((await limited.call('GET', at)).status, 200)
})
