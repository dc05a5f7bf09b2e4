import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, headerOf } from '../oidc/fixtures-testing.ts'
import { tend } from '../oidc/key-changes.ts'
import { type Clock, fixedClock } from '../platform/clock.ts'
import { type AdminLido, adminLido } from './fixtures-testing.ts'

let lido: AdminLido
let keysDir: string
let clock: Clock & { advance(milliseconds: number): void }

const path = (name: string) => join(keysDir, 'admin', name)
const makeKey = (name: string) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return writeFile(path(name), privateKey.export({ type: 'pkcs8', format: 'pem' }))
}
/** Until every file is read again. */
const later = () => clock.advance(301_000)
const kidsOf = async (slug = 'admin'): Promise<string[]> => {
  const { keys } = (await (await fetch(`${lido.url}/w/${slug}/jwks`)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}
const statusWith = async (token: string): Promise<number> =>
  (await lido.call('GET', '/workspaces', undefined, { Authorization: `Bearer ${token}` })).status

before(async () => {
  clock = fixedClock(new Date())
  keysDir = await mkdtemp(join(tmpdir(), 'lido-keys-'))
  await mkdir(join(keysDir, 'admin'))
  await makeKey('a.pem')
  lido = await adminLido({ KEYS_DIR: keysDir }, { clock })
})
after(async () => {
  await lido.stop()
  await rm(keysDir, { recursive: true })
})

test('the API takes what a key signs that was put in front, and nothing any more of one whose file was taken away', async () => {
  const [old = ''] = await kidsOf()
  const first = await lido.token('admin')
  assert.equal(headerOf(first).kid, old)
  assert.equal(await statusWith(first), 200)

  await makeKey('b.pem')
  later()
  assert.equal((await kidsOf())[0], old)
  await rename(path('a.pem'), path('z.pem'))
  later()
  const second = await lido.token('workspaces:read')
  assert.notEqual(headerOf(second).kid, old)
  assert.deepEqual([await statusWith(first), await statusWith(second)], [200, 200])

  await rm(path('z.pem'))
  later()
  assert.deepEqual([await statusWith(first), await statusWith(second)], [401, 200])
})

test('a key that signed before there was a folder is withdrawn by hand, and nothing comes in its place', async () => {
  const { db } = lido.services
  const headers = { Authorization: `Bearer ${await lido.token('workspaces:write keys:write')}` }
  const { body } = await lido.call('POST', '/workspaces', { slug: 'shop', name: 'Shop' }, headers)
  const rows = () =>
    db.selectFrom('signingKeys').select(['id', 'alg']).where('workspaceId', '=', String(body.id)).execute()
  const before = await rows()
  const kid = before.find(({ alg }) => alg === 'RS256')?.id ?? ''
  await mkdir(join(keysDir, 'shop'))
  await makeKey('../shop/a.pem')
  await tend(lido.services)
  later()
  const [own = '', ...left] = await kidsOf('shop')
  assert.deepEqual(left, [kid])
  const revoke = async (one: string) =>
    (await lido.call('POST', `/workspaces/shop/keys/${one}/revoke`, undefined, headers)).status
  assert.deepEqual([await revoke(own), await revoke(kid)], [409, 204])
  await eventually(5000, async () => assert.deepEqual(await kidsOf('shop'), [own]))
  assert.equal((await rows()).length, before.length)
  assert.deepEqual([await revoke(kid), await revoke('unknown')], [409, 409])
})
