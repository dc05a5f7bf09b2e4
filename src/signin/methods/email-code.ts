import { mailboxOf, sentCode } from './sent-code.ts'

/** A code sent to the person's email address. */
export const emailCode = sentCode({
  name: 'email_code',
  amr: 'otp',
  factors: ['mailbox'],
  channel: 'email',
  addressOf: mailboxOf,
  offered: ({ subject }) => subject.is !== 'user' || mailboxOf(subject) !== undefined,
  note: (_at, to, values) => ({ to, channel: 'email', template: 'code', values }),
})
