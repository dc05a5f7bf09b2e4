import { z } from 'zod'
import { issuerOf } from '../../directory/address.ts'
import { post } from '../../directory/outbox.ts'
import * as challenges from '../challenges.ts'
import { codeField } from '../form.ts'
import { allow } from '../sending.ts'
import type { Asking, Method } from './method.ts'
import { boundTo, mailboxOf, minutesOf, readBy, userOf } from './sent-code.ts'

const sent = z.object({ challenge: z.string() })

/**
 * A link sent to the person's email address. It proves nothing by being opened: in the browser that began, its page asks
 * for one click; in any other it shows a code to be entered there. So only that browser is ever signed in, and no
 * scanner of mails uses anything up (docs/decisions/007-magic-links.md).
 */
export const magicLink: Method<z.infer<typeof sent>, never> = {
  name: 'magic_link',
  amr: 'otp',
  factors: ['mailbox'],
  guarded: false,
  saved: z.never(),
  pending: sent,
  offered: ({ subject }) => subject.is !== 'user' || mailboxOf(subject) !== undefined,

  async challenge(at) {
    const { scene, pool, subject, attempt } = at
    const { services, workspace } = scene
    const userId = userOf(at)?.id
    const wanted = { channel: 'email', asked: subject.identifier.value, to: mailboxOf(subject), userId } as const
    const allowed = await allow(scene, pool, wanted)
    if (!allowed) return undefined
    return services.db.transaction().execute(async (trx) => {
      const data = { workspace: workspace.id, attempt: attempt.id, identifier: subject.identifier.typed }
      const made = { purpose: 'link', boundTo: bindingOf(at), userId, data, link: 'with its code' } as const
      const { id, token } = await challenges.issue(trx, services, pool, made)
      const link = `${issuerOf(services.config, workspace)}/verify/${token}`
      const values = { link, minutes: minutesOf(pool) }
      const { to } = allowed
      await post(trx, scene, to === undefined ? undefined : { to, channel: 'email', template: 'magic-link', values })
      return { challenge: id }
    })
  },

  form: ({ pool }, _pending, error) => ({
    fields: [{ ...codeField(pool.settings.code_policy.length, error), hint: { key: 'prove.link.other' } }],
    submit: 'button.continue',
  }),

  async verify(at, answer, { challenge }) {
    const { services } = at.scene
    const asked = { id: challenge, purpose: 'link', boundTo: bindingOf(at) } as const
    const { is } =
      answer.token === undefined
        ? await challenges.answer(services.db, services, at.pool.id, { ...asked, code: answer.code ?? '' })
        : await challenges.answerByLink(services.db, services, at.pool.id, { ...asked, token: answer.token })
    if (is !== 'right') return { ok: false, why: is === 'wrong' ? 'wrong' : 'expired' }
    return readBy(at, mailboxOf(at.subject))
  },
}

const bindingOf = (at: Asking) => boundTo(at, { name: magicLink.name, addressOf: mailboxOf })
