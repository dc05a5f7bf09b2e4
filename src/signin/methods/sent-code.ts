import { z } from 'zod'
import { type IdentifierKind, readIdentifier } from '../../directory/identifiers.ts'
import { type Note, post } from '../../directory/outbox.ts'
import type { Pool } from '../../directory/pools.ts'
import * as users from '../../directory/users.ts'
import * as challenges from '../challenges.ts'
import { codeField } from '../form.ts'
import type { Outsider } from '../outsider.ts'
import type { Subject } from '../pools/pool.ts'
import { allow } from '../sending.ts'
import type { Asking, Method, Verdict } from './method.ts'

const sent = z.object({ challenge: z.string() })

/** What differs between the ways a code can take; everything else is in `sentCode`. */
interface Route {
  name: string
  amr: string
  factors: Method['factors']
  channel: Note['channel']
  /** Where the code goes: undefined where it can go nowhere, and always for a stranger. */
  addressOf(subject: Subject): string | undefined
  offered: Method['offered']
  /** The message, given what is in it. */
  note(at: Asking, to: string, values: { code: string; minutes: number }): Note
}

/** A code that is sent to somebody, and proves that they read what is sent there. A stranger waits for one that never comes. */
export const sentCode = (route: Route): Method<z.infer<typeof sent>, never> => ({
  name: route.name,
  amr: route.amr,
  factors: route.factors,
  guarded: false,
  saved: z.never(),
  pending: sent,
  offered: route.offered,

  async challenge(at) {
    const { scene, pool, subject } = at
    const userId = userOf(at)?.id
    const asked = subject.identifier.value
    const allowed = await allow(scene, pool, { channel: route.channel, asked, to: route.addressOf(subject), userId })
    if (!allowed) return undefined
    return scene.services.db.transaction().execute(async (trx) => {
      const wanted = { purpose: 'sign_in', boundTo: boundTo(at, route), userId } as const
      const { id, code } = await challenges.issue(trx, scene.services, pool, wanted)
      const { to } = allowed
      await post(trx, scene, to === undefined ? undefined : route.note(at, to, { code, minutes: minutesOf(pool) }))
      return { challenge: id }
    })
  },

  form: ({ pool }, _pending, error) => ({
    fields: [codeField(pool.settings.code_policy.length, error)],
    submit: 'button.sign_in',
  }),

  async verify(at, answer, { challenge }) {
    const { services } = at.scene
    const tried = { id: challenge, purpose: 'sign_in', boundTo: boundTo(at, route), code: answer.code ?? '' } as const
    const { is } = await challenges.answer(services.db, services, at.pool.id, tried)
    if (is !== 'right') return { ok: false, why: is === 'wrong' ? 'wrong' : 'expired' }
    return readBy(at, route.addressOf(at.subject))
  },
})

/** What it proves that somebody read what was sent to an address: a stranger never did, whatever was typed. */
export const readBy = async (at: Asking, address: string | undefined): Promise<Verdict> => {
  const { subject } = at
  if (subject.is === 'stranger' || address === undefined) return { ok: false, why: 'expired' }
  if (subject.is === 'guest')
    return { ok: true, evidence: { arrival: { outsider: subject.outsider, proven: address } } }
  await keepProven(at, address)
  return { ok: true, evidence: {} }
}

/** The address is the person's own: they read what was sent there. */
const keepProven = async ({ scene, pool, subject }: Asking, address: string | undefined): Promise<void> => {
  const known = subject.is === 'user' && subject.user.identifiers.find(({ value }) => value === address)
  const { db, clock } = scene.services
  if (known && !known.verified) await users.verifyIdentifier(db, clock.now(), pool.id, known)
}

/** Everything that a code or a link is only good for together (security.md 28). */
export const boundTo = (at: Asking, { name, addressOf }: Pick<Route, 'name' | 'addressOf'>): (string | undefined)[] => [
  name,
  userOf(at)?.id,
  at.subject.identifier.value,
  addressOf(at.subject),
  at.attempt.id,
  at.scene.client?.id,
]

export const userOf = ({ subject }: Pick<Asking, 'subject'>) => (subject.is === 'user' ? subject.user : undefined)

/** How long a code of a pool lasts. */
export const minutesOf = ({ settings }: Pool): number => Math.round(settings.code_policy.lifetime_seconds / 60)

/**
 * Where a mail for somebody goes: to the address that they typed, else the first verified one of the account. An address
 * that nobody has proven may be somebody else's: it opens an account only where nothing else of it is proven either.
 */
export const mailboxOf = (subject: Subject): string | undefined => {
  const known = identifiersOf(subject)
  const { identifier } = subject
  const mails = known.filter(({ kind }) => kind === 'email')
  if (identifier.kind !== 'email') return mails.find(({ verified }) => verified)?.value
  const typed = mails.find(({ value }) => value === identifier.value)
  const settled = known.some(({ kind, verified }) => kind !== 'username' && verified)
  return typed && (typed.verified || !settled) ? typed.value : undefined
}

/** What somebody goes by, here or at the pool's source, in its canonical form; nothing of a stranger. */
export const identifiersOf = (subject: Subject): { kind: IdentifierKind; value: string; verified: boolean }[] => {
  if (subject.is === 'user') return subject.user.identifiers
  return subject.is === 'guest' ? told(subject.outsider) : []
}

/** What somebody goes by at the source, in its canonical form. */
export const told = ({ identifiers }: Outsider) =>
  identifiers.flatMap(({ kind, typed, verified }) => {
    const read = readIdentifier(typed, [kind])
    return read ? [{ kind, value: read.value, verified }] : []
  })
