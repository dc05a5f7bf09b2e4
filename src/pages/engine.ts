import type { KoaContextWithOIDC } from '../oidc/engine.ts'
import type { EnginePages } from '../oidc/wiring.ts'
import { devicePages } from './device.ts'
import { type Desk, formActionOf, show, wordsOf } from './page.ts'
import { engineProblem } from './problems.ts'
import { publicRequests } from './public-requests.ts'
import { registrationLimits } from './registration-limits.ts'

/** The pages that the engine shows by itself, in the workspace's looks. */
export const enginePages = (desk: Desk): EnginePages => ({
  ...devicePages(desk),
  ...registrationLimits(desk.services),
  ...publicRequests(desk.services),

  async problem(ctx, workspace, error) {
    engineProblem(ctx, desk, workspace, error)
  },

  async logout(ctx, workspace, { action, xsrf }) {
    const words = wordsOf(ctx, ctx.oidc.params?.ui_locales, workspace)
    const form = { action, csrf: '', hidden: [{ name: 'xsrf', value: xsrf }], fields: [], submit: 'button.sign_out' }
    // The confirmation leads to the client's address in the end, and browsers check that on the way.
    const to = ctx.oidc.params?.post_logout_redirect_uri
    const formAction = typeof to === 'string' && URL.canParse(to) ? [new URL(to).origin] : []
    show(ctx, desk, { workspace, words, formAction }, 'logout', { form })
  },

  async formPost(ctx, workspace, { action, fields }) {
    const words = wordsOf(ctx, (ctx as KoaContextWithOIDC).oidc?.params?.ui_locales, workspace)
    const { status } = ctx
    const showing = { workspace, words, formAction: formActionOf(action), secretAddress: true }
    show(ctx, desk, showing, 'formpost', { action, fields })
    ctx.status = status
  },

  async loggedOut(ctx, workspace) {
    show(ctx, desk, { workspace, words: wordsOf(ctx, ctx.query.ui_locales, workspace) }, 'loggedout', {})
  },
})
