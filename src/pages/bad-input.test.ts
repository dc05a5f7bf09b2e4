import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { type Browser, openBrowser } from '../browser-testing.ts'
import type { Pool } from '../directory/pools.ts'
import { type TestLido, testLido } from '../testing.ts'
import {
  cookieOf,
  countOf,
  hiddenOf,
  isSignedIn,
  makeClient,
  makePool,
  makeUser,
  makeWorkspace,
  password,
  visit,
  visitAs,
} from './fixtures-testing.ts'
import { requestText, speak } from './wire-testing.ts'

let lido: TestLido
let pool: Pool
before(async () => {
  lido = await testLido()
  pool = await makePool(lido, 'residents', {
    self_registration: true,
    identifiers: ['email', 'mobile', 'username'],
    user_schema: { type: 'object', properties: { given_name: { type: 'string', title: 'Given name' } } },
  })
  const workspace = await makeWorkspace(lido, 'acme', [{ pool }])
  await makeClient(lido, workspace.id)
  await makeUser(lido, pool, 'mike@example.org')
})
after(() => lido.stop())

// Whatever was sent: nothing of it may be a bug of ours.
afterEach(() => {
  const bugs = lido.lines.filter((line) => JSON.parse(line).status === 500 || /"level":"(error|fatal)"/.test(line))
  assert.deepEqual(bugs, [])
})

const forms: Record<string, () => Promise<{ browser: Browser; answer: Record<string, string> }>> = {
  identify: async () => ({ browser: await visit(lido, 'acme'), answer: { identifier: 'mike@example.org' } }),
  password: async () => ({ browser: await visitAs(lido, 'acme', 'mike@example.org'), answer: { password } }),
  register: async () => {
    const browser = await visit(lido, 'acme')
    await browser.get(browser.link('Create an account'))
    return { browser, answer: { identifier: 'new@example.org', given_name: 'Ada', password } }
  },
  forgotten: async () => {
    const browser = openBrowser(lido.url)
    await browser.get('/w/acme/recover')
    return { browser, answer: { identifier: 'mike@example.org' } }
  },
}

const actionOf = ({ page }: Browser): URL =>
  new URL((page.html.match(/<form method="post" action="([^"]*)"/)?.[1] ?? '').replaceAll('&amp;', '&'), page.url)

/** Sends a body that no form makes, with everything else as it should be. */
const send = (browser: Browser, body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(actionOf(browser), {
    method: 'POST',
    redirect: 'manual',
    headers: {
      Cookie: cookieOf(browser, actionOf(browser).href),
      Origin: lido.url,
      Accept: 'text/html',
      'Content-Type': 'application/x-www-form-urlencoded',
      ...headers,
    },
    body: body as string,
  })

const encoded = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

for (const [name, open] of Object.entries(forms)) {
  test(`"${name}" refuses what no form of ours sends`, async () => {
    const { browser, answer } = await open()
    const good = encoded({ ...hiddenOf(browser.page.html), ...answer })
    const [field = ''] = Object.keys(answer)
    const bodies: [what: string, status: number, body: string | Buffer][] = [
      ['a field twice', 400, `${good}&${field}=other`],
      ['the token twice', 400, `${good}&${good.match(/csrf=[^&]*/)?.[0]}`],
      ['__proto__', 400, `${good}&__proto__=x`],
      ['constructor', 400, `${good}&constructor=x`],
      ['hasOwnProperty', 400, `${good}&hasOwnProperty=x`],
      ['a NUL in a value', 400, `${good}&x=a%00b`],
      ['a NUL in a name', 400, `${good}&x%00y=b`],
      ['a NUL as it is', 400, `${good}&x=a\0b`],
      ['65,537 bytes', 413, `${good}&x=${'a'.repeat(65_537 - good.length - 3)}`],
      ['a megabyte', 413, 'a'.repeat(1 << 20)],
    ]
    for (const [what, status, body] of bodies) {
      const response = await send(browser, body)
      assert.equal(response.status, status, what)
      assert.match(await response.text(), /data-step="problem"/)
    }
    assert.equal(({} as Record<string, unknown>).admin, undefined)
    const response = await send(browser, `${good}&__proto__%5Badmin%5D=1`)
    assert.ok([200, 303].includes(response.status))
    assert.equal(({} as Record<string, unknown>).admin, undefined)
  })

  test(`"${name}" takes bytes that are no text as no answer, never as a bug`, async () => {
    for (const junk of ['%FF%FE', '%ED%A0%80', '%C0%AF', '%', '%zz', '%F0%9F']) {
      const { browser, answer } = await open()
      const hidden = encoded(hiddenOf(browser.page.html))
      for (const field of Object.keys(answer)) {
        const { [field]: _, ...others } = answer
        const response = await send(browser, `${hidden}&${encoded(others)}&${field}=${junk}`)
        assert.ok(response.status < 500 && response.status !== 404, `${field}=${junk}: ${response.status}`)
      }
    }
    const { browser } = await open()
    const raw = Buffer.concat([
      Buffer.from(`${encoded(hiddenOf(browser.page.html))}&x=`),
      Buffer.from([0xff, 0xfe, 0x80]),
    ])
    assert.ok((await send(browser, raw)).status < 500)
  })

  test(`"${name}" takes an answer of any length up to the limit as no more than a wrong one`, async () => {
    const { browser, answer } = await open()
    for (const field of Object.keys(answer).filter((one) => one !== 'password')) {
      for (const text of [
        'a'.repeat(50_000),
        '@'.repeat(10_000),
        'é'.repeat(3_000),
        `${'a.'.repeat(5_000)}@example.org`,
      ]) {
        const response = await send(browser, encoded({ ...hiddenOf(browser.page.html), ...answer, [field]: text }))
        assert.ok([200, 303].includes(response.status), `${field}: ${response.status}`)
      }
    }
    await browser.get(browser.page.url)
    assert.ok(browser.page.status < 500)
  })

  test(`"${name}" without its fields asks again`, async () => {
    const { browser } = await open()
    const response = await send(browser, encoded(hiddenOf(browser.page.html)))
    assert.ok([200, 303].includes(response.status), String(response.status))
    await browser.get(browser.page.url)
    assert.equal(browser.page.status, 200)
  })
}

test('a password over 1,024 bytes is refused as such, and costs no try', async () => {
  const id = await makeUser(lido, pool, 'capped@example.org')
  for (const long of ['a'.repeat(1025), 'é'.repeat(513), '🙂'.repeat(257)]) {
    const browser = await visitAs(lido, 'acme', 'capped@example.org')
    await browser.submit({ password: long })
    assert.equal(browser.page.status, 400)
  }
  assert.equal(await countOf(lido, `limits where key like 'account:%${id}'`), 0)
})

test('a password of 1,024 bytes is a password, to the last byte', async () => {
  const long = `${'p'.repeat(1023)}A`
  await makeUser(lido, pool, 'long@example.org', { password: long })
  const browser = await visitAs(lido, 'acme', 'long@example.org')
  await browser.submit({ password: `${'p'.repeat(1023)}B` })
  assert.equal(browser.page.step, 'prove')
  await browser.submit({ password: long })
  assert.ok(isSignedIn(browser))
})

test('a password is taken as it is: no trimming, no cutting, no change of case, one spelling of each letter', async () => {
  const odd = '  Ünïcode 🙂 pässwörd \t '
  await makeUser(lido, pool, 'odd@example.org', { password: odd.normalize('NFC') })
  const browser = await visitAs(lido, 'acme', 'odd@example.org')
  for (const wrong of [odd.trim(), odd.toLowerCase(), `${odd} `]) {
    await browser.submit({ password: wrong })
    assert.equal(browser.page.step, 'prove', wrong)
  }
  await browser.submit({ password: odd.normalize('NFD') })
  assert.ok(isSignedIn(browser))
})

for (const what of ['PUT', 'DELETE', 'PATCH', 'TRACE', 'OPTIONS', 'PROPFIND']) {
  test(`${what} is answered by 405 with what is allowed`, async () => {
    const browser = await visit(lido, 'acme')
    for (const path of [new URL(browser.page.url).pathname, '/w/acme/recover']) {
      const headers: [string, string][] = [
        ['Host', 'localhost'],
        ['Cookie', cookieOf(browser)],
      ]
      const reply = await speak(lido.url, requestText(`${what} ${path}`, headers))
      assert.equal(reply.status, 405, path)
      assert.equal(reply.headers.allow, 'GET, POST')
    }
  })
}

const addresses: [address: string, statuses: number[]][] = [
  ['/w/acme/signin/unknown', [410]],
  ['/w/acme/signin/', [404]],
  ['/w/acme/signin', [404]],
  [`/w/acme/signin/${'a'.repeat(5000)}`, [404, 410]],
  ['/w/acme/signin/..%2f..%2fetc', [404]],
  ['/w/acme/signin/%00', [400]],
  ['/w/acme/signin/%ff', [400, 404]],
  ['/w/unknown/signin/x', [404]],
  ['/w/unknown/recover', [404]],
  ['/w/ACME/recover', [404]],
  ['/w/acme%20/recover', [404]],
  ["/w/acme'%20or%201=1/recover", [404]],
  ['/w/__proto__/recover', [404]],
  ['/w/constructor', [404]],
  ['/w/', [404]],
  ['/w', [404]],
  ['/w/acme/recover?token=', [410, 200]],
  ['/w/acme/recover?token=x&token=y', [200, 400, 410]],
  [`/w/acme/recover?token=${'0'.repeat(64)}`, [410]],
  [`/w/acme/recover?token=${'z'.repeat(9000)}`, [410]],
  ['/w/acme/recover?token=%00', [400]],
  ['/w/acme/recover?ui_locales=%F0%9F&again', [200]],
  ['/w/acme/recover?__proto__[x]=1', [400]],
  ['/nothing', [404]],
  ['/%', [400, 404]],
]
for (const [address, statuses] of addresses) {
  test(`GET ${address.slice(0, 50)} is ${statuses.join(' or ')}`, async () => {
    const { status, body } = await speak(
      lido.url,
      requestText(`GET ${address}`, [
        ['Host', 'localhost'],
        ['Accept', 'text/html'],
      ]),
    )
    assert.ok(statuses.includes(status), `${status}\n${body}`)
  })
}

test('a POST to a sign-in that nobody knows changes nothing and says so', async () => {
  const before = await countOf(lido, 'attempts')
  const browser = openBrowser(lido.url)
  await browser.post('/w/acme/signin/unknown', { identifier: 'mike@example.org', csrf: 'x' })
  assert.deepEqual([browser.page.status, browser.page.step], [410, 'problem'])
  assert.equal(await countOf(lido, 'attempts'), before)
})

test('a cookie that is nonsense is no cookie', async () => {
  for (const value of ['', '%00', '"', '..', 'a'.repeat(6000), '__proto__', 'é']) {
    const path = '/w/acme/recover'
    const headers: [string, string][] = [
      ['Host', 'localhost'],
      ['Accept', 'text/html'],
      [
        'Cookie',
        `lido_recover=${value}; lido_interaction=${value}; lido_interaction.sig=${value}; lido_session_x=${value}`,
      ],
    ]
    assert.equal((await speak(lido.url, requestText(`GET ${path}`, headers))).status, 200, value)
    assert.equal((await speak(lido.url, requestText('GET /w/acme/signin/x', headers))).status, 410, value)
  }
})

test('languages that are nonsense are answered in English', async () => {
  for (const language of ['*', ';;;q=9', 'x'.repeat(5000), 'en-\u0000', '__proto__', 'de;q=nonsense,*']) {
    const headers: [string, string][] = [
      ['Host', 'localhost'],
      ['Accept', 'text/html'],
      ['Accept-Language', language],
    ]
    const { status } = await speak(lido.url, requestText('GET /w/acme/recover', headers))
    assert.ok([200, 400].includes(status), language)
  }
})
