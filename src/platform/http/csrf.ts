import type { Context } from 'koa'
import { Problem } from '../problem.ts'
import { equal, type Keyring } from '../secrets.ts'

/** The token of a form, good only together with what it is bound to (an interaction, a cookie). */
export const csrfToken = (keyring: Keyring, boundTo: string): string => keyring.hmac('csrf', boundTo)

/**
 * Refuses a form that another site, another session or no page of ours sent: the token fits the binding, and the
 * browser does not name another origin (Fetch metadata; RFC 6454). Throws `form_expired`.
 */
export const checkCsrf = (ctx: Context, keyring: Keyring, boundTo: string, origin: string, token: unknown): void => {
  refuseOtherOrigins(ctx, origin)
  const fits = typeof token === 'string' && keyring.hmacs('csrf', boundTo).some((known) => equal(known, token))
  if (!fits) throw new Problem('form_expired')
}

const refuseOtherOrigins = (ctx: Context, own: string): void => {
  const origin = ctx.get('Origin')
  const site = ctx.get('Sec-Fetch-Site')
  // Pages that send no referrer make browsers say `null`; the token and the fetch metadata vouch for those forms.
  const foreign = origin !== '' && origin !== 'null' && origin !== own
  if (foreign || (site !== '' && site !== 'same-origin' && site !== 'none')) throw new Problem('form_expired')
}
