import { createHmac, hash } from 'node:crypto'

interface Request {
  method: string
  url: URL
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

interface Signer {
  accessKey: string
  secretKey: string
  region: string
  service: string
}

/** The headers of a request, but `host`, with its signature among them (AWS Signature Version 4). */
export const signRequest = (request: Request, signer: Signer, at: Date): Record<string, string> => {
  const time = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const headers = { ...request.headers, 'x-amz-date': time }
  const signedHeaders = { ...headers, host: request.url.host }
  const names = Object.keys(signedHeaders).sort().join(';')
  const scope = `${time.slice(0, 8)}/${signer.region}/${signer.service}/aws4_request`
  const told = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical(request, signedHeaders, names))].join('\n')
  const signature = hmac(keyOf(signer, time.slice(0, 8)), told).toString('hex')
  const credential = `Credential=${signer.accessKey}/${scope}`
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${signature}`,
  }
}

const canonical = ({ method, url, body }: Request, headers: Record<string, string>, names: string): string => {
  const lines = names.split(';').map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`)
  return [method, url.pathname, queryOf(url), lines.join(''), names, sha256(body)].join('\n')
}

const queryOf = (url: URL): string =>
  [...url.searchParams]
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join('&')

const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

const keyOf = ({ secretKey, region, service }: Signer, day: string): Buffer =>
  [day, region, service, 'aws4_request'].reduce<Buffer>(hmac, Buffer.from(`AWS4${secretKey}`))

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const sha256 = (text: string): string => hash('sha256', text, 'hex')
