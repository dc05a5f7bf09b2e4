import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { Action } from './cognito-refusal.ts'
import { signatureFault } from './cognito-signature-testing.ts'
import type { Answer, Asked } from './double-testing.ts'

/** A user as a user pool keeps them. */
export interface PoolUser {
  username: string
  password: string
  attributes: Record<string, string>
  status: string
  enabled: boolean
  factors: string[]
  groups: string[]
}

/** What differs between user pools, and may be changed while a double runs. */
export interface PoolManners {
  caseSensitive: boolean
  /** The setting PreventUserExistenceErrors of the app client. */
  hidesStrangers: boolean
  /** Whether the app client has the flow. */
  takesPasswords: boolean
  /** What the access key may not do. */
  denied: readonly Action[]
}

/** Whose user pool this is, and what they were given for it. */
export const owner = {
  clientId: '1example23456789abcdefghij',
  clientSecret: 'canary1client2secret3of4the5app6client7',
  poolId: 'eu-central-1_Ab12Cd34E',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'canary/K7MDENG/bPxRfiCYEXAMPLEKEY0000000',
  region: 'eu-central-1',
}
const { clientId, clientSecret, poolId } = owner

/** An exception as Cognito words it. */
export const exception = (type: string, message = type, status = 400): Answer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-errortype': `${type}:` },
  body: { __type: type, message },
})

/** All that there is to tell. */
export interface World {
  users: PoolUser[]
  pool: PoolManners
  /** Whether whoever asks is told of somebody else. */
  other: boolean
}

/** Which action a request asks for; undefined where it does not say. */
export const actionOf = ({ headers }: Asked): string | undefined =>
  /^AWSCognitoIdentityProviderService\.(\w+)$/.exec(String(headers['x-amz-target']))?.[1]

/** What AWS answers, unless it is `injected`. */
export const answer = (asked: Asked, injected: Map<Action, Answer>, world: World): Answer => {
  const action = actionOf(asked)
  if (asked.method !== 'POST' || asked.url.pathname !== '/') return exception('UnknownOperationException')
  if (asked.headers['content-type'] !== 'application/x-amz-json-1.1') return exception('UnknownOperationException')
  const operation = action === undefined ? undefined : operations[action as Action]
  if (!operation) return exception('UnknownOperationException')
  const refused = action === 'InitiateAuth' ? mustBeUnsigned(asked) : notAuthorised(asked, action as Action, world)
  return refused ?? injected.get(action as Action) ?? operation(JSON.parse(asked.body), world)
}

const mustBeUnsigned = ({ headers }: Asked): Answer | undefined =>
  headers.authorization ? exception('IncompleteSignatureException', 'InitiateAuth is not signed') : undefined

const notAuthorised = (asked: Asked, action: Action, { pool }: World): Answer | undefined => {
  const fault = signatureFault(asked, owner)
  if (fault) return exception(fault)
  if (!pool.denied.includes(action)) return undefined
  const who = 'arn:aws:iam::123456789012:user/lido'
  return exception('AccessDeniedException', `User: ${who} is not authorized to perform: cognito-idp:${action}`)
}

const username = z.string().regex(/^[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,128}$/u)
const limit = z.number().int().min(0).max(60)
const signIn = z.strictObject({
  AuthFlow: z.literal('USER_PASSWORD_AUTH'),
  ClientId: z.string(),
  AuthParameters: z.strictObject({
    USERNAME: username,
    PASSWORD: z.string().min(1),
    SECRET_HASH: z.string().optional(),
  }),
  UserContextData: z.strictObject({ IpAddress: z.union([z.ipv4(), z.ipv6()]) }),
})
const getUser = z.strictObject({ UserPoolId: z.string(), Username: username })
const getGroups = getUser.extend({ Limit: limit.optional(), NextToken: z.string().min(1).optional() })
const list = z.strictObject({
  UserPoolId: z.string(),
  Limit: limit.optional(),
  PaginationToken: z.string().min(1).optional(),
  Filter: z.string().max(256).optional(),
})

type Operation = (body: unknown, world: World) => Answer

/** A body that is not of the action's form is refused before anything else is looked at. */
const operation =
  <Body>(schema: z.ZodType<Body>, run: (body: Body, world: World) => Answer): Operation =>
  (body, world) => {
    const read = schema.safeParse(body)
    return read.success ? run(read.data, world) : exception('InvalidParameterException', '1 validation error detected')
  }

const inPool = <Body extends { UserPoolId: string }>(
  schema: z.ZodType<Body>,
  run: (body: Body, world: World) => Answer,
) =>
  operation(schema, (body, world) =>
    body.UserPoolId === poolId
      ? run(body, world)
      : exception('ResourceNotFoundException', `User pool ${body.UserPoolId} does not exist.`),
  )

const operations: Record<Action, Operation> = {
  InitiateAuth: operation(signIn, ({ ClientId, AuthParameters: { USERNAME, PASSWORD, SECRET_HASH } }, world) => {
    if (ClientId !== clientId)
      return exception('ResourceNotFoundException', `User pool client ${ClientId} does not exist.`)
    if (!world.pool.takesPasswords)
      return exception('InvalidParameterException', 'USER_PASSWORD_AUTH flow not enabled for this client')
    if (SECRET_HASH === undefined)
      return exception(
        'NotAuthorizedException',
        `Client ${clientId} is configured with secret but SECRET_HASH was not received`,
      )
    if (
      SECRET_HASH !==
      createHmac('sha256', clientSecret)
        .update(USERNAME + clientId)
        .digest('base64')
    )
      return exception('NotAuthorizedException', `Unable to verify secret hash for client ${clientId}`)
    return authenticate(find(USERNAME, world), PASSWORD, world)
  }),
  AdminGetUser: inPool(getUser, ({ Username }, world) => {
    const user = told(find(Username, world), world)
    if (!user) return noSuchUser
    const { Attributes, ...rest } = row(user)
    return said({
      ...rest,
      UserAttributes: Attributes,
      ...(user.factors[0] ? { UserMFASettingList: user.factors } : {}),
    })
  }),
  AdminListGroupsForUser: inPool(getGroups, ({ Username, NextToken }, world) => {
    const user = told(find(Username, world), world)
    if (!user) return noSuchUser
    // AWS may give fewer than were asked for.
    const { rows, next } = page(user.groups, 2, NextToken)
    const Groups = rows.map((GroupName) => ({ GroupName, UserPoolId: poolId, LastModifiedDate: 1_700_000_000.25 }))
    return said({ Groups, ...(next ? { NextToken: next } : {}) })
  }),
  ListUsers: inPool(list, ({ Filter, Limit = 60, PaginationToken }, world) => {
    const matches = Filter === undefined ? world.users : filter(Filter, world.users)
    if (!matches) return exception('InvalidParameterException', 'Error while parsing filter.')
    const found = world.other ? world.users.filter((user) => isOther(user)) : matches
    // The first page of a filtered list may be empty.
    if (Filter !== undefined && PaginationToken === undefined) return said({ Users: [], PaginationToken: token(0) })
    const { rows, next } = page(found, Limit, PaginationToken)
    return said({ Users: rows.map(row), ...(next ? { PaginationToken: next } : {}) })
  }),
}

const noSuchUser = exception('UserNotFoundException', 'User does not exist.')

const said = (body: unknown): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body,
})

/** In the order in which AWS looks. */
const authenticate = (user: PoolUser | undefined, password: string, world: World): Answer => {
  if (!user && !world.pool.hidesStrangers) return noSuchUser
  if (user && !user.enabled) return exception('NotAuthorizedException', 'User is disabled.')
  if (user?.status === 'RESET_REQUIRED')
    return exception('PasswordResetRequiredException', 'Password reset required for the user')
  if (!user || user.status === 'EXTERNAL_PROVIDER' || user.password !== password)
    return exception('NotAuthorizedException', 'Incorrect username or password.')
  if (user.status === 'UNCONFIRMED') return exception('UserNotConfirmedException', 'User is not confirmed.')
  const known = told(user, world) ?? user
  if (user.status === 'FORCE_CHANGE_PASSWORD') return challenge('NEW_PASSWORD_REQUIRED', known)
  if (user.factors.length > 1) return challenge('SELECT_MFA_TYPE', known)
  if (user.factors[0]) return challenge(user.factors[0], known)
  return said({ AuthenticationResult: tokens(known), ChallengeParameters: {} })
}

/** A challenge as Cognito asks for it. */
export const challenge = (name: string, user: PoolUser): Answer =>
  said({ ChallengeName: name, ChallengeParameters: { USER_ID_FOR_SRP: user.username }, Session: 'canary-session' })

const tokens = ({ username, attributes: { sub } }: PoolUser) => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const AccessToken = [part({ alg: 'RS256' }), part({ sub, username, token_use: 'access' }), 'canary'].join('.')
  return {
    AccessToken,
    RefreshToken: 'canary-refresh',
    IdToken: 'canary.id.token',
    TokenType: 'Bearer',
    ExpiresIn: 3600,
  }
}

const isOther = ({ attributes }: PoolUser): boolean => attributes.email === 'other@example.org'

const told = (user: PoolUser | undefined, { other, users }: World): PoolUser | undefined =>
  other ? users.find(isOther) : user

/** By username, by sub, or by what serves as an alias. */
const find = (name: string, { users, pool }: World): PoolUser | undefined => {
  const fold = (text: string | undefined) => (pool.caseSensitive ? text : text?.toLowerCase())
  const asked = fold(name)
  const alias = ({ attributes, username }: PoolUser) =>
    username === attributes.sub ? [attributes.email, attributes.phone_number] : [attributes.preferred_username]
  return (
    users.find(({ username }) => fold(username) === asked) ??
    users.find(({ attributes }) => attributes.sub === name) ??
    users.find((user) => alias(user).some((held) => fold(held) === asked))
  )
}

const filter = (text: string, users: PoolUser[]): PoolUser[] | undefined => {
  const [, name, quoted] = /^(email|phone_number|sub|username)\s*=\s*"((?:[^"\\]|\\.)*)"$/.exec(text) ?? []
  if (name === undefined || quoted === undefined) return undefined
  const value = quoted.replace(/\\(.)/g, '$1')
  return users.filter(({ username, attributes }) => (name === 'username' ? username : attributes[name]) === value)
}

const row = ({ username, attributes, enabled, status }: PoolUser) => ({
  Username: username,
  Attributes: Object.entries(attributes).map(([Name, Value]) => ({ Name, Value })),
  Enabled: enabled,
  UserStatus: status,
  UserCreateDate: 1_700_000_000.25,
  UserLastModifiedDate: 1_700_000_000.25,
})

const token = (start: number): string => Buffer.from(`from:${start}`).toString('base64')

const page = <Row>(rows: Row[], size: number, from: string | undefined) => {
  const start = from === undefined ? 0 : Number(Buffer.from(from, 'base64').toString().slice('from:'.length))
  const end = start + (size || 60)
  return { rows: rows.slice(start, end), next: end < rows.length ? token(end) : undefined }
}
