import { z } from 'zod'
import { passwordField } from '../form.ts'
import type { Method } from './method.ts'

const nothing = z.object({})

/** What the person knows; the pool says whether it is right. */
export const password: Method<z.infer<typeof nothing>> = {
  name: 'password',
  amr: 'pwd',
  factors: ['knowledge'],
  guarded: true,
  pending: nothing,
  form: (_at, _pending, error) => ({ fields: [passwordField('password', error)], submit: 'button.sign_in' }),
  async verify({ home, subject }, answer) {
    const evidence = await home.checkPassword(subject, answer.password ?? '')
    return evidence ? { ok: true, evidence } : { ok: false, why: 'wrong' }
  },
}
