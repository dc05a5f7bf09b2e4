import type { Context } from 'koa'
import type { Workspace } from '../directory/workspaces.ts'
import type { AskingUserCode, EnginePages } from '../oidc/wiring.ts'
import { networkOf } from '../platform/network.ts'
import { addressKey, type Counter, take } from '../signin/limits.ts'
import { type Desk, drawForm, show, wordsOf } from './page.ts'

/** The pages of the device authorization grant: where a code is typed, and what became of it. */
export const devicePages = (desk: Desk): Pick<EnginePages, 'userCode' | 'deviceDone' | 'mayTry'> => ({
  async userCode(ctx, workspace, { action, xsrf, outcome }) {
    const words = wordsOf(ctx, ctx.query.ui_locales, workspace)
    if (outcome === 'cancelled') {
      show(ctx, desk, { workspace, words }, 'device/cancelled', {})
      return
    }
    const typed = ctx.state.userCode ?? ctx.oidc.params?.user_code
    const field = {
      name: 'user_code',
      kind: 'code',
      label: { key: 'device.code' },
      hint: { key: 'device.hint' },
      required: true,
      autocomplete: 'off',
      inputmode: 'text',
      ...(typeof typed === 'string' ? { value: typed.slice(0, 40) } : {}),
    } as const
    const form = drawForm(
      { fields: [field], submit: 'button.continue' },
      {
        words,
        services: desk.services,
        action,
        boundTo: '',
        alert: outcome && { key: alerts[outcome] },
        hidden: [
          { name: 'xsrf', value: xsrf },
          { name: 'confirm', value: 'yes' },
        ],
      },
    )
    show(ctx, desk, { workspace, words }, 'device/code', { form: { ...form, csrf: '' } })
  },

  async deviceDone(ctx, workspace) {
    const words = wordsOf(ctx, ctx.oidc.params?.ui_locales, workspace)
    show(ctx, desk, { workspace, words }, 'device/done', { client: ctx.oidc.client?.clientName ?? '' })
  },

  async mayTry(ctx, workspace) {
    const { db, clock } = desk.services
    // One after the other: what is refused to one address is not taken from all.
    if (!(await take(db, clock.now(), countersOf(ctx, workspace)))) return false
    return take(db, clock.now(), [{ kind: 'user codes', scope: workspace.id, who: 'all' }])
  },
})

const alerts: Record<Exclude<AskingUserCode['outcome'], 'cancelled' | undefined>, string> = {
  wrong: 'device.wrong',
  over: 'problem.form_expired.detail',
  refused: 'device.refused',
}

const countersOf = ({ ip }: Context, { id: scope }: Workspace): Counter[] => {
  const network = networkOf(ip)
  return [
    { kind: 'user codes of address', scope, who: addressKey(ip) },
    ...(network === undefined ? [] : [{ kind: 'user codes of network', scope, who: network } as const]),
  ]
}
