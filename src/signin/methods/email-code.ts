import { z } from 'zod'
import { post } from '../../directory/outbox.ts'
import * as users from '../../directory/users.ts'
import * as challenges from '../challenges.ts'
import { codeField } from '../form.ts'
import type { Subject } from '../pools/pool.ts'
import { maySend } from '../sending.ts'
import type { Asking, Method } from './method.ts'

const sent = z.object({ challenge: z.string() })

/** A code sent to the person's email address. A stranger waits for one that never comes. */
export const emailCode: Method<z.infer<typeof sent>> = {
  name: 'email_code',
  amr: 'otp',
  factors: ['possession'],
  guarded: false,
  pending: sent,

  async challenge(at) {
    const { scene, pool, subject } = at
    const { services } = scene
    const to = addressOf(subject)
    if (!(await maySend(scene, pool, to ?? subject.identifier.value))) return undefined
    return services.db.transaction().execute(async (trx) => {
      const userId = subject.is === 'user' ? subject.user.id : undefined
      const { id, code } = await challenges.issue(trx, services, pool, {
        purpose: 'sign_in',
        boundTo: boundTo(at),
        userId,
      })
      const minutes = Math.round(pool.settings.code_policy.lifetime_seconds / 60)
      await post(trx, scene, to ? { to, channel: 'email', template: 'code', values: { code, minutes } } : undefined)
      return { challenge: id }
    })
  },

  form: ({ pool }, _pending, error) => ({
    fields: [codeField(pool.settings.code_policy.length, error)],
    submit: 'button.sign_in',
  }),

  async verify(at, answer, { challenge }) {
    const { services } = at.scene
    const { pool, subject } = at
    const code = answer.code ?? ''
    const tried = { id: challenge, purpose: 'sign_in', boundTo: boundTo(at), code } as const
    const { is } = await challenges.answer(services.db, services, pool.id, tried)
    if (is !== 'right' || subject.is !== 'user') return { ok: false, why: is === 'wrong' ? 'wrong' : 'expired' }
    const address = subject.user.identifiers.find(({ value }) => value === addressOf(subject))
    if (address && !address.verified) await users.verifyIdentifier(services.db, services.clock.now(), pool.id, address)
    return { ok: true, evidence: {} }
  },
}

/** Where the code goes: the address typed, else the first verified one of the account. */
const addressOf = (subject: Subject): string | undefined => {
  if (subject.is !== 'user') return undefined
  if (subject.identifier.kind === 'email') return subject.identifier.value
  return subject.user.identifiers.find(({ kind, verified }) => kind === 'email' && verified)?.value
}

const boundTo = ({ scene, attempt, subject }: Asking) => [
  subject.is === 'user' ? subject.user.id : undefined,
  subject.identifier.value,
  attempt.id,
  scene.client?.id,
]
