import type { Context } from 'koa'
import { readIdentifier } from '../directory/identifiers.ts'
import type { Connection } from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import { arrive } from '../signin/arrive.ts'
import type { Attempt } from '../signin/attempt.ts'
import { leave, takeBack } from '../signin/departing.ts'
import { asksAgain } from '../signin/learnt.ts'
import { connectionOf, homeRealmOf, policyOf } from '../signin/policy.ts'
import { isAway } from '../signin/pools/federated.ts'
import { openConnections } from '../signin/scene.ts'
import type { Stage } from '../signin/stage.ts'
import type { Departing } from '../signin/upstreams/upstream.ts'
import { show } from './page.ts'
import { keepSession } from './upstream-logout.ts'
import { addressOf, type Visit, viewOf } from './visit.ts'

/**
 * Sends somebody to their upstream; a page comes first where something went wrong there, so that nobody goes in circles,
 * and where a form led here.
 */
export const depart = async (visit: Visit, stage: Stage): Promise<void> => {
  const { ctx, scene, desk } = visit
  const connection = connectionOf(scene, stage.attempt)
  if (!connection) throw new Problem('expired')
  const view = viewOf(ctx)
  if (view === 'departing' || (view !== 'depart' && stage.attempt.alert)) return wait(visit, stage, connection)
  const left = await leave(desk.services, {
    workspaceId: scene.workspace.id,
    connection,
    boundTo: stage.attempt.id,
    back: addressOf(visit),
    wanted: wantedOf(visit, stage.attempt, connection, view === 'identify'),
  })
  if ('to' in left) return seeOther(ctx, left.to.href)
  wait(visit, { ...stage, attempt: { ...stage.attempt, alert: left.alert } }, connection)
}

/** What the client asked of the sign-in, as far as an upstream can do it. */
const wantedOf = (
  { asked, scene }: Visit,
  { identifier }: Attempt,
  connection: Connection,
  other: boolean,
): Omit<Departing, 'callback' | 'state'> => {
  const { prompt, max_age, login_hint, acr_values, ui_locales } = asked.params
  const hint = identifier?.typed ?? (typeof login_hint === 'string' ? login_hint : undefined)
  const seconds = Number(max_age)
  const { pool } = connection
  return {
    loginHint: hint !== undefined && hint !== '' && hint.length <= 320 && !other ? hint : undefined,
    fresh: other || (typeof prompt === 'string' && prompt.split(' ').includes('login')),
    maxAge: max_age !== undefined && Number.isSafeInteger(seconds) ? seconds : undefined,
    acrValues:
      pool.upstream?.trust.acr && typeof acr_values === 'string' ? acr_values.split(' ').slice(0, 10) : undefined,
    renewable: asksAgain(connection),
    lang: typeof ui_locales === 'string' && /^[\w -]{1,100}$/.test(ui_locales) ? ui_locales : scene.lang,
  }
}

const wait = (visit: Visit, { attempt, scene }: Stage, { name }: Connection): void => {
  const { ctx, desk, words } = visit
  const next = addressOf(visit, 'depart')
  const alert = viewOf(ctx) === 'departing' ? undefined : attempt.alert
  // Goes on by itself where nothing has to be read.
  if (!alert) ctx.set('Refresh', `0; url=${next}`)
  const links = policyOf(scene, attempt).pools.length > 1 ? { choose: addressOf(visit, 'choose') } : {}
  show(ctx, desk, { workspace: scene.workspace, words }, 'signin/depart', { name, next, alert: alert ?? null, links })
}

/** Takes somebody back who was sent to an upstream in this browser; undefined where there is nothing to take back. */
export const comeBack = async (visit: Visit, stage: Stage, handle: string): Promise<Stage | undefined> => {
  const { scene, desk } = visit
  const wanted = { workspaceId: scene.workspace.id, boundTo: stage.attempt.id, handle }
  const back = await takeBack(desk.services, openConnections(scene), wanted)
  if (back === 'closed') throw new Problem('forbidden', { key: 'connection_closed' })
  if (back === 'none') return undefined
  await keepSession(scene, back)
  return arrive(stage, back)
}

/**
 * The attempt with its pool, where the client names one (`idp_hint`: a connection's id or name, or a pool's slug; also a
 * hidden one) or the hint of who comes has a domain that belongs to an upstream.
 */
export const pointed = ({ asked, scene }: Visit, begun: Attempt): Attempt => {
  const { idp_hint: wanted, login_hint: hint } = asked.params
  const open = openConnections(scene)
  const named =
    typeof wanted === 'string'
      ? open.find(({ id, name, pool }) => [id, name.toLowerCase(), pool.slug].includes(wanted.toLowerCase()))
      : undefined
  const email = typeof hint === 'string' && hint.length <= 320 ? readIdentifier(hint, ['email']) : undefined
  const told = email && homeRealmOf(scene, email)
  const found = named ?? (told && isAway(told.pool) ? told : undefined)
  return found ? { ...begun, pool: found.pool.id } : begun
}

const seeOther = (ctx: Context, to: string): void => {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}
