import type { Context } from 'koa'
import { z } from 'zod'
import { pathOf } from '../directory/address.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Issuer } from '../oidc/providers.ts'
import { Problem } from '../platform/problem.ts'
import { sha256 } from '../platform/secrets.ts'
import { attemptFrom } from '../signin/attempt.ts'
import * as challenges from '../signin/challenges.ts'
import { openConnections } from '../signin/scene.ts'
import { begunHere } from './began.ts'
import { type Desk, drawForm, formActionOf, show, wordsOf } from './page.ts'
import { asksOf } from './visit.ts'

const told = z.object({ workspace: z.string(), attempt: z.string(), identifier: z.string() })
const waiting = z.object({ challenge: z.string() })

/**
 * What a link of a sign-in leads to; looking uses nothing up, and nothing can be sent here. In the browser that began,
 * it is the last click of the sign-in; anywhere else, the code that goes with the link.
 */
export const verify =
  (desk: Desk) =>
  async (ctx: Context, { workspace }: Issuer, token: string): Promise<void> => {
    const { db } = desk.services
    const found = await challenges.findByToken(db, desk.services, 'link', token)
    const { data } = told.safeParse(found?.data)
    const pools = openConnections({ workspace, client: undefined }).map(({ pool }) => pool)
    const pool = pools.find(({ id }) => id === found?.poolId)
    if (!found || !pool || data?.workspace !== workspace.id) throw new Problem('expired', { key: 'link_over' })
    const words = wordsOf(ctx, ctx.query.ui_locales, workspace)
    const uid = begunHere(ctx, desk).find((one) => sha256(one) === data.attempt)
    const begun = uid === undefined ? undefined : await findWaiting(desk, workspace, data.attempt, found.id)
    const showing = { workspace, words, secretAddress: true }
    if (uid === undefined || !begun) {
      const code = challenges.codeOfToken(token, pool.settings.code_policy.length)
      return show(ctx, desk, showing, 'verify/code', { code })
    }
    const form = drawForm(
      { fields: [], submit: 'button.continue' },
      {
        words,
        services: desk.services,
        action: `${pathOf(workspace)}/signin/${uid}`,
        boundTo: uid,
        hidden: [
          { name: 'asks', value: begun.asks },
          { name: 'token', value: token },
        ],
      },
    )
    const values = { service: workspace.name, address: data.identifier, form }
    show(ctx, desk, { ...showing, formAction: begun.formAction }, 'verify/continue', values)
  }

/** The sign-in that waits for this very link, and may yet go on. */
const findWaiting = async ({ services }: Desk, workspace: Workspace, id: string, challenge: string) => {
  const loaded = await services.hot.loadInteraction(workspace.id, id)
  if (!loaded?.attempt || loaded.expiresAt <= services.clock.now()) return undefined
  const attempt = attemptFrom(loaded.attempt)
  if (waiting.safeParse(attempt.pending).data?.challenge !== challenge) return undefined
  const { redirect_uri: uri } = (loaded.payload.params ?? {}) as Record<string, unknown>
  return { asks: asksOf(attempt), formAction: formActionOf(uri) }
}
