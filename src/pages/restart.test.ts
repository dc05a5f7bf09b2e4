import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { type Browser, openBrowser } from '../browser-testing.ts'
import { type TestDatabase, testDatabase } from '../db/testing.ts'
import { atOnce, cookieOf, hiddenOf, password } from './fixtures-testing.ts'
import { freePort } from './wire-testing.ts'

interface Node {
  url: string
  process: ChildProcess
  said: string[]
}

let database: TestDatabase
let port: number
const nodes: Node[] = []
before(async () => {
  database = await testDatabase()
  port = await freePort()
  const first = await startNode()
  await register(first.url, 'mike@example.org')
  await kill(first)
})
afterEach(async () => {
  for (const node of nodes.splice(0)) await kill(node)
})
after(() => database.close())

const root = join(import.meta.dirname, '../..')

/** The program as it is run, on the one database and port of this file. */
const startNode = async (): Promise<Node> => {
  const child = spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'development',
      PORT: String(port),
      DATABASE_URL: database.url,
      DATA_DIR: tmpdir(),
      SECRETS: 'a-secret-that-only-this-test-knows-0123456789',
    },
  })
  const node = { url: `http://localhost:${port}`, process: child, said: [] as string[] }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => node.said.push(String(text)))
  nodes.push(node)
  const deadline = Date.now() + 20_000
  for (;;) {
    const ready = await fetch(`${node.url}/readyz`).catch(() => undefined)
    if (ready?.status === 200) return node
    assert.ok(child.exitCode === null && Date.now() < deadline, node.said.join(''))
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const ended = async ({ process: child }: Node): Promise<number | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode
}

const kill = async (node: Node): Promise<void> => {
  node.process.kill('SIGKILL')
  await ended(node)
}

const register = async (url: string, email: string) => {
  const browser = openBrowser(url)
  await browser.get('/demo/login')
  await browser.get(browser.link('Create an account'))
  await browser.submit({ identifier: email, given_name: 'Mike', password })
  assert.equal(browser.page.step, 'verify', browser.page.html)
  await browser.submit({ code: (await newest(url, email)).code })
  assert.equal(browser.page.step, 'demo', browser.page.html)
}

const newest = async (url: string, to: string): Promise<{ code: string; link: string }> => {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    const response = await fetch(`${url}/dev/inbox.json?to=${encodeURIComponent(to)}`)
    const [message] = (await response.json()) as { code: string; link: string }[]
    if (message) return message
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  throw new Error(`no message came to ${to}`)
}

const isIn = ({ page }: Browser) => page.step === 'demo' && /mike@example\.org/.test(page.html)

test('kill -9 between the steps of a sign-in: the person goes on with the next node', async () => {
  const one = await startNode()
  const browser = openBrowser(one.url)
  await browser.get('/demo/login')
  await kill(one)

  const two = await startNode()
  await browser.submit({ identifier: 'mike@example.org' })
  assert.equal(browser.page.step, 'prove', browser.page.html)
  await kill(two)

  const three = await startNode()
  const [finished] = await atOnce({ url: three.url }, browser, [{ password }])
  assert.equal(finished?.status, 303)
  await kill(three)

  await startNode()
  await browser.get(finished?.headers.get('Location') ?? '')
  assert.ok(isIn(browser), browser.page.html)
})

test('kill -9 in the middle of many sign-ins at once loses nothing that was answered', async () => {
  const one = await startNode()
  const browsers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const browser = openBrowser(one.url)
      await browser.get('/demo/login')
      await browser.submit({ identifier: 'mike@example.org' })
      return browser
    }),
  )
  const answered = browsers.map((browser) => atOnce({ url: one.url }, browser, [{ password }]).catch(() => []))
  await Promise.race(answered)
  await kill(one)
  const answers = await Promise.all(answered)
  await startNode()
  let went = 0
  for (const [index, [answer]] of answers.entries()) {
    const browser = browsers[index] as Browser
    if (answer?.status === 303) {
      await browser.get(answer.headers.get('Location') ?? '')
      went += 1
    } else {
      await browser.get(browser.page.url)
      if (!isIn(browser)) await browser.submit({ password })
    }
    assert.ok(isIn(browser), browser.page.html)
  }
  assert.ok(went > 0)
  const { rows } = await database.connection.pool.query(
    `select count(*)::int as n, count(distinct data ->> 'interaction')::int as sign_ins
     from events where type = 'sign_in.succeeded'`,
  )
  assert.equal(rows[0].n, rows[0].sign_ins, 'one event a sign-in')
})

/** Sends a form over a connection that stays open, as a proxy in front would. */
const sendOver = (agent: Agent, url: string, cookie: string, fields: Record<string, string>) =>
  new Promise<number>((resolve, reject) => {
    const headers = { Cookie: cookie, 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'text/html' }
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    sent.on('error', reject)
    sent.end(new URLSearchParams(fields).toString())
  })

test('SIGTERM: what was begun is answered, nothing new is taken, and the process ends well and soon', async () => {
  const node = await startNode()
  const agent = new Agent({ keepAlive: true, maxSockets: 10 })
  const browsers = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const browser = openBrowser(node.url)
      await browser.get('/demo/login')
      await browser.submit({ identifier: 'mike@example.org' })
      return browser
    }),
  )
  const answers = browsers.map((browser) =>
    sendOver(agent, browser.page.url, cookieOf(browser), { ...hiddenOf(browser.page.html), password }),
  )
  await Promise.race(answers)
  const began = performance.now()
  node.process.kill('SIGTERM')
  assert.deepEqual(
    await Promise.all(answers),
    browsers.map(() => 303),
  )
  assert.equal(await ended(node), 0, node.said.join(''))
  assert.ok(performance.now() - began < 5000, `it took ${Math.round(performance.now() - began)} ms`)
  await assert.rejects(fetch(`${node.url}/readyz`))
  agent.destroy()
  await startNode()
  for (const browser of browsers) {
    await browser.get(browser.page.url)
    assert.ok(isIn(browser), browser.page.html)
  }
})

test('SIGTERM with nothing to do ends at once, also where browsers keep their connections', async () => {
  const node = await startNode()
  await openBrowser(node.url).get('/demo/login')
  const began = performance.now()
  node.process.kill('SIGTERM')
  assert.equal(await ended(node), 0)
  assert.ok(performance.now() - began < 3000)
})
