import type { Transporter } from 'nodemailer'
import type { Fetch } from './fetch.ts'
import { openTexts } from './sms/index.ts'

/** A message as its reader will see it; `code` and `link` say again what the texts hold. */
export interface Message {
  to: string
  channel: 'email' | 'sms'
  subject: string
  text: string
  html: string
  code?: string
  link?: string
}

export interface Messages {
  /** Rejects where the message could not be handed on; with `Undeliverable` where trying again later is of no use. */
  deliver(message: Message): Promise<void>
}

/**
 * Sends mail by SMTP, and text messages by whoever SMS_URL names. The inbox of development gets what was sent, and is
 * enough on its own where nothing is set for a channel.
 */
export const openMessages = ({
  smtpUrl,
  mailFrom,
  smsUrl,
  fetch,
  inbox,
  now = () => new Date(),
}: {
  smtpUrl?: string
  mailFrom: string
  smsUrl?: string
  fetch: Fetch
  inbox?: (message: Message) => Promise<void>
  now?(): Date
}): Messages => {
  const senders: Record<Message['channel'], Send | undefined> = {
    email: smtpUrl ? mailer(smtpUrl, mailFrom) : undefined,
    sms: smsUrl ? texter(smsUrl, fetch, now) : undefined,
  }
  return {
    async deliver(message) {
      if (message.channel === 'email') checkMail(message)
      const send = senders[message.channel]
      if (!send && !inbox) throw new Error(`Nothing is set up to send by ${message.channel}`)
      await send?.(message)
      await inbox?.(message)
    },
  }
}

/** Connects to a mail server and signs in to it, sending nothing. Rejects with what the server or the network said. */
export const tryMailServer = async (url: string): Promise<void> => {
  const transport = await openTransport(url)
  try {
    await transport.verify()
  } finally {
    transport.close()
  }
}

type Send = (message: Message) => Promise<void>

/** Milliseconds; parameters of SMTP_URL go before them. */
const timeouts = { dnsTimeout: 5_000, connectionTimeout: 5_000, greetingTimeout: 5_000, socketTimeout: 10_000 }

const mailer = (url: string, from: string): Send => {
  let transport: Promise<Transporter> | undefined
  return async ({ to, subject, text, html }) => {
    transport ??= openTransport(url)
    await (await transport).sendMail({
      from,
      to: { name: '', address: to },
      subject,
      text,
      html,
      // RFC 3834 section 5: away-messages must not answer this one.
      headers: { 'Auto-Submitted': 'auto-generated' },
      disableFileAccess: true,
      disableUrlAccess: true,
    })
  }
}

const openTransport = async (url: string): Promise<Transporter> => {
  const { createTransport } = await import('nodemailer')
  return createTransport({ ...timeouts, url })
}

const texter = (url: string, fetch: Fetch, now: () => Date): Send => {
  const send = openTexts(url)?.({ fetch, now })
  if (!send) throw new Error('SMS_URL names nobody who sends text messages')
  return ({ to, text }) => send({ to, text })
}

// One address and nothing else: a line break adds a header, a comma a second reader, a bracket hides the real one.
const oneAddress = /^[^\s\p{C}@<>()[\]\\,;:"]+@[^\s\p{C}@<>()[\]\\,;:"]+$/u

const checkMail = ({ to, subject }: Message): void => {
  if (!oneAddress.test(to)) throw new Error('A mail must go to one address')
  if (/\p{Cc}/u.test(subject)) throw new Error("A mail's subject must be one line")
}
