import { z } from 'zod'
import { passwordField } from '../form.ts'
import { heldOf, type Method } from './method.ts'

const nothing = z.object({})

const saved = z.object({ hash: z.string() })

/** What the person knows; the pool says whether it is right. */
export const password: Method<z.infer<typeof nothing>, z.infer<typeof saved>> = {
  name: 'password',
  amr: 'pwd',
  factors: ['knowledge'],
  guarded: true,
  saved,
  pending: nothing,
  offered: ({ subject }) => subject.is === 'stranger' || heldOf(subject.user, password).length > 0,
  form: (_at, _pending, error) => ({ fields: [passwordField('password', error)], submit: 'button.sign_in' }),
  async verify({ home, subject }, answer) {
    const evidence = await home.checkPassword(subject, answer.password ?? '')
    return evidence ? { ok: true, evidence } : { ok: false, why: 'wrong' }
  },
}
