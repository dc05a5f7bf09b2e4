import type { KMSClientConfig, MessageType, SigningAlgorithmSpec } from '@aws-sdk/client-kms'
import { z } from 'zod'
import { guardedHandler } from './aws-handler.ts'
import type { Fetch } from './fetch.ts'
import { type KmsCall, KmsTrouble, readTrouble } from './kms-trouble.ts'
import { openBreaker } from './sandbox/breaker.ts'

/** Signing by keys that AWS KMS keeps: their private parts never come here. */
export interface Kms {
  /**
   * What a key is, by its ARN, id or alias. It is asked for once; what an alias stands for is asked for again every four
   * minutes, and remembered while AWS KMS does not answer. Throws a `KmsTrouble`.
   */
  find(keyId: string): Promise<KmsKey>
  /** Signs by a key, in at most 1.4 s. Throws a `KmsTrouble`. */
  sign(arn: string, by: KmsSigning, message: Uint8Array): Promise<Uint8Array>
  /** When AWS KMS last failed; undefined where it has done since what it was asked, or was never asked. */
  failedAt(): Date | undefined
}

export interface KmsSigning {
  algorithm: SigningAlgorithmSpec
  type: MessageType
}

/** The public half of a key, as SubjectPublicKeyInfo in DER, and what its private half does. */
export interface KmsKey {
  /** The key's own, also where an alias was asked for. */
  arn: string
  spec: string
  signs: readonly string[]
  publicDer: Uint8Array
}

interface Options {
  /** KMS_URL; without one AWS's own variables, files and roles say where the keys are and who asks. */
  url?: string | undefined
  fetch: Fetch
  now(): Date
  count?(call: KmsCall, outcome: 'ok' | KmsTrouble['is']): void
}

/** Loads nothing and asks nothing before the first key is asked for. Throws for an `url` that does not fit. */
export const openKms = (options: Options): Kms => {
  const { ask, failedAt } = openAsking(options)
  return {
    find: openFinding(options, ask),
    async sign(arn, { algorithm, type }, message) {
      const { Signature } = await ask('Sign', arn, async ({ sdk, client }) => {
        const how = { SigningAlgorithm: algorithm, MessageType: type }
        return client.send(new sdk.SignCommand({ KeyId: arn, Message: message, ...how }))
      })
      if (!Signature) throw new KmsTrouble('unavailable', `${arn}: AWS KMS answered Sign without a signature`)
      return Signature
    },
    failedAt,
  }
}

type Ask = <Said>(
  call: KmsCall,
  keyId: string,
  send: (opened: Opened) => Promise<Said>,
  milliseconds?: number,
) => Promise<Said>

/** Asks in time, and for a while not at all where nothing but failures came back. */
const openAsking = ({ url, fetch, now, count }: Options): { ask: Ask; failedAt(): Date | undefined } => {
  const address = url === undefined ? undefined : readAddress(url)
  const open = remembering((region: string) => openClient(address, region, fetch))
  const breaker = openBreaker({ failures: 5, restMs: 2_000 }, () => performance.now())
  let failedAt: Date | undefined
  const ask: Ask = async (call, keyId, send, milliseconds = limits[call]) => {
    const region = /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1] ?? ''
    const resting = !breaker.closed(region)
    try {
      if (resting) throw new KmsTrouble('unavailable', `${keyId}: AWS KMS failed again and again, and is left alone`)
      const said = await inTime(open(region).then(send), milliseconds)
      breaker.succeeded(region)
      failedAt = undefined
      count?.(call, 'ok')
      return said
    } catch (error) {
      const trouble = readTrouble(call, keyId, error)
      if (trouble.is === 'unavailable' && !resting) breaker.failed(region)
      failedAt = now()
      count?.(call, trouble.is)
      throw trouble
    }
  }
  return { ask, failedAt: () => failedAt }
}

const openFinding = ({ now }: Options, ask: Ask): Kms['find'] => {
  const known = new Map<string, { key: KmsKey; until: number }>()
  const keep = (keyId: string, key: KmsKey, seconds: number): KmsKey => {
    known.set(keyId, { key, until: now().getTime() + seconds * 1000 })
    return key
  }
  // What is known is gone by where no answer comes: there has to be time left to sign.
  const findNow = sharing((keyId) => askForKey(ask, keyId, known.has(keyId) ? limits.Sign : limits.GetPublicKey))
  return async (keyId) => {
    const before = known.get(keyId)
    if (before && before.until > now().getTime()) return before.key
    try {
      return keep(keyId, await findNow(keyId), isAlias(keyId) ? 240 : Number.POSITIVE_INFINITY)
    } catch (error) {
      if (before && error instanceof KmsTrouble && error.is !== 'misconfigured') return keep(keyId, before.key, 30)
      throw error
    }
  }
}

const askForKey = async (ask: Ask, keyId: string, milliseconds: number): Promise<KmsKey> => {
  const send = ({ sdk, client }: Opened) => client.send(new sdk.GetPublicKeyCommand({ KeyId: keyId }))
  const said = await ask('GetPublicKey', keyId, send, milliseconds)
  const read = answered.safeParse(said)
  if (!read.success) throw new KmsTrouble('misconfigured', `${keyId}: this is not a key that signs`)
  const { KeyId: arn, KeySpec: spec, SigningAlgorithms: signs, PublicKey: publicDer } = read.data
  return { arn, spec, signs, publicDer }
}

/** How KMS_URL looks. */
export const kmsForm =
  'kms://REGION or kms://ACCESS_KEY:SECRET_KEY@REGION (characters like / of the secret percent-encoded)'

/** Whether KMS_URL can be read. */
export const isKmsAddress = (text: string): boolean => {
  try {
    readAddress(text)
    return true
  } catch {
    return false
  }
}

interface Address {
  region: string
  credentials: { accessKeyId: string; secretAccessKey: string } | undefined
  endpoint: string | undefined
}

// `?api=` is for an endpoint of one's own, and for tests.
const readAddress = (text: string): Address => {
  const url = new URL(text)
  const [accessKeyId, secretAccessKey] = [url.username, url.password].map(decodeURIComponent) as [string, string]
  const endpoint = url.searchParams.get('api') ?? undefined
  const fits = url.protocol === 'kms:' && /^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/.test(url.hostname)
  if (!fits || (endpoint !== undefined && !URL.canParse(endpoint)) || !accessKeyId !== !secretAccessKey)
    throw new Error(`Give an address like ${kmsForm}`)
  return { region: url.hostname, credentials: accessKeyId ? { accessKeyId, secretAccessKey } : undefined, endpoint }
}

/** Milliseconds. A token response has two signatures at most, and whoever asks for it waits no longer than three seconds. */
const limits: Record<KmsCall, number> = { GetPublicKey: 2_500, Sign: 1_400 }

const answered = z.object({
  KeyId: z.string().startsWith('arn:'),
  KeySpec: z.string(),
  KeyUsage: z.literal('SIGN_VERIFY'),
  SigningAlgorithms: z.array(z.string()),
  PublicKey: z.instanceof(Uint8Array),
})

const isAlias = (keyId: string): boolean => /(^|:)alias\//.test(keyId)

type Opened = Awaited<ReturnType<typeof openClient>>

/** Loaded at its first use: the package takes 100 ms and 30 MB. */
const openClient = async (address: Address | undefined, region: string, fetch: Fetch) => {
  const sdk = await import('@aws-sdk/client-kms')
  return { sdk, client: new sdk.KMSClient(configOf(address, region, fetch)) }
}

/** What is not told here the SDK finds by AWS's own rules: the machine's identity is who asks. */
const configOf = (address: Address | undefined, region: string, fetch: Fetch): KMSClientConfig => {
  const wanted = region || address?.region
  return {
    ...(wanted ? { region: wanted } : {}),
    ...(address?.credentials ? { credentials: address.credentials } : {}),
    ...(address?.endpoint ? { endpoint: address.endpoint } : {}),
    maxAttempts: 2,
    retryMode: 'standard',
    userAgentAppId: async () => undefined,
    defaultUserAgentProvider: async () => [['lido']],
    requestHandler: guardedHandler(fetch, 1_300),
  }
}

const inTime = async <Result>(work: Promise<Result>, milliseconds: number): Promise<Result> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('Too late')), milliseconds)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** What failed to open is opened again the next time. */
const remembering = <Result>(open: (name: string) => Promise<Result>) => {
  const opened = new Map<string, Promise<Result>>()
  return (name: string): Promise<Result> => {
    const result = opened.get(name) ?? open(name)
    opened.set(name, result)
    result.catch(() => opened.delete(name))
    return result
  }
}

/** Whoever asks while an answer is on its way gets that one. */
const sharing = <Result>(find: (name: string) => Promise<Result>) => {
  const finding = new Map<string, Promise<Result>>()
  return (name: string): Promise<Result> => {
    const running = finding.get(name) ?? find(name).finally(() => finding.delete(name))
    finding.set(name, running)
    return running
  }
}
