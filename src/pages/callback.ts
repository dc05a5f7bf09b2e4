import type { Context } from 'koa'
import * as departures from '../directory/departures.ts'
import { setPageHeaders } from '../platform/http/headers.ts'
import { readFormText } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import type { Returned } from '../signin/upstreams/upstream.ts'
import { type Desk, wordsOf } from './page.ts'
import { plain } from './problems.ts'

/** The most bytes of a form that an upstream sends: a signed assertion with attributes. */
const mostBytes = 512 * 1024

/**
 * Where upstreams send people back to; each connection has an address of its own, so that no upstream can pass its answer
 * for another's (RFC 9700 section 4.4). What came is kept sealed for the page that the person left from, and only this
 * browser is told how to open it. Nothing is looked at here, and nobody is made or let in.
 */
export const callback =
  ({ services, render }: Desk) =>
  async (ctx: Context, connectionId: string): Promise<void> => {
    const returned = await readReturned(ctx)
    const { state, RelayState } = returned.fields
    const given = state ?? RelayState ?? ''
    const at = services.clock.now()
    const kept = { connectionId, state: given, answer: returned }
    const brought = isId(connectionId) && given !== '' ? await departures.bring(services.db, at, kept) : undefined
    if (!brought) throw new Problem('expired', { key: 'callback_expired' })
    const nonce = setPageHeaders(ctx, { secretAddress: true })
    const next = `${brought.back}?arrived=${brought.handle}`
    // A form of the upstream's led here, and may lead to no origin that it does not know (CSP3 form-action): the page goes
    // on by itself. It is also a page of ours that asks for the next one, so that cookies that are `SameSite=Lax` go along.
    ctx.set('Refresh', `0; url=${next}`)
    ctx.type = 'html'
    ctx.body = render('signin/arrived', { words: wordsOf(ctx), brand: plain, nonce, next })
  }

const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

const readReturned = async (ctx: Context): Promise<Returned> => {
  const text = ctx.method === 'POST' ? await readFormText(ctx, mostBytes) : ctx.querystring
  const fields: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(text)) {
    if (Object.hasOwn(fields, name) || name in Object.prototype || /\0/.test(name + value))
      throw new Problem('invalid_request')
    fields[name] = value
  }
  return { method: ctx.method === 'POST' ? 'POST' : 'GET', fields }
}
