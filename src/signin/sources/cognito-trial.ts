import { randomUUID } from 'node:crypto'
import type { CognitoCalls, Said } from './cognito-calls.ts'
import { type Action, type Refusal, troubleOf } from './cognito-refusal.ts'
import type { Tried } from './source.ts'

/** Tries all that is ever asked of Cognito, with a name that nobody has and a password that nobody knows. */
export const tryOut = async (calls: CognitoCalls): Promise<Tried[]> => {
  const nobody = `lido-connection-test-${randomUUID()}`
  const guess = { username: nobody, password: `${randomUUID()}Aa1!`, ip: '127.0.0.1' }
  return Promise.all([
    tried('InitiateAuth', 'The app client takes passwords.', calls.initiateAuth(guess), isNobody),
    tried('AdminGetUser', 'The access key may look users up.', calls.adminGetUser(nobody), isNobody),
    tried('AdminListGroupsForUser', 'The access key may read groups.', calls.adminListGroupsForUser(nobody), isNobody),
    tried('ListUsers', 'The access key may list users.', calls.listUsers({ limit: 1 }), () => false),
  ])
}

const tried = async (
  name: Action,
  detail: string,
  asked: Promise<Said<unknown>>,
  expected: (refused: Refusal) => boolean,
): Promise<Tried> => {
  const answer = await asked
  if (answer.is === 'said' || expected(answer)) return { name, ok: true, detail }
  return { name, ok: false, detail: troubleOf(answer).detail }
}

/** What Cognito says of somebody who is not there: by whichever name the user pool tells strangers. */
const isNobody = ({ action, name, ofSecretHash }: Refusal): boolean =>
  name === 'UserNotFoundException' || (action === 'InitiateAuth' && name === 'NotAuthorizedException' && !ofSecretHash)
