import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { SMTPServer } from 'smtp-server'
import { readConfig } from '../config.ts'
import { makePool, rowsOf } from '../pages/fixtures-testing.ts'
import { type TestLido, testLido } from '../testing.ts'
import { doctor, judgeClocks } from './doctor.ts'
import { run } from './run-testing.ts'

let lido: TestLido
let healthy: Record<string, string>
before(async () => {
  lido = await testLido()
  const { databaseUrl = '', secrets } = lido.services.config
  healthy = { NODE_ENV: 'test', DATABASE_URL: databaseUrl, SECRETS: secrets.join(',') }
})
after(() => lido.stop())

const newer = 'another-secret-that-only-this-test-knows-9876543210'

const examine = (changes: Record<string, string> = {}) => doctor.run([], () => readConfig({ ...healthy, ...changes }))

const line = (text: string, what: string) =>
  text
    .split('\n')
    .filter((one) => one.slice(6).startsWith(what))
    .join('\n')

test('finds nothing wrong on a healthy database, and ends with 0', async () => {
  const { code, out } = await run(healthy, ['doctor'])
  assert.equal(code, 0)
  assert.match(line(out, 'configuration'), /^ok/)
  assert.match(line(out, 'database'), /^ok .*PostgreSQL \d\d, up to date/)
  for (const what of ['clocks', 'keys', 'mail', 'egress']) assert.match(line(out, what), /^ok/, what)
  assert.match(line(out, 'scripts'), /^ok .*in a network namespace of their own: (yes|no)/)
  assert.match(line(out, 'operators'), /^warn .*invite-admin/)
})

test('names the workspaces whose keys other SECRETS do not open, and ends with 1', async () => {
  const { code, out } = await run({ ...healthy, SECRETS: newer }, ['doctor'])
  assert.equal(code, 1)
  assert.match(line(out, 'keys'), /^fail .*4 keys of admin do not open[\s\S]*fail .*of demo/)
})

test('says which keys still need the older secret', async () => {
  const { failed, text } = await examine({ SECRETS: `${newer},${healthy.SECRETS}` })
  assert.equal(failed, false)
  assert.match(line(text, 'keys'), /^warn .*4 keys of admin need an older secret/)
})

test('misses a key that signs', async () => {
  const demo = `workspace_id = (select id from workspaces where slug = 'demo') and alg = 'ES256'`
  await rowsOf(lido, `update signing_keys set signs_from = now() + interval '1 hour' where ${demo}`)
  const { failed, text } = await examine()
  await rowsOf(lido, `update signing_keys set signs_from = now() where ${demo}`)
  assert.equal(failed, true)
  assert.match(line(text, 'keys'), /^fail .*demo lacks a key that signs.*rotate-keys demo/)
})

test('names every variable that is wrong, and no value', async () => {
  const { code, out } = await run({ ...healthy, PORT: 'hunter2', EGRESS_ALLOW: 'hunter3' }, ['doctor'])
  assert.equal(code, 1)
  assert.match(out, /^fail .*PORT[\s\S]*^fail .*EGRESS_ALLOW/m)
  assert.doesNotMatch(out, /hunter/)
})

test('says when the database is away, and when it is behind, and changes nothing', async () => {
  const port = await freePort()
  const away = await examine({ DATABASE_URL: `postgresql://lido:hunter2@127.0.0.1:${port}/lido` })
  assert.match(line(away.text, 'database'), /^fail .*ECONNREFUSED/)
  assert.doesNotMatch(away.text, /hunter2/)
  await rowsOf(lido, `update kysely_migration set name = 'x' || name where name like '%eras'`)
  const behind = await examine()
  const [{ count } = { count: 0 }] = await rowsOf<{ count: number }>(
    lido,
    `select count(*)::int as count from kysely_migration where name like 'x%'`,
  )
  await rowsOf(lido, `update kysely_migration set name = substr(name, 2) where name like 'x%'`)
  assert.equal(count, 1)
  assert.match(line(behind.text, 'database'), /^fail .*missing: \S*eras\. .*lido -- migrate/)
})

test('asks the mail server without sending anything', async () => {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onMailFrom: () => assert.fail('nothing should be sent'),
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  const there = await examine({ SMTP_URL: `smtp://127.0.0.1:${port}` })
  await new Promise<void>((resolve) => server.close(resolve))
  const gone = await examine({ SMTP_URL: `smtp://ada:hunter2@127.0.0.1:${port}` })
  assert.match(line(there.text, 'mail'), /^ok/)
  assert.match(line(gone.text, 'mail'), /^fail .*ECONNREFUSED.*SMTP_URL/)
  assert.doesNotMatch(gone.text, /hunter2/)
})

test('tells how text messages go out, and no secret, and who lacks them', async () => {
  const told = async (changes: Record<string, string>) => line((await examine(changes)).text, 'sms')
  assert.match(await told({}), /^ok .*inbox/)
  assert.match(await told({ SMS_URL: 'https://:hunter2@sms.example.org/x' }), /^ok .*webhook at sms\.example\.org$/)
  assert.match(await told({ SMS_URL: 'twilio://AC1:hunter2@+15005550006' }), /^ok .*Twilio$/)
  assert.match(await told({ SMS_URL: 'sns://AK:hunter2@eu-west-1' }), /^ok .*Amazon SNS in eu-west-1$/)
  const secrets = `${healthy.SECRETS},${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')}`
  const live = {
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://id.example.org',
    SECRETS: secrets.replaceAll('0123456789', '8264091537'),
  }
  assert.match(await told(live), /^ok .*no pool needs it/)
  await makePool(lido, 'texted', { identifiers: ['email', 'mobile'], sign_in_methods: ['password', 'sms_code'] })
  assert.match(await told(live), /^warn .*nobody of texted/)
})

test('warns of rules that let everything out, and of limits that would count a proxy', async () => {
  assert.match(line((await examine({ EGRESS_ALLOW: '0.0.0.0/0' })).text, 'egress'), /^warn/)
  assert.match(line((await examine({ EGRESS_ALLOW: '10.0.0.0/8' })).text, 'egress'), /^ok/)
  const secrets = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')
  const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://id.example.org', SECRETS: secrets }
  const { text } = await examine(production)
  assert.match(line(text, 'configuration'), /warn .*TRUSTED_PROXIES/)
  assert.match(line(text, 'mail'), /^warn .*SMTP_URL/)
})

test('judges clocks by how far they are apart', () => {
  assert.equal(judgeClocks(-0.4).how, 'ok')
  assert.deepEqual([judgeClocks(3).how, judgeClocks(-9).how], ['warn', 'warn'])
  assert.match(judgeClocks(-60).told, /60\.0 s behind/)
  assert.equal(judgeClocks(60).how, 'fail')
})

const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
