import { z } from 'zod'

const loopbacks = new Set(['localhost', '127.0.0.1', '[::1]'])

/** OpenID Connect Back-Channel Logout 1.0 section 2.2: absolute, without a fragment; plain http for loopback only. */
const reached = z
  .url({ protocol: /^https?$/ })
  .max(2000)
  .refine((uri) => !uri.includes('#'), 'A fragment is not allowed')
  .refine((uri) => {
    const url = URL.parse(uri)
    return url?.protocol === 'https:' || loopbacks.has(url?.hostname ?? '')
  }, 'http is for loopback addresses only')

const day = 86_400

const seconds = (least: number, most: number) => z.int().min(least).max(most).nullable().default(null)

/** What a client may say of the sessions of its people, and of how long what it is given lasts. */
export const sessionFields = {
  backchannel_logout_uri: reached
    .optional()
    .describe('Is told when a session ends (OpenID Connect Back-Channel Logout 1.0)'),
  backchannel_logout_session_required: z
    .boolean()
    .default(false)
    .describe('Whether it needs to know which session; it is told in any case'),
  initiate_login_uri: z
    .url({ protocol: /^https$/ })
    .max(2000)
    .optional()
    .describe('Where a sign-in to it can be begun from elsewhere (OpenID Connect Core section 4)'),
  sso: z
    .boolean()
    .default(true)
    .describe('False: a sign-in to another client does not count, people prove themselves for this one'),
  access_token_lifetime: seconds(60, day).describe('Seconds; null for what the workspace says'),
  id_token_lifetime: seconds(60, day).describe('Seconds; null for what the workspace says'),
  refresh_idle: seconds(300, 400 * day).describe('Seconds without use; null for what the workspace says'),
  refresh_absolute: seconds(300, 800 * day).describe('Seconds since the sign-in; null for what the workspace says'),
}
