import type { Context } from 'koa'
import { errors, type KoaContextWithOIDC } from '../engine.ts'
import { noteUserCode } from '../refusals.ts'
import type { Feature } from './feature.ts'

/** The device authorization grant (RFC 8628). */
export const device: Feature = ({ workspace, pages }) => ({
  deviceFlow: {
    enabled: true,
    charset: 'base-20',
    mask: '***-***-***',
    deviceInfo: (ctx: Context) => ({ ip: ctx.ip, agent: ctx.get('User-Agent').slice(0, 300), at: Date.now() }),
    userCodeInputSource: async (ctx, form, _out, error) => {
      const outcome = outcomeOf(error)
      if (error) noteUserCode(ctx, error)
      if (!isAnonymous(ctx)) return pages.userCode(ctx, workspace, { ...fieldsOf(form), outcome })
      if (outcome === 'refused') return pages.userCode(ctx, workspace, { ...fieldsOf(form), outcome: 'cancelled' })
      if (outcome === 'cancelled') return pages.userCode(ctx, workspace, { ...fieldsOf(form), outcome })
      ctx.status = 303
      ctx.redirect(ctx.oidc.urlFor('code_verification'))
    },
    // Never drawn: a person confirms after the sign-in, as whoever they are then (see prompts.ts).
    userCodeConfirmSource: (ctx, form) => pages.userCode(ctx, workspace, { ...fieldsOf(form), outcome: undefined }),
    successSource: (ctx) => pages.deviceDone(ctx, workspace),
  },
})

/** Whether this browser has no session that a form could be bound to: what went wrong is told by starting over. */
const isAnonymous = (ctx: KoaContextWithOIDC): boolean =>
  (ctx.method === 'POST' || ctx.oidc.route === 'device_resume') && ctx.oidc.session?.exp === undefined

const fieldsOf = (form: string) => {
  const [, action = '', xsrf = ''] = form.match(/action="([^"]*)"[\s\S]*?name="xsrf" value="([^"]*)"/) ?? []
  return { action, xsrf }
}

const outcomeOf = (error: (Error & { userCode?: string }) | undefined) => {
  if (!error) return undefined
  if (error.name === 'AbortedError') return 'cancelled'
  if (error.userCode !== undefined || error.name === 'NoCodeError' || error instanceof errors.InvalidClient)
    return 'wrong'
  return error instanceof errors.InvalidRequest || error instanceof errors.SessionNotFound ? 'over' : 'refused'
}

/** Whether the engine is at work on a device's code that a person answers. */
export const isForDevice = ({ oidc }: KoaContextWithOIDC): boolean => oidc.deviceCode !== undefined
