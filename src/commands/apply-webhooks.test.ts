import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Connection, connect } from '../db/connect.ts'
import { testDatabase } from '../db/testing.ts'
import * as webhooks from '../directory/webhooks.ts'
import { openKeyring } from '../platform/secrets.ts'
import { runHere } from './run-testing.ts'

const SECRETS = 'a-secret-that-only-this-test-knows-0123456789'
let database: Awaited<ReturnType<typeof testDatabase>>
let connection: Connection
let folder: string
before(async () => {
  database = await testDatabase()
  connection = connect(database.url)
  folder = await mkdtemp(join(tmpdir(), 'lido-'))
})
after(async () => {
  await connection.close()
  await database.close()
  await rm(folder, { recursive: true })
})

const lido = (words: string[], env: Record<string, string> = {}) =>
  runHere({ NODE_ENV: 'test', DATABASE_URL: database.url, SECRETS, ...env }, words)

const apply = async (webhook: string, env: Record<string, string> = {}) => {
  const file = join(folder, 'lido.yaml')
  await writeFile(file, `workspaces:\n  - { slug: shop, name: Shop }\nwebhooks:\n  - ${webhook}\n`)
  return lido(['apply', file], env)
}

const orders = (more = '') =>
  `{ workspace: shop, name: Orders, url: https://shop.example/events, types: ["user.*"]${more} }`
const by = ', secret: { env: HOOK }'
const first = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const second = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'

const stored = async () => {
  const row = await connection.db.selectFrom('webhooks').selectAll().executeTakeFirst()
  return row && { ...webhooks.settingsOf(row), secrets: webhooks.openSecrets(openKeyring([SECRETS]), row) }
}

test('a webhook needs a secret from the environment, and it has to be one', async () => {
  const none = await apply(orders())
  assert.equal(none.code, 1)
  assert.match(none.err, /It needs a secret: write \{ env: LIDO_SECRET_SHOP_ORDERS \}/)
  assert.match((await apply(orders(by))).err, /the variable HOOK is not set/)
  assert.match((await apply(orders(by), { HOOK: 'short' })).err, /HOOK holds no whsec_/)
  assert.match((await apply(orders(', secret: "whsec_x"'))).err, /A secret does not stand in a file/)
  assert.equal(await stored(), undefined)
})

test('a file makes a webhook, changes it, and rotates its secret; the same again changes nothing', async () => {
  const settings = { name: 'Orders', url: 'https://shop.example/events', types: ['user.*'], enabled: true }
  const made = await apply(orders(by), { HOOK: first })
  assert.equal(made.code, 0, made.err)
  assert.deepEqual(await stored(), { ...settings, secrets: [first] })
  assert.match((await apply(orders(by), { HOOK: first })).out, /unchanged +webhook shop Orders/)
  const rotated = await apply(orders(by), { HOOK: second })
  assert.match(rotated.out, /that of HOOK; the one before signs along/)
  assert.deepEqual(await stored(), { ...settings, secrets: [second, first] })
  await apply(orders(', enabled: false'))
  assert.deepEqual(await stored(), { ...settings, enabled: false, secrets: [second, first] })
  const types = (
    await connection.db.selectFrom('events').select('type').where('type', 'like', 'webhook.%').orderBy('id').execute()
  ).map(({ type }) => type)
  assert.deepEqual(types, ['webhook.created', 'webhook.secret_rotated', 'webhook.updated'])
  const exported = (await lido(['export', '--config'])).out
  assert.match(exported, /LIDO_SECRET_SHOP_ORDERS/)
  assert.ok(!exported.includes('whsec_'))
})
