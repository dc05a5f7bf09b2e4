import type { Context } from 'koa'
import type { Services } from '../services.ts'
import type { Cookies } from '../signin/scene.ts'

/** The cookies of a browser that only this program reads. */
export const cookiesOf = (ctx: Context, { config }: Pick<Services, 'config'>): Cookies => ({
  get: (name) => ctx.cookies.get(name, { signed: false }),
  set: (name, value, expires) => {
    const secure = config.publicUrl.startsWith('https:')
    ctx.cookies.set(name, value, { expires, httpOnly: true, sameSite: 'lax', secure, overwrite: true, signed: false })
  },
})
