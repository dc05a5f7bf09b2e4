import type { Context, Middleware } from 'koa'
import { emptyWork, isEmpty, keyOf, takeWork, type Work } from '../db/work.ts'
import type * as users from '../directory/users.ts'
import { atLeast } from '../oidc/acr.ts'
import { sealLearnt } from '../oidc/contexts.ts'
import * as interaction from '../oidc/interaction.ts'
import type { Issuer } from '../oidc/providers.ts'
import { sealSaid } from '../oidc/said.ts'
import { checkCsrf } from '../platform/http/csrf.ts'
import { readForm } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import { advance } from '../signin/advance.ts'
import { type Attempt, attemptFrom, attemptRow, beginAttempt, stillGood } from '../signin/attempt.ts'
import { finish, refuseUnmet } from '../signin/finish.ts'
import { policyOf } from '../signin/policy.ts'
import type { Scene } from '../signin/scene.ts'
import { type Action, find, findPerson, type Stage } from '../signin/stage.ts'
import { nextStep, type Step } from '../signin/step.ts'
import { trod } from '../signin/trail.ts'
import { comeBack, pointed } from './away.ts'
import { consent } from './consent.ts'
import { cookiesOf } from './cookies.ts'
import { type Desk, wordsOf } from './page.ts'
import { departure, runDue, takeVerdict } from './post-authentication.ts'
import { stepUp } from './step-up.ts'
import { drawers } from './steps.ts'
import { addressOf, asksOf, firstViewOf, type Visit, viewOf } from './visit.ts'

/** GET draws the next step, POST applies an answer and comes back here. No page leads to another. */
export const signin =
  (desk: Desk) =>
  async (ctx: Context, issuer: Issuer, work: Work): Promise<void> => {
    const asked = await interaction.read(issuer, ctx)
    // The cookie says which interaction it is. One that was planted must not answer for the page that is open.
    if (!ctx.path.endsWith(`/${asked.uid}`)) throw new Problem('expired')
    const client = await issuer.findClient(asked.clientId)
    if (client?.status !== 'active') throw new Problem('expired')
    ctx.state.clientId = client.id
    const words = wordsOf(ctx, asked.params.ui_locales, issuer.workspace)
    const { services } = desk
    const shown = { services, workspace: issuer.workspace, client, lang: words.lang, ip: ctx.ip, work }
    const acr = atLeast(asked.acr, client.metadata.acr_values_default)
    const asking = { scopes: listIn(asked.params.scope), resource: [asked.params.resource ?? []].flat().map(String) }
    const scene: Scene = {
      ...shown,
      acr,
      asked: asking,
      cookies: cookiesOf(ctx, services),
      agent: ctx.get('User-Agent'),
    }
    const visit: Visit = { ctx, desk, issuer, asked, words, scene }
    const answer = ctx.method === 'POST' ? await readAnswer(visit) : undefined
    if (asked.finished) return seeOther(ctx, asked.finished)
    if (asked.prompt.name === 'consent') return consent(visit, answer)
    return answer ? apply(visit, answer) : draw(visit)
  }

const listIn = (text: unknown): string[] => (typeof text === 'string' ? text.split(' ').filter(Boolean) : [])

const readAnswer = async ({ ctx, desk, asked }: Visit): Promise<Record<string, string>> => {
  const { csrf, ...answer } = await readForm(ctx)
  checkCsrf(ctx, desk.services.keyring, asked.uid, desk.services.config.publicUrl, csrf)
  return answer
}

const draw = async (visit: Visit): Promise<void> => {
  const stage = await stageOf(visit)
  const { arrived } = visit.ctx.query
  if (typeof arrived === 'string') return takeBack(visit, stage, arrived)
  const view = viewOf(visit.ctx) ?? firstViewOf(visit, stage.attempt)
  const step = nextStep(stage.attempt, policyOf(visit.scene, stage.attempt, stage.found), view)
  if (step.do === 'finish') return complete(visit, stage)
  if (step.do === 'unmet') return giveUp(visit, stage)
  if (step.do === 'script') return goOn(visit, stage, step, {})
  if (step.do === 'application') return arriveOrDepart(visit, stage, step)
  await drawers[step.do](visit, stage, step as never)
}

/** Runs the operator's script, and goes on where that leads. Throws `unavailable` where it has to wait for its turn. */
const goOn = async (visit: Visit, stage: Stage, step: Step, answer: Action): Promise<void> => {
  const { ctx, scene } = visit
  const ran = await runDue(stage)
  if (ran === 'busy' && step.do === 'script') throw new Problem('unavailable', { retryAfter: 2 })
  const advanced = ran === 'busy' ? stage.attempt : ran
  const next = nextStep(advanced, policyOf(scene, advanced, stage.found))
  const attempt = trod(stage, step, answer, advanced, next)
  scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
  if (next.do === 'finish') return complete(visit, { ...stage, attempt })
  await save(visit)
  seeOther(ctx, addressOf(visit))
}

/** Takes what the operator's application said of the person, or sends them there; again, as long as it said nothing. */
const arriveOrDepart = async (visit: Visit, stage: Stage, step: Step): Promise<void> => {
  const { ctx, scene } = visit
  const { verdict } = ctx.query
  if (typeof verdict !== 'string') {
    const { attempt, to } = await departure(visit, stage)
    if (attempt !== stage.attempt) scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
    await save(visit)
    return seeOther(ctx, to)
  }
  const advanced = await takeVerdict(stage, verdict)
  const next = nextStep(advanced, policyOf(scene, advanced, stage.found))
  const attempt = trod(stage, step, {}, advanced, next)
  scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
  if (next.do === 'finish') return complete(visit, { ...stage, attempt })
  if (next.do === 'denied' && next.cancelled) return giveUp(visit, stage, next)
  await save(visit)
  seeOther(ctx, addressOf(visit))
}

const apply = async (visit: Visit, sent: Record<string, string>): Promise<void> => {
  const { ctx, scene } = visit
  const stage = await stageOf(visit)
  const { asks = asksOf(stage.attempt), ...answer } = sent
  if (asks !== asksOf(stage.attempt)) return seeOther(ctx, addressOf(visit))
  const step = nextStep(stage.attempt, policyOf(scene, stage.attempt, stage.found), viewOf(ctx))
  if (step.do === 'denied' && answer.action !== 'other') return giveUp(visit, stage, step)
  const advanced = await advance(stage, step, answer)
  // Who proves something as they say who they are was not known before.
  const known = advanced.settled ? undefined : stage.found
  const found = known ?? (advanced.proofs.length > 0 ? await find({ scene, attempt: advanced }) : undefined)
  const next = nextStep(advanced, policyOf(scene, advanced, found))
  if (next.do === 'script' && found) return goOn(visit, { scene, attempt: advanced, found }, step, answer)
  const attempt = trod(stage, step, answer, advanced, next)
  scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
  // The last proof goes straight on, which saves the person a round trip; the dispatcher would do the same.
  if (next.do === 'finish' && found) return complete(visit, { scene, attempt, found })
  await save(visit)
  // A form leads to no other origin (CSP3 form-action): a page of ours comes in between.
  seeOther(ctx, addressOf(visit, next.do === 'depart' ? 'departing' : undefined))
}

/** Takes somebody back from an upstream, in the browser that was sent there. */
const takeBack = async (visit: Visit, before: Stage, handle: string): Promise<void> => {
  const { ctx, scene } = visit
  const returned = await comeBack(visit, before, handle)
  if (!returned) return seeOther(ctx, addressOf(visit))
  const next = nextStep(returned.attempt, policyOf(scene, returned.attempt, returned.found))
  const attempt = trod(before, { do: 'depart' }, {}, returned.attempt, next)
  scene.work.attempts.set(keyOf(attempt), attemptRow(attempt))
  if (next.do === 'finish') return complete(visit, { ...returned, attempt })
  await save(visit)
  seeOther(ctx, addressOf(visit))
}

/** Hands a finished sign-in to the engine, in one commit with everything that the request has to write. */
const complete = async (visit: Visit, stage: Stage): Promise<void> => {
  const { ctx, issuer, asked } = visit
  const done = await finish(stage)
  if (!done) {
    await save(visit)
    throw new Problem('expired', { detail: 'This account cannot sign in any more.' })
  }
  const { keyring, clock } = visit.scene.services
  const said = done.said && sealSaid(keyring, done.user.id, done.said, clock.now())
  const learnt = done.learnt && sealLearnt(keyring, done.user.id, done.learnt)
  const destination = await interaction.finish(issuer, ctx, asked, { ...done, said, learnt })
  await save(visit)
  seeOther(ctx, destination)
}

/** Tells the client that this person may not come in, or cannot be known as surely as it is asked (RFC 9470 section 5 has the same answer). */
const giveUp = async (visit: Visit, stage: Stage, step: Step = { do: 'unmet' }): Promise<void> => {
  const { ctx, issuer } = visit
  if (step.do === 'unmet') refuseUnmet(stage)
  const [error, why] =
    step.do === 'unmet'
      ? (['unmet_authentication_requirements', 'the person cannot be known as surely as is asked'] as const)
      : (['access_denied', 'the operator of the service does not let the person in'] as const)
  const destination = await interaction.refuse(issuer, ctx, error, why)
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

const stageOf = async (visit: Visit): Promise<Stage> => {
  const { asked, issuer, scene } = visit
  const { id, expiresAt, attempt: row } = asked
  const begun = beginAttempt({ workspaceId: issuer.workspace.id, id, expiresAt })
  if (!row) return { scene, attempt: pointed(visit, begun), found: undefined, ...(await stepUp(visit, begun)) }
  const attempt = attemptFrom(row)
  const found = attempt.person
    ? await findPerson(scene, attempt.pool ?? '', attempt.person)
    : foundFor(attempt, asked.found)
  return { scene, attempt: stillGood(attempt, found), found }
}

// An attempt that begins on a session of somebody else must not take that person for the one it is about.
const foundFor = ({ identifier }: Attempt, found: users.User | undefined): users.User | undefined =>
  found?.identifiers.some(({ kind, value }) => kind === identifier?.kind && value === identifier?.value)
    ? found
    : undefined

// 303 and nothing else after a form with a password in it (RFC 9700 section 4.12).
const seeOther = (ctx: Context, to: string): void => {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}
