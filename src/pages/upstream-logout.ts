import type { Context } from 'koa'
import { z } from 'zod'
import * as sessions from '../directory/upstream-sessions.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Issuer } from '../oidc/providers.ts'
import { Problem } from '../platform/problem.ts'
import { equal, randomToken } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { type Back, callbackOf } from '../signin/departing.ts'
import { openUpstream } from '../signin/pools/federated.ts'
import type { Scene } from '../signin/scene.ts'
import { cookiesOf } from './cookies.ts'
import { type Desk, show, wordsOf } from './page.ts'

/** Remembers in a browser that it came from an upstream which it is to sign out from, too. */
export const keepSession = async (
  { services, workspace, cookies }: Scene,
  { connection, outcome }: Back,
): Promise<void> => {
  if (outcome.is !== 'ok' || !cookies || !connection.pool.upstream?.logout) return
  const { db, keyring, clock } = services
  const until = new Date(clock.now().getTime() + workspace.settings.lifetimes.session_absolute * 1000)
  const kept = { connectionId: connection.id, session: outcome.session }
  cookies.set(nameOf(services, workspace), await sessions.keep(db, keyring, workspace.id, kept, until), until)
}

const goingName = ({ config }: Pick<Services, 'config'>): string =>
  `${config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_upstream_logout`

const nameOf = ({ config }: Pick<Services, 'config'>, { slug }: Workspace): string =>
  `${config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_upstream_of_${slug}`

/** Where this browser goes on after it has signed out at the upstream; sealed in a cookie, so that nobody chooses it. */
const going = z.object({ to: z.string(), state: z.string() })
const goingMs = 600_000

/**
 * Goes on to the upstream after somebody has signed out here, where its pool says so. The page says that they are signed
 * out and goes on by itself: the form that led here may lead to no other origin (CSP3 form-action).
 */
export const leaveUpstream = async ({ services, render }: Desk, ctx: Context, { workspace }: Issuer): Promise<void> => {
  const { db, keyring } = services
  const cookies = cookiesOf(ctx, services)
  const name = nameOf(services, workspace)
  const token = cookies.get(name)
  const to = ctx.res.getHeader('Location')
  if (!token || typeof to !== 'string' || !hasSignedOut(ctx)) return
  cookies.set(name, '', new Date(0))
  const kept = await sessions.take(db, keyring, workspace.id, token)
  const connection = workspace.connections.find(({ id }) => id === kept?.connectionId)
  if (!kept || !connection?.pool.upstream) return
  const back = `${callbackOf(services, connection.id)}/logout`
  // Short enough for a RelayState (SAML bindings section 3.4.3: 80 bytes).
  const state = randomToken(16)
  const next = await openUpstream(connection.pool, services).leave?.(kept.session, { back, state })
  if (!next) return
  const until = new Date(services.clock.now().getTime() + goingMs)
  cookies.set(goingName(services), keyring.seal(JSON.stringify({ to, state }), 'logout'), until)
  ctx.remove('Location')
  ctx.status = 200
  ctx.set('Refresh', `0; url=${next.href}`)
  show(ctx, { services, render }, { workspace, words: wordsOf(ctx, undefined, workspace) }, 'loggedout', {})
}

/** The engine takes the session's cookie away from whoever signs out, and from nobody who stays. */
const hasSignedOut = (ctx: Context): boolean =>
  [ctx.res.getHeader('Set-Cookie') ?? []]
    .flat()
    .some((line) => /lido_session_[^=]*=;/.test(String(line)) && String(line).includes('1970'))

/** Takes a browser back that has signed out at an upstream, to where it was going. Throws `expired`. */
export const comeFromLeaving = ({ services }: Desk, ctx: Context): void => {
  const cookies = cookiesOf(ctx, services)
  const { to, state } = opened(services, cookies.get(goingName(services)) ?? '')
  if (!equal(String(ctx.query.state ?? ctx.query.RelayState ?? ''), state)) throw new Problem('expired')
  cookies.set(goingName(services), '', new Date(0))
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}

const opened = ({ keyring }: Services, kept: string): z.infer<typeof going> => {
  try {
    return going.parse(JSON.parse(keyring.open(kept, 'logout')))
  } catch (cause) {
    throw new Problem('expired', { cause })
  }
}
