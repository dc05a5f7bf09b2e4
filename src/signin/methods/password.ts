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
  // Whose password is still their source's to know holds none here.
  offered: ({ subject }) =>
    subject.is !== 'user' || subject.user.authority === 'linked' || heldOf(subject.user, password).length > 0,
  form: (_at, _pending, error) => ({ fields: [passwordField('password', error)], submit: 'button.sign_in' }),
  async verify({ home, subject, scene }, answer) {
    const checked = await home.checkPassword(subject, answer.password ?? '', scene.ip)
    if (checked.is === 'right') return { ok: true, evidence: checked.evidence }
    return { ok: false, why: checked.is === 'closed' ? checked.why : 'wrong' }
  },
}
