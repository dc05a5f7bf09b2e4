import { z } from 'zod'
import * as credentials from '../../directory/credentials.ts'
import { codeHash } from '../recovery-codes.ts'
import { heldOf, type Method } from './method.ts'

const saved = z.object({ codes: z.array(z.string()) })
const nothing = z.object({})

/** What stands in for another second factor that is not at hand: credentials of these kinds are none. */
const none = new Set(['password', 'recovery_code', 'device'])

/** One of the codes that were shown once, each good once. Nobody can guess one, so a lock does not close this way in. */
export const recoveryCode: Method<z.infer<typeof nothing>, z.infer<typeof saved>> = {
  name: 'recovery_code',
  amr: 'otp',
  factors: ['possession'],
  guarded: false,
  saved,
  pending: nothing,
  offered: ({ subject }) =>
    subject.is === 'user' &&
    heldOf(subject.user, recoveryCode).some(({ data }) => data.codes.length > 0) &&
    subject.user.credentials.some(({ kind }) => !none.has(kind)),
  form: (_at, _pending, error) => ({
    fields: [
      {
        name: 'code',
        kind: 'text',
        label: { key: 'field.code' },
        required: true,
        autocomplete: 'off',
        maxlength: 64,
        ...(error ? { error } : {}),
      },
    ],
    submit: 'button.sign_in',
  }),

  async verify({ scene, pool, subject }, answer) {
    if (subject.is !== 'user') return { ok: false, why: 'wrong' }
    const { db, clock } = scene.services
    const left = await credentials.useCode(db, clock.now(), pool.id, subject.user.id, codeHash(answer.code ?? ''))
    return left === undefined ? { ok: false, why: 'wrong' } : { ok: true, evidence: {}, left }
  },
}
