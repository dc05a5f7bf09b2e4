import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { type TestLido, testLido } from '../testing.ts'
import { countOf, isSignedIn, makeClient, makePool, makeUser, makeWorkspace, visitAs } from './fixtures-testing.ts'

/** What the double answers next; 200 where nothing is left. */
const answers: number[] = []
const asked: { to: string; text: string }[] = []
const provider = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  asked.push(JSON.parse(body))
  response.writeHead(answers.shift() ?? 200).end()
})

let lido: TestLido
before(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  lido = await testLido({ SMS_URL: `http://:hunter2@127.0.0.1:${port}/sms`, EGRESS_ALLOW: '127.0.0.1' })
  const pool = await makePool(lido, 'texted', {
    identifiers: ['email', 'mobile'],
    sign_in_methods: ['sms_code', 'password'],
  })
  const workspace = await makeWorkspace(lido, 'texted', [{ pool }])
  await makeClient(lido, workspace.id)
  for (const n of [1, 2, 3]) await makeUser(lido, pool, `+4179444000${n}`)
})
after(async () => {
  provider.close().closeAllConnections()
  await lido.stop()
})

const until = async (what: () => Promise<boolean> | boolean) => {
  for (let n = 0; n < 400; n += 1) {
    if (await what()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail('it did not come to that')
}
const waiting = () => countOf(lido, 'graphile_worker._private_jobs')
const sentTo = (number: string) => asked.filter(({ to }) => to === number)

test('a text goes to whoever SMS_URL names, and its code signs in', async () => {
  const browser = await visitAs(lido, 'texted', '+41794440001')
  await until(() => sentTo('+41794440001').length === 1)
  const code = sentTo('+41794440001')[0]?.text.match(/#(\d{6})$/)?.[1] ?? assert.fail()
  await browser.submit({ code })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a text that is not taken now is sent again, as long as its code is good', async () => {
  answers.push(503)
  const browser = await visitAs(lido, 'texted', '+41794440002')
  await until(() => sentTo('+41794440002').length === 1)
  assert.equal(await countOf(lido, `graphile_worker._private_jobs where max_attempts = 7`), 1)
  await until(() => sentTo('+41794440002').length === 2)
  await until(async () => (await waiting()) === 0)
  const [first, second] = sentTo('+41794440002')
  assert.deepEqual(first, second)
  await browser.submit({ code: second?.text.match(/#(\d{6})$/)?.[1] ?? '' })
  assert.ok(isSignedIn(browser), browser.page.html)
})

test('a text that is refused for good is not sent again, and the log says so without number, code or secret', async () => {
  answers.push(400)
  await visitAs(lido, 'texted', '+41794440003')
  await until(() => sentTo('+41794440003').length === 1)
  await until(async () => (await waiting()) === 0)
  await until(() => lido.lines.some((line) => line.includes('a message was refused')))
  const line = lido.lines.find((one) => one.includes('a message was refused')) ?? ''
  assert.match(line, /"channel":"sms".*"why":"The server of SMS_URL answered 400"/)
  const code = sentTo('+41794440003')[0]?.text.match(/#(\d{6})$/)?.[1] ?? assert.fail()
  for (const secret of ['41794440003', code, 'hunter2']) assert.ok(!lido.lines.join('\n').includes(secret), secret)
  assert.equal(sentTo('+41794440003').length, 1)
})
