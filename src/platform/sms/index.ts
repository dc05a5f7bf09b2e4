import type { Provider, SendText, Tools } from './provider.ts'
import { sns } from './sns.ts'
import { twilio } from './twilio.ts'
import { webhook } from './webhook.ts'

/** Everybody who sends text messages, as SMS_URL names them. */
const providers: readonly Provider[] = [webhook, twilio, sns]

/** Opens whoever SMS_URL names; undefined where it names nobody, or something is missing from it. */
export const openTexts = (address: string): ((tools: Tools) => SendText) | undefined => {
  const url = URL.parse(address)
  const provider = url && providers.find(({ protocols }) => protocols.includes(url.protocol))
  try {
    return url ? provider?.read(url) : undefined
  } catch {
    // A percent sign that encodes nothing.
    return undefined
  }
}

/** What SMS_URL may look like, for whoever has to correct it. */
export const forms: readonly string[] = providers.map(({ form }) => form)
