import { createHmac } from 'node:crypto'

/** What is signed of a message: its id, when it is sent, and its body as it is sent. */
interface Signed {
  id: string
  at: Date
  body: string
}

/**
 * The headers of a message of the Standard Webhooks scheme (github.com/standard-webhooks, version 1): one signature a
 * secret, so that the other side takes it whichever it knows. A secret is `whsec_` and its bytes as base64.
 */
export const signWebhook = (secrets: readonly string[], { id, at, body }: Signed): Record<string, string> => {
  const timestamp = String(Math.floor(at.getTime() / 1000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
