import type { Context, Middleware } from 'koa'
import { emptyWork, isEmpty, keyOf, takeWork, type Work } from '../db/work.ts'
import { propertiesOf } from '../directory/profiles.ts'
import type * as users from '../directory/users.ts'
import * as interaction from '../oidc/interaction.ts'
import type { Issuer } from '../oidc/providers.ts'
import { checkCsrf } from '../platform/http/csrf.ts'
import { readForm } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import type { Words } from '../platform/words.ts'
import { advance, askingOf, type Stage } from '../signin/advance.ts'
import { type Attempt, attemptFrom, attemptRow, beginAttempt } from '../signin/attempt.ts'
import { finish } from '../signin/finish.ts'
import { codeAgain, codeField, identifierField, passwordField, profileField } from '../signin/form.ts'
import { getMethod } from '../signin/methods/index.ts'
import { connectionOf, policyOf } from '../signin/policy.ts'
import type { Scene } from '../signin/scene.ts'
import { nextStep, type Step, type View } from '../signin/step.ts'
import { consent } from './consent.ts'
import { type Desk, drawForm, formActionOf, show, wordsOf } from './page.ts'

/** One visit of a browser to its sign-in. */
export interface Visit {
  ctx: Context
  desk: Desk
  issuer: Issuer
  asked: interaction.Interaction
  words: Words
  scene: Scene
}

/** GET draws the next step, POST applies an answer and comes back here. No page leads to another. */
export const signin =
  (desk: Desk) =>
  async (ctx: Context, issuer: Issuer, work: Work): Promise<void> => {
    const asked = await interaction.read(issuer, ctx)
    // The cookie says which interaction it is. One that was planted must not answer for the page that is open.
    if (!ctx.path.endsWith(`/${asked.uid}`)) throw new Problem('expired')
    const client = await issuer.findClient(asked.clientId)
    if (client?.status !== 'active') throw new Problem('expired')
    const words = wordsOf(ctx, asked.params.ui_locales)
    const { services } = desk
    const scene: Scene = { services, workspace: issuer.workspace, client, lang: words.lang, ip: ctx.ip, work }
    const visit: Visit = { ctx, desk, issuer, asked, words, scene }
    const answer = ctx.method === 'POST' ? await readAnswer(visit) : undefined
    if (asked.finished) return seeOther(ctx, asked.finished)
    if (asked.prompt.name === 'consent') return consent(visit, answer)
    return answer ? apply(visit, answer) : draw(visit)
  }

const readAnswer = async ({ ctx, desk, asked }: Visit): Promise<Record<string, string>> => {
  const { csrf, ...answer } = await readForm(ctx)
  checkCsrf(ctx, desk.services.keyring, asked.uid, desk.services.config.publicUrl, csrf)
  return answer
}

const draw = async (visit: Visit): Promise<void> => {
  const stage = await stageOf(visit)
  const step = nextStep(stage.attempt, policyOf(visit.scene, stage.attempt), viewOf(visit.ctx))
  if (step.do === 'finish') return complete(visit, stage, step.amr)
  await drawers[step.do](visit, stage, step as never)
}

const apply = async (visit: Visit, sent: Record<string, string>): Promise<void> => {
  const { ctx, scene } = visit
  const stage = await stageOf(visit)
  const { asks = asksOf(stage.attempt), ...answer } = sent
  if (asks !== asksOf(stage.attempt)) return seeOther(ctx, addressOf(visit))
  const step = nextStep(stage.attempt, policyOf(scene, stage.attempt), viewOf(ctx))
  const attempt = await advance(stage, step, answer)
  scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
  const next = nextStep(attempt, policyOf(scene, attempt))
  // The last proof goes straight on, which saves the person a round trip; the dispatcher would do the same.
  if (next.do === 'finish' && stage.found) return complete(visit, { ...stage, attempt }, next.amr)
  await save(visit)
  seeOther(ctx, addressOf(visit))
}

/** What a page asks and of whom: an answer is taken for nothing else where another tab went on meanwhile. */
const asksOf = ({ identifier, registration, recovery, method, proofs }: Attempt): string =>
  JSON.stringify([
    registration?.identifier.value,
    recovery?.identifier.value,
    identifier?.value,
    method,
    ...proofs.map((proof) => proof.method),
  ])

/** Hands a finished sign-in to the engine, in one commit with everything that the request has to write. */
const complete = async (visit: Visit, stage: Stage, amr: string[]): Promise<void> => {
  const { ctx, issuer, asked, scene } = visit
  const done = await finish(stage, amr)
  if (!done) {
    await save(visit)
    throw new Problem('expired', { detail: 'This account cannot sign in any more.' })
  }
  const at = scene.services.clock.now()
  const destination = await interaction.finish(issuer, ctx, asked, { ...done, at })
  await save(visit)
  seeOther(ctx, destination)
}

/** Writes what the visit did. A second answer to one step loses; its browser is shown where the first one led. */
const save = async (visit: Visit): Promise<void> => {
  const { scene, ctx } = visit
  if (isEmpty(scene.work)) return
  const work = takeWork(scene.work)
  for (let triesLeft = 3; await scene.services.hot.commit(work); triesLeft -= 1) {
    if (triesLeft > 0 && (await outdo(visit, work))) continue
    const failures = work.events.filter(({ type }) => type === 'sign_in.failed')
    await scene.services.hot.commit({ ...emptyWork(work.began), events: failures })
    throw new Moved(addressOf(visit), ctx.method)
  }
}

/**
 * Puts a right answer on top of a wrong one to the same question that was saved first: the second click on a button
 * finds the code used up, and what the first one proved with it cannot be proven again.
 */
const outdo = async (visit: Visit, work: Work): Promise<boolean> => {
  const { scene, issuer, asked } = visit
  const [ours] = [...work.attempts.values()].map(attemptFrom)
  const saved = (await scene.services.hot.loadInteraction(issuer.workspace.id, asked.id))?.attempt
  if (!ours || ours.alert || !saved || asksOf(attemptFrom(saved)) !== asksOf((await stageOf(visit)).attempt))
    return false
  work.attempts.set(keyOf(ours), attemptRow({ ...ours, version: saved.version }))
  return true
}

/** Somebody else moved the attempt on; the browser looks again. */
class Moved extends Error {
  readonly to: string
  constructor(to: string, method: string) {
    super(`The attempt moved on during a ${method}.`)
    this.to = to
  }
}

/** Sends a browser that lost a race back to look again, instead of showing it an error. */
export const lookAgain: Middleware = async (ctx, next) => {
  try {
    await next()
  } catch (error) {
    if (!(error instanceof Moved)) throw error
    seeOther(ctx, error.to)
  }
}

const stageOf = async ({ asked, issuer, scene }: Visit): Promise<Stage> => {
  const { id, expiresAt, attempt: row, found } = asked
  const at = { workspaceId: issuer.workspace.id, id, expiresAt }
  const attempt = row ? attemptFrom(row) : beginAttempt(at)
  return { scene, attempt, found: foundFor(attempt, found) }
}

// An attempt that begins on a session of somebody else must not take that person for the one it is about.
const foundFor = ({ identifier }: Attempt, found: users.User | undefined): users.User | undefined =>
  found?.identifiers.some(({ kind, value }) => kind === identifier?.kind && value === identifier?.value)
    ? found
    : undefined

const views = new Set<string>(['identify', 'register', 'another', 'recover', 'choose'] satisfies View[])
const viewOf = (ctx: Context): View | undefined => {
  const view = ctx.query.view
  return typeof view === 'string' && views.has(view) ? (view as View) : undefined
}

const addressOf = ({ issuer, asked }: Visit, view?: View): string =>
  `/w/${issuer.workspace.slug}/signin/${asked.uid}${view ? `?view=${view}` : ''}`

// 303 and nothing else after a form with a password in it (RFC 9700 section 4.12).
const seeOther = (ctx: Context, to: string): void => {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}

type Drawer<S extends Step['do']> = (visit: Visit, stage: Stage, step: Extract<Step, { do: S }>) => Promise<void> | void

const drawers: { [S in Exclude<Step['do'], 'finish'>]: Drawer<S> } = {
  closed: () => {
    throw new Problem('not_found', { detail: 'Nobody can sign in to this application yet.' })
  },

  choose: (visit, { attempt, scene }, { pools }) => {
    const offered = scene.workspace.connections.filter(({ pool }) => pools.includes(pool.id))
    const listed = offered.map(({ name, pool }) => ({
      id: pool.id,
      name,
      description: pool.description,
      color: pool.color,
    }))
    page(visit, attempt, 'choose', { fields: [], submit: 'button.continue' }, { pools: listed }, 'choose')
  },

  identify: (visit, { attempt, scene }) => {
    const policy = policyOf(scene, attempt)
    const { draft } = attempt
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const error = draft?.view === 'identify' ? draft.errors.identifier : undefined
    const fields = [identifierField(policy.identifiers, typed, error)]
    const links = policy.registration ? { register: addressOf(visit, 'register') } : {}
    const values = { client: clientOf(visit), place: placeOf(visit, attempt), links }
    page(visit, attempt, 'identify', { fields, submit: 'button.continue' }, values, 'identify')
  },

  register: (visit, { attempt, scene }) => {
    const pool = connectionOf(scene, attempt)?.pool
    if (!pool) throw new Problem('expired')
    const draft = attempt.draft?.view === 'register' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const policy = { key: 'hint.password', values: { count: pool.settings.password_policy.min_length } }
    const secret = passwordField('password', draft?.errors.password, policy)
    const fields = [
      { ...identifierField(['email'], typed, draft?.errors.identifier), autocomplete: 'email' },
      ...propertiesOf(pool.settings.user_schema).map((property) =>
        profileField(property, draft?.values[property.name], draft?.errors[property.name]),
      ),
      ...(pool.settings.sign_in_methods.includes('password') ? [{ ...secret, autocomplete: 'new-password' }] : []),
    ]
    const links = { signin: addressOf(visit, 'identify') }
    page(
      visit,
      attempt,
      'register',
      { fields, submit: 'button.create_account' },
      { client: clientOf(visit), place: placeOf(visit, attempt), links },
      'register',
    )
  },

  verify: (visit, { attempt, scene }) => {
    const length = connectionOf(scene, attempt)?.pool.settings.code_policy.length ?? 6
    const buttons = [resend, { name: 'action', value: 'correct', label: 'button.correct_address' }]
    const address = attempt.registration?.identifier.typed ?? ''
    page(visit, attempt, 'verify', { fields: [codeField(length)], submit: 'button.continue' }, { address, buttons })
  },

  recover: (visit, { attempt, scene }) => {
    const draft = attempt.draft?.view === 'recover' ? attempt.draft : undefined
    const typed = draft?.values.identifier ?? attempt.identifier?.typed ?? hintOf(visit)
    const fields = [identifierField(policyOf(scene, attempt).identifiers, typed, draft?.errors.identifier)]
    const links = { signin: addressOf(visit, 'identify') }
    page(visit, attempt, '../recover/identify', { fields, submit: 'method.email_code' }, { links }, 'recover')
  },

  reset: (visit, { attempt, scene }) => {
    const settings = connectionOf(scene, attempt)?.pool.settings
    const policy = { key: 'hint.password', values: { count: settings?.password_policy.min_length ?? 12 } }
    const weak = attempt.draft?.errors.new_password
    const fields = [
      codeField(settings?.code_policy.length ?? 6, weak && codeAgain),
      passwordField('new_password', weak, policy),
    ]
    const address = attempt.recovery?.identifier.typed ?? ''
    const links = { other: addressOf(visit, 'recover'), signin: addressOf(visit, 'identify') }
    const values = { address, links, buttons: [resend] }
    page(visit, attempt, '../recover/verify', { fields, submit: 'button.set_password' }, values)
  },

  'change-password': (visit, { attempt, scene }) => {
    const settings = connectionOf(scene, attempt)?.pool.settings
    const policy = { key: 'hint.password', values: { count: settings?.password_policy.min_length ?? 12 } }
    const error = attempt.draft?.view === 'change' ? attempt.draft.errors.new_password : undefined
    const form = { fields: [passwordField('new_password', error, policy)], submit: 'button.set_password' }
    page(visit, attempt, 'change', form, { identifier: attempt.identifier?.typed ?? '' })
  },

  another: (visit, { attempt }, { methods }) => {
    const listed = methods.map((name) => ({ name, label: visit.words.t(`method.${name}`) }))
    page(
      visit,
      attempt,
      'methods',
      { fields: [], submit: 'button.continue' },
      { methods: listed, ...who(visit, attempt) },
      'another',
    )
  },

  prove: async (visit, stage, { method, methods }) => {
    const { attempt } = stage
    const { form, pending, name } = getMethod(method)
    const kept = pending.safeParse(attempt.pending ?? {})
    const at = await askingOf(stage)
    const drawn = form(at, kept.success ? kept.data : undefined, undefined)
    const links = {
      ...(methods.length > 1 ? { another: addressOf(visit, 'another') } : {}),
      ...(name === 'password' ? { recover: addressOf(visit, 'recover') } : {}),
    }
    const buttons = name === 'password' ? [] : [resend]
    page(visit, attempt, 'prove', drawn, { method, links, buttons, ...who(visit, attempt) })
  },
}

const resend = { name: 'action', value: 'resend', label: 'button.resend_code' }

const who = (visit: Visit, { identifier }: Attempt) => ({
  identifier: identifier?.typed ?? '',
  notYou: addressOf(visit, 'identify'),
})

/** Which of several pools was chosen, with the way back to the choice. */
const placeOf = (visit: Visit, attempt: Attempt) => {
  const { pools } = policyOf(visit.scene, attempt)
  const chosen = attempt.pool === undefined ? undefined : connectionOf(visit.scene, attempt)
  return chosen && pools.length > 1 ? { name: chosen.name, change: addressOf(visit, 'choose') } : null
}

const clientOf = ({ scene }: Visit) => ({ name: scene.client?.metadata.client_name ?? '' })

const hintOf = ({ asked }: Visit): string | undefined => {
  const hint = asked.params.login_hint
  return typeof hint === 'string' && hint.length <= 320 && asked.prompt.name !== 'select_account' ? hint : undefined
}

interface PageValues {
  buttons?: { name: string; value: string; label: string }[]
  [value: string]: unknown
}

const page = (
  visit: Visit,
  attempt: Attempt,
  view: string,
  form: Parameters<typeof drawForm>[0],
  { buttons, ...values }: PageValues,
  posted?: View,
): void => {
  const { ctx, desk, words, scene, asked } = visit
  // What an answer led to is said where it led, not on the pages that links lead to from there.
  const { notice, alert } = viewOf(ctx) ? {} : attempt
  const { services } = desk
  const action = addressOf(visit, posted)
  const drawn = drawForm(form, {
    words,
    services,
    action,
    boundTo: asked.uid,
    notice,
    alert,
    // Where the address says what is answered, any tab may say it; elsewhere the form has to.
    hidden: posted ? [] : [{ name: 'asks', value: asksOf(attempt) }],
    ...(buttons ? { buttons } : {}),
  })
  const showing = { workspace: scene.workspace, words, formAction: formActionOf(asked.params.redirect_uri) }
  show(ctx, desk, showing, view.startsWith('../') ? view.slice(3) : `signin/${view}`, { ...values, form: drawn })
}
