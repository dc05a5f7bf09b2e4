import type { Context } from 'koa'
import { z } from 'zod'
import { takeWork, type Work } from '../db/work.ts'
import { pathOf } from '../directory/address.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import type { Pool } from '../directory/pools.ts'
import type { Issuer } from '../oidc/providers.ts'
import { checkCsrf } from '../platform/http/csrf.ts'
import { readForm } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import type { Words } from '../platform/words.ts'
import * as challenges from '../signin/challenges.ts'
import { codeAgain, codeField, type Form, identifierField, newPasswordField, type Word } from '../signin/form.ts'
import { homeRealmOf } from '../signin/policy.ts'
import { isAway } from '../signin/pools/federated.ts'
import * as recovery from '../signin/recovery.ts'
import { openConnections, type Scene } from '../signin/scene.ts'
import { cookiesOf } from './cookies.ts'
import { type Desk, drawForm, show, wordsOf } from './page.ts'

const kept = z.object({
  browser: z.string(),
  pool: z.string().optional(),
  under: z
    .object({
      identifier: z.object({ kind: z.enum(['email', 'mobile', 'username']), value: z.string(), typed: z.string() }),
      challenge: z.string(),
    })
    .optional(),
})
type Kept = z.infer<typeof kept>

interface Visit {
  ctx: Context
  desk: Desk
  scene: Scene
  words: Words
  kept: Kept
}

/** Resetting a password outside of a sign-in: by the mail's link on any device, or by code in the browser that began. */
export const recover =
  (desk: Desk) =>
  async (ctx: Context, { workspace }: Issuer, work: Work): Promise<void> => {
    const words = wordsOf(ctx, ctx.query.ui_locales, workspace)
    const { services } = desk
    const cookies = cookiesOf(ctx, services)
    const scene: Scene = { services, workspace, client: undefined, lang: words.lang, ip: ctx.ip, work, cookies }
    const visit: Visit = { ctx, desk, scene, words, kept: readKept(ctx, desk) }
    const { token } = ctx.query
    if (poolsOf(scene).length === 0) throw new Problem('not_found')
    const answer = ctx.method === 'POST' ? await readAnswer(visit) : undefined
    if (typeof token === 'string') await byLink(visit, token, answer)
    else if (answer) await apply(visit, answer)
    else draw(visit, {})
    // What the pool's source said on the way is told by events.
    if (work.events.length > 0) await services.hot.commit(takeWork(work))
  }

const byLink = async (visit: Visit, token: string, answer: Record<string, string> | undefined): Promise<void> => {
  const { scene } = visit
  const found = await challenges.findByToken(scene.services.db, scene.services, 'recover', token)
  const pool = found && poolsOf(scene).find(({ id }) => id === found.poolId)
  if (!found || !pool || !recovery.isSomebodys(found)) throw new Problem('expired')
  const sent = { newPassword: answer?.new_password ?? '', warned: answer?.warned !== undefined }
  const outcome = answer ? await recovery.completeByLink(scene, pool, token, sent) : undefined
  if (outcome === 'over') throw new Problem('expired')
  if (outcome === 'done') return done(visit)
  const form = { fields: [newPasswordField('new_password', pool, outcome?.weak)], submit: 'button.set_password' }
  const address = typeof found.data.address === 'string' ? found.data.address : ''
  page(visit, 'recover/link', form, { address, action: `${addressOf(scene)}?token=${token}` })
}

const apply = async (visit: Visit, answer: Record<string, string>): Promise<void> => {
  const { scene, kept: state } = visit
  if (answer.action === 'resend') return begin(visit, state.under?.identifier.typed ?? '')
  // The first page again, by the way back: another address.
  if (!state.under || answer.identifier !== undefined) return begin(visit, answer.identifier ?? '')
  const pool = poolsOf(scene).find(({ id }) => id === state.pool)
  if (!pool) throw new Problem('expired')
  const warned = answer.warned !== undefined
  const sent = { code: answer.code ?? '', newPassword: answer.new_password ?? '', warned }
  const outcome = await recovery.completeByCode(scene, pool, state.under, state.browser, sent)
  if (outcome === 'done') return done(visit)
  if (typeof outcome === 'object') return draw(visit, { weak: outcome.weak })
  draw(visit, { alert: { key: outcome === 'wrong' ? 'alert.code_wrong' : 'alert.code_expired' } })
}

const begin = async (visit: Visit, typed: string): Promise<void> => {
  const { scene, kept: state } = visit
  const pool = choosePool(scene, typed)
  if (!pool) throw new Problem('not_found')
  const outcome = await recovery.begin(scene, pool, typed, state.browser)
  if ('error' in outcome) return draw(visit, { typed, error: outcome.error })
  if ('alert' in outcome) return draw(visit, { typed, alert: outcome.alert })
  keep(visit, { browser: state.browser, pool: pool.id, under: outcome })
  visit.ctx.status = 303
  visit.ctx.redirect(addressOf(scene))
}

const draw = (
  visit: Visit,
  { typed, error, alert, weak }: { typed?: string; error?: Word; alert?: Word; weak?: Word },
): void => {
  const { scene, kept: state } = visit
  const pool = poolsOf(scene).find(({ id }) => id === state.pool)
  if (!state.under || !pool || visit.ctx.query.again !== undefined) {
    const kinds = [...new Set(poolsOf(scene).flatMap(({ settings }) => settings.identifiers))]
    keep(visit, { browser: state.browser })
    const form = { fields: [identifierField(kinds, typed, error)], submit: 'method.email_code' }
    page(visit, 'recover/identify', form, { links: {}, alert, action: addressOf(scene) })
    return
  }
  const fields = [
    codeField(pool.settings.code_policy.length, weak && codeAgain),
    newPasswordField('new_password', pool, weak),
  ]
  const buttons = [{ name: 'action', value: 'resend', label: 'button.resend_code' }]
  const { identifier } = state.under
  const texted = recovery.isTexted(scene.services, pool, identifier)
  page(
    visit,
    'recover/verify',
    { fields, submit: 'button.set_password' },
    {
      address: identifier.typed,
      texted,
      alert,
      buttons,
      action: addressOf(scene),
      links: { other: `${addressOf(scene)}?again` },
    },
  )
}

const done = (visit: Visit): void => {
  visit.ctx.cookies.set(cookieOf(visit.desk), null, cookieOptions(visit.desk))
  show(visit.ctx, visit.desk, { ...visit, workspace: visit.scene.workspace, secretAddress: true }, 'recover/done', {
    links: {},
  })
}

interface PageValues {
  action: string
  alert?: Word | undefined
  buttons?: { name: string; value: string; label: string }[]
  [value: string]: unknown
}

const page = (visit: Visit, view: string, form: Form, { action, alert, buttons, ...values }: PageValues): void => {
  const { ctx, desk, words, scene, kept: state } = visit
  const drawn = drawForm(form, {
    words,
    services: desk.services,
    action,
    boundTo: state.browser,
    alert,
    ...(buttons ? { buttons } : {}),
  })
  if (view === 'recover/link') keep(visit, { browser: state.browser })
  show(ctx, desk, { workspace: scene.workspace, words, secretAddress: true }, view, { ...values, form: drawn })
}

const readAnswer = async ({ ctx, desk, kept: state }: Visit): Promise<Record<string, string>> => {
  const { csrf, ...answer } = await readForm(ctx)
  checkCsrf(ctx, desk.services.keyring, state.browser, desk.services.config.publicUrl, csrf)
  return answer
}

// Whoever proves elsewhere who they are has no password here.
const poolsOf = (scene: Scene): Pool[] => openConnections(scene).flatMap(({ pool }) => (isAway(pool) ? [] : [pool]))

/** The pool that somebody must mean: by the domain of their address, else the first one shown that knows its kind. */
const choosePool = (scene: Scene, typed: string): Pool | undefined => {
  const email = readIdentifier(typed, ['email'])
  const shown = openConnections(scene).filter(({ hidden, pool }) => !hidden && !isAway(pool))
  const knows = ({ pool: { settings } }: (typeof shown)[number]) =>
    readIdentifier(typed, settings.identifiers, settings.default_country) !== undefined
  const told = email && homeRealmOf(scene, email)
  return ((told && !isAway(told.pool) ? told : undefined) ?? shown.find(knows) ?? shown[0])?.pool
}

const addressOf = ({ workspace }: Scene) => `${pathOf(workspace)}/recover`

// The state is this browser's own and sealed: nothing is stored for whoever only looks.
const cookieOf = ({ services }: Desk) =>
  `${services.config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_recover`

const readKept = (ctx: Context, desk: Desk): Kept => {
  try {
    const sealed = ctx.cookies.get(cookieOf(desk), { signed: false }) ?? ''
    return kept.parse(JSON.parse(desk.services.keyring.open(sealed, 'recover')))
  } catch {
    return { browser: sha256(randomToken()) }
  }
}

const keep = ({ ctx, desk }: Visit, state: Kept): void => {
  const sealed = desk.services.keyring.seal(JSON.stringify(state), 'recover')
  ctx.cookies.set(cookieOf(desk), sealed, { ...cookieOptions(desk), maxAge: 3_600_000 })
}

// Browsers drop a `__Host-` cookie only for one with the same attributes.
const cookieOptions = ({ services }: Desk) => {
  const secure = services.config.publicUrl.startsWith('https:')
  return { httpOnly: true, sameSite: 'lax', secure, signed: false, overwrite: true } as const
}
