import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { signDigest, signRaw } from './kms-signing-testing.ts'
import { signRequest } from './sms/sigv4.ts'

/** How a double misbehaves: it answers after ten seconds, hangs up, is broken, has too much to do, or says nothing that can be read. */
export type KmsFault = 'slow' | 'gone' | 'error' | 'throttled' | 'html'

/** AWS KMS on loopback: checks what is asked of it as AWS does, and keeps its private keys to itself. */
export interface KmsDouble {
  /** KMS_URL that leads here. */
  address: string
  /** Makes a key of a kind and answers its ARN. */
  make(spec: string): string
  /** Lets an alias stand for a key from now on; answers the alias. */
  alias(name: string, arn: string): string
  /** From now on an action on a key is answered by an exception; `undefined`: as it should be. */
  refuse(arn: string, action: 'GetPublicKey' | 'Sign', exception: string | undefined): void
  behave(fault: KmsFault | undefined): void
  /** The bodies of all that was asked, by action. */
  asked(action: string): Record<string, unknown>[]
  close(): Promise<void>
}

export const kmsSecret = 'canary/K7MDENG/bPxRfiCYEXAMPLEKEY0000000'
const accessKey = 'AKIAIOSFODNN7EXAMPLE'
const region = 'eu-central-1'

export const openKmsDouble = async (): Promise<KmsDouble> => {
  const keys = new Map<string, Kept>()
  const aliases = new Map<string, string>()
  const refused = new Map<string, string>()
  const seen: Asked[] = []
  let fault: KmsFault | undefined
  const server = createServer(async (request, response) => {
    const asked = await read(request)
    seen.push(asked)
    if (fault) return misbehave(fault, response)
    send(response, answer(asked, { keys, aliases, refused, fault: signatureFault(asked, request) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const api = encodeURIComponent(`http://127.0.0.1:${port}`)
  return {
    address: `kms://${accessKey}:${encodeURIComponent(kmsSecret)}@${region}?api=${api}`,
    make(spec) {
      const arn = `arn:aws:kms:${region}:111122223333:key/${randomUUID()}`
      keys.set(arn, { spec, ...generate(spec) })
      return arn
    },
    alias(name, arn) {
      aliases.set(`alias/${name}`, arn)
      return `alias/${name}`
    },
    refuse: (arn, action, exception) =>
      void (exception ? refused.set(`${action} ${arn}`, exception) : refused.delete(`${action} ${arn}`)),
    behave(next) {
      fault = next
    },
    asked: (action) => seen.filter((one) => one.action === action).map(({ body }) => JSON.parse(body)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Kept {
  spec: string
  privateKey: KeyObject
  publicKey: KeyObject
}

const generate = (spec: string): Omit<Kept, 'spec'> => {
  if (spec === 'ECC_NIST_EDWARDS25519') return generateKeyPairSync('ed25519')
  if (spec.startsWith('RSA_')) return generateKeyPairSync('rsa', { modulusLength: Number(spec.slice(4)) })
  return generateKeyPairSync('ec', { namedCurve: spec === 'ECC_NIST_P256' ? 'P-256' : 'P-384' })
}

const algorithmsOf = (spec: string): string[] => {
  if (spec === 'ECC_NIST_P256') return ['ECDSA_SHA_256']
  if (spec === 'ECC_NIST_P384') return ['ECDSA_SHA_384']
  if (spec === 'ECC_NIST_EDWARDS25519') return ['ED25519_SHA_512', 'ED25519_PH_SHA_512']
  return ['PKCS1_V1_5', 'PSS'].flatMap((one) => [256, 384, 512].map((bits) => `RSASSA_${one}_SHA_${bits}`))
}

interface Asked {
  action: string
  body: string
}

const read = async (request: IncomingMessage): Promise<Asked> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const action = /^TrentService\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1] ?? ''
  return { action, body: Buffer.concat(chunks).toString() }
}

/** The exception for a request that is not signed by the access key (AWS Signature Version 4). */
const signatureFault = ({ body }: Asked, { method = '', url = '', headers }: IncomingMessage): string | undefined => {
  const { authorization = '', host = '' } = headers
  const names = /SignedHeaders=([a-z0-9;-]+)/.exec(authorization)?.[1]?.split(';') ?? []
  if (!authorization.includes(`Credential=${accessKey}/`)) return 'UnrecognizedClientException'
  const [, y, mo, d, h, mi, s] = /^(....)(..)(..)T(..)(..)(..)Z$/.exec(String(headers['x-amz-date']))?.map(Number) ?? []
  const at = new Date(Date.UTC(y ?? 0, (mo ?? 1) - 1, d, h, mi, s))
  const rest = names.filter((name) => name !== 'host' && name !== 'x-amz-date')
  const told = Object.fromEntries(rest.map((name) => [name, String(headers[name])]))
  const request = { method, url: new URL(url, `http://${host}`), headers: told, body }
  const signer = { accessKey, secretKey: kmsSecret, region, service: 'kms' }
  return signRequest(request, signer, at).authorization === authorization ? undefined : 'InvalidSignatureException'
}

interface World {
  keys: Map<string, Kept>
  aliases: Map<string, string>
  refused: Map<string, string>
  fault: string | undefined
}

interface Answer {
  status: number
  body: Record<string, unknown>
}

const exception = (type: string, message = type): Answer => ({ status: 400, body: { __type: type, message } })

const answer = ({ action, body }: Asked, { keys, aliases, refused, fault }: World): Answer => {
  if (fault) return exception(fault)
  const said = JSON.parse(body)
  const arn =
    aliases.get(said.KeyId) ?? [...keys.keys()].find((one) => one === said.KeyId || one.endsWith(`/${said.KeyId}`))
  const key = keys.get(arn ?? '')
  if (!key) return exception('NotFoundException')
  const refusal = refused.get(`${action} ${arn}`)
  if (refusal)
    return exception(refusal, `User: arn:aws:iam::111122223333:user/canary is not authorized to perform: kms:${action}`)
  if (action === 'GetPublicKey') return { status: 200, body: { KeyId: arn, ...described(key) } }
  return action === 'Sign' ? signed(key, { ...said, KeyId: arn }) : exception('UnknownOperationException')
}

const described = ({ spec, publicKey }: Kept) => ({
  KeySpec: spec,
  CustomerMasterKeySpec: spec,
  KeyUsage: 'SIGN_VERIFY',
  SigningAlgorithms: algorithmsOf(spec),
  PublicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
})

const signed = (key: Kept, said: Record<string, string>): Answer => {
  const { KeyId, Message = '', MessageType = 'RAW', SigningAlgorithm = '' } = said
  const message = Buffer.from(Message, 'base64')
  if (!algorithmsOf(key.spec).includes(SigningAlgorithm)) return exception('InvalidKeyUsageException')
  const raw = SigningAlgorithm === 'ED25519_SHA_512'
  if (MessageType !== (raw ? 'RAW' : 'DIGEST') || (raw ? message.length > 4096 : message.length !== 32))
    return exception('ValidationException')
  const bytes = raw ? signRaw(key.privateKey, message) : signDigest(key.privateKey, SigningAlgorithm, message)
  return { status: 200, body: { KeyId, Signature: bytes.toString('base64'), SigningAlgorithm } }
}

const send = (response: ServerResponse, { status, body }: Answer): void => {
  response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body))
}

const misbehave = (fault: KmsFault, response: ServerResponse): void => {
  if (fault === 'gone') response.destroy()
  if (fault === 'error') send(response, { status: 500, body: { __type: 'KMSInternalException' } })
  if (fault === 'throttled') send(response, exception('ThrottlingException', 'Rate exceeded'))
  if (fault === 'html') response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome</h1>')
  if (fault === 'slow') setTimeout(() => response.destroy(), 10_000).unref()
}
