import type { Context } from 'koa'
import { z } from 'zod'
import type { Desk } from './page.ts'

const uids = z.array(z.string())

/** How many sign-ins of one browser may wait for a link at once, and for how many milliseconds. */
const most = 5
const lifetime = 900_000

/**
 * The sign-ins that this browser began and that wait for a link, by the uids of their interactions. It only tells which
 * page a link leads to: what the page sends is taken with the interaction's own cookie and with nothing else.
 */
export const begunHere = (ctx: Context, desk: Desk): string[] => {
  try {
    const sealed = ctx.cookies.get(nameOf(desk), { signed: false }) ?? ''
    return uids.parse(JSON.parse(desk.services.keyring.open(sealed, 'links')))
  } catch {
    return []
  }
}

/** Lets a link's page know the browser that asked for the link. */
export const rememberHere = (ctx: Context, desk: Desk, uid: string): void => {
  const known = [uid, ...begunHere(ctx, desk).filter((other) => other !== uid)].slice(0, most)
  ctx.cookies.set(nameOf(desk), desk.services.keyring.seal(JSON.stringify(known), 'links'), {
    httpOnly: true,
    sameSite: 'lax',
    secure: isSecure(desk),
    signed: false,
    overwrite: true,
    maxAge: lifetime,
  })
}

const nameOf = (desk: Desk) => `${isSecure(desk) ? '__Host-' : ''}lido_links`

const isSecure = ({ services }: Desk) => services.config.publicUrl.startsWith('https:')
