import { createHmac } from 'node:crypto'
import type {
  CognitoIdentityProviderClient,
  CognitoIdentityProviderClientConfig,
} from '@aws-sdk/client-cognito-identity-provider'
import { type ZodType, z } from 'zod'
import { guardedHandler } from '../../platform/aws-handler.ts'
import type { Fetch } from '../../platform/fetch.ts'
import { type Action, type Refusal, readRefusal, refusal } from './cognito-refusal.ts'
import type { CognitoSettings } from './cognito-settings.ts'

export type Said<Value> = { is: 'said'; said: Value } | Refusal

/** The four things that are asked of Cognito. None of them throws. */
export interface CognitoCalls {
  initiateAuth(asked: { username: string; password: string; ip: string }): Promise<Said<Proof>>
  adminGetUser(username: string): Promise<Said<User>>
  /** One page; `next` is what the page before said. */
  adminListGroupsForUser(username: string, next?: string): Promise<Said<z.infer<typeof groups>>>
  /** One page of at most `limit`; `filter` as Cognito writes it. */
  listUsers(asked: { filter?: string; next?: string | undefined; limit?: number }): Promise<Said<Listed>>
}

const attributes = z.array(z.object({ Name: z.string(), Value: z.string().optional() })).default([])
const user = z.object({
  Username: z.string().min(1),
  UserAttributes: attributes,
  Enabled: z.boolean(),
  UserStatus: z.string(),
  UserMFASettingList: z.array(z.string()).default([]),
  UserCreateDate: z.date().optional(),
})
export type User = z.infer<typeof user>

// A list calls the attributes by another name, and tells of no factors.
const row = user
  .omit({ UserAttributes: true, UserMFASettingList: true })
  .extend({ Attributes: attributes })
  .transform(({ Attributes, ...rest }): User => ({ ...rest, UserAttributes: Attributes, UserMFASettingList: [] }))

const listed = z.object({ Users: z.array(row), PaginationToken: z.string().min(1).optional() })
type Listed = z.infer<typeof listed>

const groups = z.object({
  Groups: z.array(z.object({ GroupName: z.string().min(1) })),
  NextToken: z.string().min(1).optional(),
})

const proof = z.union([
  z.object({
    ChallengeName: z.string().min(1),
    ChallengeParameters: z.record(z.string(), z.string()).default({}),
  }),
  z.object({ AuthenticationResult: z.object({ AccessToken: z.string() }) }),
])
export type Proof = z.infer<typeof proof>

/** The pool behind some settings; the SDK is loaded at the first call, and nothing leaves but by `fetch`. */
export const openCognitoCalls = (settings: CognitoSettings, fetch: Fetch): CognitoCalls => {
  const opened = once(() => openSdk(settings, fetch))
  const pool = { UserPoolId: settings.user_pool_id }
  return {
    initiateAuth: ({ username, password, ip }) =>
      ask('InitiateAuth', proof, async () => {
        const { client, sdk } = await opened()
        const AuthParameters = { USERNAME: username, PASSWORD: password, ...secretHash(settings, username) }
        const UserContextData = { IpAddress: ip }
        const flow = { AuthFlow: 'USER_PASSWORD_AUTH', ClientId: settings.client_id } as const
        return client.send(new sdk.InitiateAuthCommand({ ...flow, AuthParameters, UserContextData }))
      }),
    adminGetUser: (Username) =>
      ask('AdminGetUser', user, async () => {
        const { client, sdk } = await opened()
        return client.send(new sdk.AdminGetUserCommand({ ...pool, Username }))
      }),
    adminListGroupsForUser: (Username, NextToken) =>
      ask('AdminListGroupsForUser', groups, async () => {
        const { client, sdk } = await opened()
        return client.send(new sdk.AdminListGroupsForUserCommand({ ...pool, Username, NextToken, Limit: 60 }))
      }),
    listUsers: ({ filter, next, limit = 60 }) =>
      ask('ListUsers', listed, async () => {
        const { client, sdk } = await opened()
        const page = { Filter: filter, PaginationToken: next, Limit: limit }
        return client.send(new sdk.ListUsersCommand({ ...pool, ...page }))
      }),
  }
}

const ask = async <Value>(
  action: Action,
  schema: ZodType<Value>,
  send: () => Promise<unknown>,
): Promise<Said<Value>> => {
  try {
    const read = schema.safeParse(await send())
    return read.success ? { is: 'said', said: read.data } : refusal(action, { status: 200 })
  } catch (error) {
    return readRefusal(action, error)
  }
}

const secretHash = ({ client_id, client_secret }: CognitoSettings, username: string) =>
  client_secret && {
    SECRET_HASH: createHmac('sha256', client_secret)
      .update(username + client_id)
      .digest('base64'),
  }

/** Loaded at its first use: the package takes 100 ms and 30 MB. */
const openSdk = async (settings: CognitoSettings, fetch: Fetch) => {
  const sdk = await import('@aws-sdk/client-cognito-identity-provider')
  return { sdk, client: new sdk.CognitoIdentityProviderClient(clientConfig(settings, fetch)) satisfies Client }
}

type Client = CognitoIdentityProviderClient

/**
 * Whatever the SDK would look up in the environment, in ~/.aws or at the instance's metadata if it were not told is
 * told: a pool's settings are an operator's, and the machine's own AWS identity must never stand behind them.
 */
const clientConfig = (settings: CognitoSettings, fetch: Fetch): CognitoIdentityProviderClientConfig => ({
  region: settings.region,
  credentials: { accessKeyId: settings.access_key_id, secretAccessKey: settings.secret_access_key },
  ...(settings.endpoint ? { endpoint: settings.endpoint } : {}),
  ignoreConfiguredEndpointUrls: true,
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  defaultsMode: 'standard',
  maxAttempts: 1,
  retryMode: 'standard',
  disableClockSkewCorrection: false,
  authSchemePreference: [],
  userAgentAppId: async () => undefined,
  defaultUserAgentProvider: async () => [['lido']],
  requestHandler: guardedHandler(fetch),
})

const once = <Result>(open: () => Result): (() => Result) => {
  let opened: { result: Result } | undefined
  return () => {
    opened ??= { result: open() }
    return opened.result
  }
}
