import { z } from 'zod'

/** What is asked of AWS KMS, by the names of its API; IAM calls them the same after `kms:`. */
export type KmsCall = 'GetPublicKey' | 'Sign'

/** AWS KMS did not do what it was asked. The message names the key, and never quotes what AWS said. */
export class KmsTrouble extends Error {
  /** Whether asking again later may help, soon or only when there are fewer questions, or somebody has to change something. */
  readonly is: 'unavailable' | 'throttled' | 'misconfigured'

  constructor(is: KmsTrouble['is'], message: string) {
    super(message)
    this.name = 'KmsTrouble'
    this.is = is
  }
}

const exception = z.object({ name: z.string().regex(/^[A-Za-z]{1,80}$/), message: z.string() })
const exchange = z.object({ $metadata: z.object({ httpStatusCode: z.number() }) })

/** Reads whatever the SDK threw. */
export const readTrouble = (call: KmsCall, keyId: string, error: unknown): KmsTrouble => {
  if (error instanceof KmsTrouble) return error
  const { name, message } = exception.safeParse(error).data ?? {}
  const status = exchange.safeParse(error).data?.$metadata.httpStatusCode
  const of = (is: KmsTrouble['is'], words: string) => new KmsTrouble(is, `${keyId}: ${words}`)
  if (name && tooMany.has(name)) return of('throttled', `AWS KMS takes fewer ${call} at the moment (${name})`)
  const wrong = name && (wrongs.get(name) ?? wrongCredentials(name))
  if (wrong && (status === undefined || status < 500)) return of('misconfigured', wrong.replaceAll('{call}', call))
  if (/^Region is missing/.test(message ?? '')) return of('misconfigured', 'no region: give the ARN, or set AWS_REGION')
  if (status === undefined) return of('unavailable', `AWS KMS did not answer ${call}, or not in time`)
  return of('unavailable', `AWS KMS answered ${call} with ${name && name !== 'Unknown' ? name : `status ${status}`}`)
}

const tooMany = new Set([
  'ThrottlingException',
  'Throttling',
  'LimitExceededException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
])

const wrongs = new Map([
  ['NotFoundException', 'there is no such key or alias in this account and region'],
  ['InvalidArnException', 'this is not the ARN of a key'],
  ['DisabledException', 'the key is disabled'],
  ['KMSInvalidStateException', 'the state of the key does not let it sign: it may be about to be deleted'],
  ['InvalidKeyUsageException', 'the key is not one that signs by this algorithm: its usage has to be SIGN_VERIFY'],
  ['UnsupportedOperationException', 'the key is not an asymmetric one, which signing needs'],
  [
    'AccessDeniedException',
    'our AWS identity may not do kms:{call} with the key: its IAM policy or the key policy lacks it',
  ],
  ['InvalidGrantTokenException', 'our AWS identity may not do kms:{call} with the key'],
])

const wrongCredentials = (name: string): string | undefined => {
  if (name === 'CredentialsProviderError') return 'no AWS credentials were found (docs/keys.md says where they may be)'
  return refusedCredentials.has(name) ? 'AWS does not take our credentials (asked for {call})' : undefined
}

const refusedCredentials = new Set([
  'UnrecognizedClientException',
  'InvalidClientTokenId',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'IncompleteSignature',
  'IncompleteSignatureException',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
  'ExpiredTokenException',
  'NotAuthorizedException',
])
