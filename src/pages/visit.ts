import type { Context } from 'koa'
import { pathOf } from '../directory/address.ts'
import type * as interaction from '../oidc/interaction.ts'
import type { Issuer } from '../oidc/providers.ts'
import type { Words } from '../platform/words.ts'
import type { Attempt } from '../signin/attempt.ts'
import type { Scene } from '../signin/scene.ts'
import type { View } from '../signin/step.ts'
import type { Desk } from './page.ts'

/** One visit of a browser to its sign-in. */
export interface Visit {
  ctx: Context
  desk: Desk
  issuer: Issuer
  asked: interaction.Interaction
  words: Words
  scene: Scene
}

/** Where a visit's pages are; with a view, the one that a link asks to see. */
export const addressOf = ({ issuer, asked }: Visit, view?: View): string =>
  `${pathOf(issuer.workspace)}/signin/${asked.uid}${view ? `?view=${view}` : ''}`

/** What a page asks and of whom: an answer is taken for nothing else where another tab went on meanwhile. */
export const asksOf = (attempt: Attempt): string => {
  const { identifier, registration, recovery, method, proofs, enrolment, codes, codesLeft, script, application } =
    attempt
  return JSON.stringify([
    registration?.identifier.value,
    recovery?.identifier.value,
    identifier?.value,
    method,
    ...proofs.map((proof) => proof.method),
    ...(enrolment ? [`enrol ${enrolment.method}`] : []),
    ...(codes !== undefined || codesLeft !== undefined ? ['recovery codes'] : []),
    ...(script ? [`script ${script.is}`] : []),
    ...(application ? [`application ${application.is}`] : []),
  ])
}

const views = new Set<string>([
  'identify',
  'register',
  'another',
  'recover',
  'choose',
  'departing',
  'depart',
] satisfies View[])
/** The view that is drawn first where a request asks for a new account (Initiating User Registration 1.0). */
export const firstViewOf = ({ asked }: Visit, { identifier, registration }: Attempt): View | undefined =>
  asked.prompt.name === 'create' && !identifier && !registration ? 'register' : undefined

/** The view that the address asks for, if it is one. */
export const viewOf = (ctx: Context): View | undefined => {
  const view = ctx.query.view
  return typeof view === 'string' && views.has(view) ? (view as View) : undefined
}
