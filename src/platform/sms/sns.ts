import { checkTaken, type Provider, timeoutMs } from './provider.ts'
import { signRequest } from './sigv4.ts'

/** Amazon SNS, by its Publish action; `?sender=` names the sender where a country shows one. */
export const sns: Provider = {
  protocols: ['sns:'],
  form: 'sns://ACCESS_KEY:SECRET_KEY@REGION (characters like / of the secret percent-encoded)',
  read(url) {
    const accessKey = decodeURIComponent(url.username)
    const secretKey = decodeURIComponent(url.password)
    const region = url.hostname
    if (!accessKey || !secretKey || !/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)) return undefined
    const api =
      url.searchParams.get('api') ?? `https://sns.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
    if (!URL.canParse(api)) return undefined
    const sender = url.searchParams.get('sender')
    return ({ fetch, now }) =>
      async ({ to, text }) => {
        const body = new URLSearchParams({
          Action: 'Publish',
          Version: '2010-03-31',
          PhoneNumber: to,
          Message: text,
          ...attribute(1, 'AWS.SNS.SMS.SMSType', 'Transactional'),
          ...(sender ? attribute(2, 'AWS.SNS.SMS.SenderID', sender) : {}),
        }).toString()
        const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
        const request = { method: 'POST', url: new URL('/', api), headers, body }
        const signed = signRequest(request, { accessKey, secretKey, region, service: 'sns' }, now())
        const reply = await fetch(request.url.href, { method: 'POST', headers: signed, body, timeoutMs })
        // SNS says "slow down" as a 400.
        if (reply.status === 400 && /<Code>Throttl/.test(reply.text())) throw new Error('Amazon SNS is throttling')
        checkTaken('Amazon SNS', reply.status)
      }
  },
}

const attribute = (n: number, name: string, value: string): Record<string, string> => ({
  [`MessageAttributes.entry.${n}.Name`]: name,
  [`MessageAttributes.entry.${n}.Value.DataType`]: 'String',
  [`MessageAttributes.entry.${n}.Value.StringValue`]: value,
})
