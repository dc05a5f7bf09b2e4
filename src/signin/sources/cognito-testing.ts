import { randomUUID } from 'node:crypto'
import { cognito } from './cognito.ts'
import { actionOf, answer, exception, owner, type PoolManners, type PoolUser } from './cognito-pool-testing.ts'
import type { Action } from './cognito-refusal.ts'
import {
  type Answer,
  type Bench,
  httpFaults,
  openHttpDouble,
  type Person,
  type SourceDouble,
  sourceTools,
} from './double-testing.ts'
import type { OpenSource } from './source.ts'

/** A user pool that is as strict as the one of AWS. */
export interface CognitoDouble extends SourceDouble {
  /** What is not named is that of a confirmed user of a pool whose people sign in by email. */
  addUser(user: Partial<PoolUser>): PoolUser
  pool: PoolManners
  /** From now on an action is answered so, whoever asks; undefined: as it should. */
  answerWith(action: Action, answer: Answer | undefined): void
  /** The bodies of all that was asked, by action. */
  asked(action: Action): Record<string, unknown>[]
  openWith(settings: Record<string, unknown>): OpenSource
}

/** A user pool on loopback that checks what is asked of it as AWS does. */
export const openCognitoDouble = async (): Promise<CognitoDouble> => {
  const users: PoolUser[] = []
  const injected = new Map<Action, Answer>()
  const pool: PoolManners = { caseSensitive: false, hidesStrangers: true, takesPasswords: true, denied: [] }
  const double = await openHttpDouble({
    answer: (asked, fault) => {
      const answered = answer(asked, injected, { users, pool, other: fault === 'other_user' })
      // The header says the name once more, and would undo what is done to the body.
      return fault === 'wrong_types' ? { status: answered.status, body: answered.body } : answered
    },
    rateLimited: exception('TooManyRequestsException', 'Rate exceeded'),
    unauthorized: exception('UnrecognizedClientException', 'The security token included in the request is invalid.'),
  })
  const settings = {
    region: owner.region,
    client_id: owner.clientId,
    client_secret: owner.clientSecret,
    user_pool_id: owner.poolId,
    tenant_id_field: 'tenant',
    access_key_id: owner.accessKeyId,
    secret_access_key: owner.secretAccessKey,
    endpoint: double.url,
  }
  const addUser = (user: Partial<PoolUser>): PoolUser => {
    const sub = randomUUID()
    const given = { sub, ...user.attributes }
    const added = { ...ordinary, username: given.sub, ...user, attributes: given }
    users.push(added)
    return added
  }
  return {
    ...double,
    settings,
    pool,
    open: (allow) => cognito.open(cognito.settings.parse(settings), sourceTools(allow)),
    openWith: (others) => cognito.open(cognito.settings.parse({ ...settings, ...others }), sourceTools()),
    add: (person) => void addUser(userOf(person)),
    addUser,
    answerWith: (action, given) => void (given ? injected.set(action, given) : injected.delete(action)),
    asked: (action) => double.seen.filter((one) => actionOf(one) === action).map(({ body }) => JSON.parse(body)),
  }
}

/** A disabled user is told as a wrong password, so `blocked` is not among what it says of a sign-in. */
export const cognitoBench: Bench = {
  source: cognito,
  states: ['ok', 'must_reset', 'must_change', 'mfa_required'],
  faults: httpFaults,
  open: openCognitoDouble,
}

const ordinary: Omit<PoolUser, 'username' | 'attributes'> = {
  password: 'canary of nobody',
  status: 'CONFIRMED',
  enabled: true,
  factors: [],
  groups: [],
}

const userOf = ({
  email,
  password,
  state = 'ok',
  verified = true,
  roles,
  tenant,
  name,
}: Person): Partial<PoolUser> => ({
  password,
  status: { must_reset: 'RESET_REQUIRED', must_change: 'FORCE_CHANGE_PASSWORD' }[String(state)] ?? 'CONFIRMED',
  enabled: state !== 'blocked',
  factors: state === 'mfa_required' ? ['SOFTWARE_TOKEN_MFA'] : [],
  groups: roles ?? [],
  attributes: {
    email,
    email_verified: String(verified),
    ...(name ? { name } : {}),
    ...(tenant ? { 'custom:tenant': tenant } : {}),
  },
})
