import { createHash, createHmac } from 'node:crypto'
import type { Asked } from './double-testing.ts'

/** Whose requests a double of AWS takes. */
export interface Key {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

/** The exception with which AWS turns a request away that is not signed as it should be; undefined where it is. */
export const signatureFault = ({ method, url, headers, body }: Asked, key: Key): string | undefined => {
  const { authorization } = headers
  if (!authorization) return 'MissingAuthenticationTokenException'
  const parts = form.exec(authorization)?.groups
  const { id = '', date = '', region, names = '', signature } = parts ?? {}
  if (!parts) return 'IncompleteSignatureException'
  if (id !== key.accessKeyId) return 'UnrecognizedClientException'
  const signed = names.split(';')
  if (!['host', 'x-amz-date', 'x-amz-target'].every((name) => signed.includes(name)))
    return 'IncompleteSignatureException'
  const time = String(headers['x-amz-date'])
  if (region !== key.region || !time.startsWith(date) || isOld(time)) return 'InvalidSignatureException'
  const lines = signed.map((name) => `${name}:${String(headers[name]).trim()}\n`)
  const canonical = [method, url.pathname, url.search.slice(1), lines.join(''), names, sha256(body)].join('\n')
  const scope = `${date}/${region}/cognito-idp/aws4_request`
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  return hmac(signingKey(key, date), text).toString('hex') === signature ? undefined : 'InvalidSignatureException'
}

const form =
  /^AWS4-HMAC-SHA256 Credential=(?<id>\w{16,128})\/(?<date>\d{8})\/(?<region>[a-z0-9-]+)\/cognito-idp\/aws4_request, SignedHeaders=(?<names>[a-z0-9;-]+), Signature=(?<signature>[0-9a-f]{64})$/

// AWS takes what was signed within five minutes.
const isOld = (time: string): boolean => {
  const [, day, clock] = /^(\d{8})T(\d{6})Z$/.exec(time) ?? []
  if (!day || !clock) return true
  const iso = `${day.replace(/(....)(..)(..)/, '$1-$2-$3')}T${clock.replace(/(..)(..)(..)/, '$1:$2:$3')}Z`
  return Math.abs(Date.now() - Date.parse(iso)) > 300_000
}

const signingKey = ({ secretAccessKey, region }: Key, date: string): Buffer =>
  [date, region, 'cognito-idp', 'aws4_request'].reduce<Buffer>(
    (key, part) => hmac(key, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  )

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
