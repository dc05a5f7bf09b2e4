import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { signWebhook } from './webhook-signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'

test('signs as the vector of the Standard Webhooks scheme', () => {
  const at = new Date(1_614_265_330_000)
  const headers = signWebhook([secret], { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', at, body: '{"test": 2432232314}' })
  assert.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

type Verify = (secret: string, headers: Record<string, string>, body: string) => unknown

/** The code that the documentation shows. */
const documented = async (): Promise<Verify> => {
  const page = await readFile(new URL('../../docs/webhooks.md', import.meta.url), 'utf8')
  const code = page.match(/```js\n([\s\S]*?)```/)?.[1] ?? assert.fail('The page shows no code.')
  const module = await import(`data:text/javascript,${encodeURIComponent(code)}`)
  return module.verify
}

test('the code of the documentation takes what is signed, by either secret, and nothing else', async () => {
  const verify = await documented()
  const body = '{"type":"user.created"}'
  const headers = signWebhook([other, secret], { id: 'a', at: new Date(), body })
  assert.deepEqual(verify(secret, headers, body), JSON.parse(body))
  assert.deepEqual(verify(other, headers, body), JSON.parse(body))
  assert.throws(() => verify(secret, headers, `${body} `), /not signed/)
  assert.throws(() => verify(secret, { ...headers, 'webhook-id': 'b' }, body), /not signed/)
  assert.throws(() => verify(secret, signWebhook([other], { id: 'a', at: new Date(), body }), body), /not signed/)
  const old = signWebhook([secret], { id: 'a', at: new Date(Date.now() - 600_000), body })
  assert.throws(() => verify(secret, old, body), /too old/)
  assert.throws(() => verify(secret, {}, body), /too old/)
})
