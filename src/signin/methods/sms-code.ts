import { hostOf } from '../../directory/outbox.ts'
import type { Subject } from '../pools/pool.ts'
import { sendsTexts, sendsTo } from '../sending.ts'
import { identifiersOf, sentCode } from './sent-code.ts'

/** A code sent to a mobile number that is verified (ASVS 5.0, 6.6.1): whoever only claims a number gets nothing there. */
export const smsCode = sentCode({
  name: 'sms_code',
  amr: 'sms',
  factors: ['possession'],
  channel: 'sms',
  addressOf: (subject) => numberOf(subject),
  offered: ({ scene, pool, subject }) => {
    if (!sendsTexts(scene.services)) return false
    const number = subject.is === 'user' ? numberOf(subject) : typedBy(subject)
    return number === undefined ? subject.is !== 'user' : sendsTo(pool, number)
  },
  note: ({ scene }, to, values) => ({ to, channel: 'sms', template: 'code', host: hostOf(scene.services), values }),
})

const typedBy = ({ identifier }: Subject) => (identifier.kind === 'mobile' ? identifier.value : undefined)

/** The number typed, else the first of the account; only a verified one. */
const numberOf = (subject: Subject): string | undefined => {
  const verified = identifiersOf(subject).filter((one) => one.kind === 'mobile' && one.verified)
  const typed = typedBy(subject)
  return verified.find(({ value }) => typed === undefined || value === typed)?.value
}
