import type { Context } from 'koa'
import { z } from 'zod'
import { freshMs, reaches } from '../../directory/acr.ts'
import { pathOf } from '../../directory/address.ts'
import { findSession, signInAddress } from '../../oidc/account-session.ts'
import type { Issuer } from '../../oidc/providers.ts'
import { Problem } from '../../platform/problem.ts'
import type { Words } from '../../platform/words.ts'
import { strongestOf } from '../../signin/strongest.ts'
import type { Desk } from '../page.ts'
import type { AccountVisit } from './visit.ts'

/** Where to go on, once somebody is signed in; `proof` where somebody was asked to prove again who they are. */
const begun = z.object({ to: z.string().regex(/^(\/[\w~.-]+){0,3}$/), proof: z.string().optional() })

/** Whether somebody has just proven who they are, as surely as they can. */
export const isFresh = ({ session, scene, pool, user, at }: AccountVisit): boolean =>
  at.getTime() - session.provedAt.getTime() < freshMs && reaches(session.acr, strongestOf(scene, pool, user))

/** Sends a browser to prove again who sits at it, and back to the page that it asked for. */
export const askForProof = (visit: AccountVisit, to: string): void => {
  const { ctx, desk, issuer, words, user, scene, pool } = visit
  const email = user.identifiers.find(({ kind }) => kind === 'email') ?? user.identifiers[0]
  const proof = { acr: strongestOf(scene, pool, user), hint: email?.typed }
  const state = sealed(desk, issuer, { to, proof: user.id })
  leave(ctx, signInAddress(desk.services.config, issuer.workspace, { state, lang: words.lang, proof }))
}

/** Sends a browser in which nobody is signed in to the sign-in, and back to the page that it asked for. */
export const askToSignIn = (ctx: Context, desk: Desk, issuer: Issuer, words: Words, to: string): void => {
  const state = sealed(desk, issuer, { to })
  leave(ctx, signInAddress(desk.services.config, issuer.workspace, { state, lang: words.lang }))
}

/**
 * Takes a browser back from the sign-in. Nothing that the address says lets anybody in: the session does, and only the
 * browser that signed in has it. Throws where there still is none, or the proof was not given, so that nobody goes in
 * circles.
 */
export const comeBack = async (ctx: Context, desk: Desk, issuer: Issuer): Promise<void> => {
  const { to, proof } = opened(desk, issuer, ctx.query.state)
  if (ctx.query.error !== undefined) throw new Problem('forbidden', { key: 'account_unproven' })
  const session = await findSession(issuer, ctx)
  if (!session) throw new Problem('expired')
  const age = desk.services.clock.now().getTime() - session.provedAt.getTime()
  if (proof !== undefined && age >= freshMs) throw new Problem('forbidden', { key: 'account_unproven' })
  // Somebody else signed in: what the one before was about to do is not theirs to go on with.
  const same = proof === undefined || proof === session.userId
  leave(ctx, `${pathOf(issuer.workspace)}/account${same ? to : ''}`)
}

const leave = (ctx: Context, to: string): void => {
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}

const sealed = ({ services }: Desk, { workspace }: Issuer, state: z.infer<typeof begun>): string =>
  services.keyring.seal(JSON.stringify(state), `account ${workspace.id}`)

const opened = ({ services }: Desk, { workspace }: Issuer, state: unknown): z.infer<typeof begun> => {
  try {
    return begun.parse(JSON.parse(services.keyring.open(String(state ?? ''), `account ${workspace.id}`)))
  } catch (cause) {
    throw new Problem('expired', { cause })
  }
}
