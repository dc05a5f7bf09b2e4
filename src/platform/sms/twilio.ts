import { checkTaken, type Provider, timeoutMs } from './provider.ts'

/** Twilio's Programmable Messaging, or a server that speaks its language where the address names one. */
export const twilio: Provider = {
  protocols: ['twilio:'],
  form: 'twilio://ACCOUNT_SID:AUTH_TOKEN@FROM (a number, a sender name or a messaging service, MG…)',
  read(url) {
    const account = decodeURIComponent(url.username)
    const token = decodeURIComponent(url.password)
    const from = decodeURIComponent(url.hostname)
    if (!account || !token || !isSender(from)) return undefined
    const base = url.searchParams.get('api') ?? 'https://api.twilio.com'
    if (!URL.canParse(base)) return undefined
    const target = new URL(`/2010-04-01/Accounts/${encodeURIComponent(account)}/Messages.json`, base).href
    const authorization = `Basic ${Buffer.from(`${account}:${token}`).toString('base64')}`
    return ({ fetch }) =>
      async (message) => {
        const sender = /^MG[0-9a-f]{32}$/i.test(from) ? 'MessagingServiceSid' : 'From'
        const body = new URLSearchParams({ To: message.to, Body: message.text, [sender]: from }).toString()
        const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
        const { status } = await fetch(target, { method: 'POST', headers, body, timeoutMs })
        checkTaken('Twilio', status)
      }
  },
}

/** A number in E.164, a short code, a sender of up to 11 letters and digits, or a messaging service. */
const isSender = (from: string): boolean =>
  /^\+?[1-9]\d{2,14}$/.test(from) || /^(?=.*[a-z])[a-z0-9 ]{1,11}$/i.test(from) || /^MG[0-9a-f]{32}$/i.test(from)
