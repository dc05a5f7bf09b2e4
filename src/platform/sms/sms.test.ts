import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { type Fetch, openFetch } from '../fetch.ts'
import { forms, openTexts } from './index.ts'
import { Undeliverable } from './provider.ts'
import { signRequest } from './sigv4.ts'

const at = new Date('2026-05-04T09:12:33.000Z')
const message = { to: '+41791234567', text: '493027 is your code.\n\n@id.example.org #493027' }

interface Asked {
  method: string
  path: string
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** A server on loopback that keeps what it is asked, and answers as it is told; with nothing told, it never answers. */
const double = async (answer?: { status: number; body?: string }) => {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = '', url: path = '', headers } = request
    asked.push({ method, path, headers, body: Buffer.concat(chunks).toString() })
    if (answer) response.writeHead(answer.status, { 'Content-Type': 'text/xml' }).end(answer.body ?? '{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => server.close().closeAllConnections())
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const fetch = openFetch({ allow: ['127.0.0.1'] })

const open = (address: string) => openTexts(address)?.({ fetch, now: () => at }) ?? assert.fail(address)

const addresses: [who: string, address: (url: string) => string][] = [
  ['a webhook', (url) => `${url.replace('//', '//:s3cret@')}/sms?x=1`],
  ['Twilio', (url) => `twilio://AC123:t0ken@+15005550006?api=${url}`],
  ['Amazon SNS', (url) => `sns://AKIDEXAMPLE:s3cret%2Fkey@eu-central-1?sender=Lido&api=${url}`],
]

for (const [who, addressOf] of addresses) {
  test(`${who} takes a message by one POST, with no secret in the address`, async () => {
    const { asked, url } = await double({ status: 200 })
    await open(addressOf(url))(message)
    assert.equal(asked.length, 1)
    assert.equal(asked[0]?.method, 'POST')
    assert.doesNotMatch(`${asked[0]?.path}${asked[0]?.body}`, /s3cret|t0ken/)
  })

  for (const status of [400, 401, 403, 404, 422])
    test(`${who} that answers ${status} is not asked again`, async () => {
      const { url } = await double({ status, body: 'secret words' })
      await assert.rejects(open(addressOf(url))(message), (error: Error) => {
        assert.ok(error instanceof Undeliverable)
        assert.match(error.message, new RegExp(`answered ${status}$`))
        return true
      })
    })

  for (const status of [301, 408, 429, 500, 503])
    test(`${who} that answers ${status} is asked again later`, async () => {
      const { url } = await double({ status })
      await assert.rejects(open(addressOf(url))(message), (error: Error) => !(error instanceof Undeliverable))
    })

  test(`${who} that never answers is given up, and asked again later`, async () => {
    const { url } = await double()
    const waits: (number | undefined)[] = []
    const impatient: Fetch = (asked, init) => {
      waits.push(init?.timeoutMs)
      return fetch(asked, { ...init, timeoutMs: 200 })
    }
    const sent = openTexts(addressOf(url))?.({ fetch: impatient, now: () => at })(message) ?? assert.fail()
    await assert.rejects(sent, (error: Error) => {
      assert.ok(!(error instanceof Undeliverable))
      assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /s3cret|t0ken|41791234567/)
      return true
    })
    assert.deepEqual(waits, [8_000])
  })

  test(`${who} on a private address that nobody allowed is never asked`, async () => {
    const { asked, url } = await double({ status: 200 })
    const guarded = openTexts(addressOf(url))?.({ fetch: openFetch({ allow: [] }), now: () => at })
    await assert.rejects(guarded?.(message) ?? Promise.resolve())
    assert.deepEqual(asked, [])
  })
}

test('a webhook gets the number, the text and a signature over both and the time', async () => {
  const { asked, url } = await double({ status: 202 })
  await open(`${url.replace('//', '//:s3cret@')}/sms?x=1`)(message)
  const [{ path, body, headers } = assert.fail()] = asked
  assert.equal(path, '/sms?x=1')
  assert.deepEqual(JSON.parse(body), message)
  const t = at.getTime() / 1000
  const v1 = createHmac('sha256', 's3cret').update(`${t}.${body}`).digest('hex')
  assert.equal(headers['x-lido-signature'], `t=${t},v1=${v1}`)
  assert.equal(headers.authorization, undefined)
  await open(`${url}/sms`)(message)
  assert.equal(asked[1]?.headers['x-lido-signature'], undefined)
})

test('Twilio gets number, text and sender under the account', async () => {
  const { asked, url } = await double({ status: 201 })
  await open(`twilio://AC123:t%2Fken@Strandbad?api=${url}`)(message)
  await open(`twilio://AC123:t%2Fken@MG${'0'.repeat(32)}?api=${url}`)(message)
  const [first, second] = asked
  assert.equal(first?.path, '/2010-04-01/Accounts/AC123/Messages.json')
  assert.equal(first.headers.authorization, `Basic ${Buffer.from('AC123:t/ken').toString('base64')}`)
  const sent = Object.fromEntries(new URLSearchParams(first.body))
  assert.deepEqual(sent, { To: message.to, Body: message.text, From: 'Strandbad' })
  assert.equal(new URLSearchParams(second?.body).get('MessagingServiceSid'), `MG${'0'.repeat(32)}`)
})

test('Amazon SNS gets a signed Publish', async () => {
  const { asked, url } = await double({ status: 200 })
  await open(`sns://AKIDEXAMPLE:s3cret%2Fkey@eu-central-1?sender=Lido&api=${url}`)(message)
  const [{ body, headers } = assert.fail()] = asked
  const sent = new URLSearchParams(body)
  assert.deepEqual(
    ['Action', 'PhoneNumber', 'Message', 'MessageAttributes.entry.2.Value.StringValue'].map((name) => sent.get(name)),
    ['Publish', message.to, message.text, 'Lido'],
  )
  const host = new URL(url).host
  const signer = { accessKey: 'AKIDEXAMPLE', secretKey: 's3cret/key', region: 'eu-central-1', service: 'sns' }
  const contentType = 'application/x-www-form-urlencoded; charset=utf-8'
  const request = { method: 'POST', url: new URL(`http://${host}/`), headers: { 'content-type': contentType }, body }
  assert.equal(headers.authorization, signRequest(request, signer, at).authorization)
  assert.match(String(headers.authorization), /SignedHeaders=content-type;host;x-amz-date,/)
})

test('Amazon SNS that is throttling is asked again later', async () => {
  const { url } = await double({ status: 400, body: '<Error><Code>Throttling</Code></Error>' })
  await assert.rejects(open(`sns://A:b@eu-central-1?api=${url}`)(message), (error) => !(error instanceof Undeliverable))
})

// From the test suite that AWS has published for Signature Version 4.
const published: [
  name: string,
  method: string,
  target: string,
  headers: Record<string, string>,
  body: string,
  authz: string,
][] = [
  [
    'get-vanilla',
    'GET',
    '/',
    {},
    '',
    'host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    '/?Param2=value2&Param1=value1',
    {},
    '',
    'host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'get-header-value-trim',
    'GET',
    '/',
    { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
    '',
    'host;my-header1;my-header2;x-amz-date, Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  ],
  [
    'post-x-www-form-urlencoded',
    'POST',
    '/',
    { 'content-type': 'application/x-www-form-urlencoded' },
    'Param1=value1',
    'content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
]
for (const [name, method, target, headers, body, authz] of published)
  test(`signs ${name} as AWS does`, () => {
    const url = new URL(target, 'https://example.amazonaws.com')
    const secretKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
    const signer = { accessKey: 'AKIDEXAMPLE', secretKey, region: 'us-east-1', service: 'service' }
    const signed = signRequest({ method, url, headers, body }, signer, new Date('2015-08-30T12:36:00Z'))
    const credential = 'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request'
    assert.equal(signed.authorization, `${credential}, SignedHeaders=${authz}`)
  })

test('an SMS_URL that lacks something is known before anything is sent', () => {
  const lacking = [
    'twilio://AC1@+15005550006',
    'twilio://AC1:t@',
    'twilio://AC1:t@a sender too long',
    'sns://A:b@nowhere',
  ]
  const odd = [
    '',
    'sms.example.org',
    'tel:+41791234567',
    'sns://A@eu-west-1',
    'https://user:p@sms.example.org',
    'sns://%:%@eu-west-1',
  ]
  for (const address of [...lacking, ...odd, 'twilio://AC1:t@+15005550006?api=x'])
    assert.equal(openTexts(address), undefined, address)
  assert.equal(forms.length, 3)
})
