import type { Context, Next } from 'koa'
import type { Workspace } from '../directory/workspaces.ts'
import { Provider } from './engine.ts'
import type { EnginePages } from './wiring.ts'

/**
 * The code of `verification_uri_complete` (RFC 8628 section 3.3.1) is put in the page's field and nothing more: the person
 * compares it with what the device shows and sends it. The engine would send it by a script.
 */
export const showUserCode = async (ctx: Context, next: Next): Promise<void> => {
  const { user_code: userCode, ...query } = ctx.query
  if (ctx.path === '/device' && ctx.method === 'GET' && userCode !== undefined) {
    if (typeof userCode === 'string') ctx.state.userCode = userCode.slice(0, 40)
    ctx.query = query
  }
  await next()
}

/**
 * After an error the engine writes to a session that may never have been stored, and fails where it was not. There is
 * nothing to store then: the page leads to a new form.
 */
export const leaveNewSessions = ({ Session }: Provider): void => {
  const { prototype } = Session as unknown as { prototype: { exp?: number; persist(): Promise<unknown> } }
  const { persist } = prototype
  prototype.persist = async function () {
    return this.exp === undefined ? undefined : persist.call(this)
  }
}

/** Lets nobody guess user codes (RFC 8628 section 5.1): a code that is one try too many is not looked for. */
export const guardUserCodes = ({ DeviceCode }: Provider, { mayTry }: EnginePages, workspace: Workspace): void => {
  const find = DeviceCode.findByUserCode.bind(DeviceCode)
  DeviceCode.findByUserCode = async (userCode, options) => {
    const { ctx } = Provider
    const length = userCode.length
    if (!ctx || !(await mayTry(ctx, workspace)) || length !== 9) return undefined
    return find(userCode, options)
  }
}
