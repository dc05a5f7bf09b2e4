import { createHmac } from 'node:crypto'
import { checkTaken, type Provider, timeoutMs } from './provider.ts'

/**
 * Any server of the operator's: a POST of `{"to", "text"}`. A password in the address signs it: `X-Lido-Signature` is
 * `t=` the seconds since 1970 and `v1=` the HMAC-SHA-256 of `{t}.{body}` in hex.
 */
export const webhook: Provider = {
  protocols: ['https:', 'http:'],
  form: 'https://:secret@host/path (the secret signs requests; leave it out to send them unsigned)',
  read(url) {
    if (url.username || !url.hostname) return undefined
    const secret = decodeURIComponent(url.password)
    const target = new URL(url)
    target.password = ''
    target.hash = ''
    return ({ fetch, now }) =>
      async (message) => {
        const body = JSON.stringify({ to: message.to, text: message.text })
        const headers = { 'content-type': 'application/json', ...(secret ? signed(secret, body, now()) : {}) }
        const { status } = await fetch(target.href, { method: 'POST', headers, body, timeoutMs })
        checkTaken('The server of SMS_URL', status)
      }
  },
}

const signed = (secret: string, body: string, at: Date): Record<string, string> => {
  const t = Math.floor(at.getTime() / 1000)
  const v1 = createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')
  return { 'x-lido-signature': `t=${t},v1=${v1}` }
}
