import { decodeJwt } from 'jose'
import type { Identifier } from '../../directory/identifiers.ts'
import type { CognitoCalls, Proof } from './cognito-calls.ts'
import { getPerson, isUnknown, type Person, unreadable } from './cognito-people.ts'
import { type Refusal, troubleOf } from './cognito-refusal.ts'
import type { CognitoSettings } from './cognito-settings.ts'
import { isBlocked, isExternal, isMadeUp, isNamed, isOf, knownBy, subOf } from './cognito-user.ts'
import type { Checked, Trouble } from './source.ts'

interface Asked {
  identifier: Identifier
  password: string
  ip: string
}

/**
 * Asks Cognito whether a password is right. The canonical form is tried first; what was typed only where nobody is
 * called by the canonical form, so that a case-sensitive pool knows its people and no guess counts twice.
 */
export const check = async (calls: CognitoCalls, settings: CognitoSettings, asked: Asked): Promise<Checked> => {
  const [username, asTyped] = spellings(asked.identifier)
  if (username === undefined) return { is: 'not_found' }
  if (asked.password === '' || [...asked.password].length > 256) return { is: 'invalid' }
  const answer = await checkAs(calls, settings, username, asked)
  if (asTyped === undefined || (answer.is !== 'invalid' && answer.is !== 'not_found')) return answer
  const known = await calls.adminGetUser(username)
  if (known.is === 'said') return answer
  return isUnknown(known) ? checkAs(calls, settings, asTyped, asked) : troubleOf(known)
}

/** The names to try, best first. Others than these Cognito answers as if the request were wrong, not the name. */
export const spellings = ({ kind, value, typed }: Identifier): string[] =>
  [...new Set(kind === 'mobile' ? [value] : [value, typed])].filter((name) => usernames.test(name) && !isMadeUp(name))

// The type UsernameType of Cognito's API.
const usernames = /^[\p{L}\p{M}\p{S}\p{N}\p{P}]{1,128}$/u

const checkAs = async (
  calls: CognitoCalls,
  settings: CognitoSettings,
  username: string,
  asked: Asked,
): Promise<Checked> => {
  const { password, ip } = asked
  const answer = await calls.initiateAuth({ username, password, ip })
  if (answer.is === 'refused') return refused(answer, () => getPerson(calls, settings, username), asked.identifier)
  const proved = readProof(answer.said, username)
  if ('detail' in proved) return proved
  const person = await getPerson(calls, settings, proved.username)
  if (person.is !== 'person') return person
  if (proved.sub !== undefined && proved.sub !== subOf(person.user)) return unreadable
  return conclude(proved.is, person, asked.identifier)
}

type Right = 'ok' | 'must_change' | 'mfa_required'

const conclude = (
  is: Right,
  { user, outsider }: Extract<Person, { is: 'person' }>,
  identifier: Identifier,
): Checked => {
  if (!isOf(identifier, user) && !isNamed(identifier, user)) return unreadable
  if (isBlocked(user)) return { is: 'blocked' }
  // They sign in at Google or the like, and have no password here that anybody chose.
  if (isExternal(user)) return { is: 'invalid' }
  const known = knownBy(identifier, user, outsider)
  // A remembered device or a low risk may have spared them a factor that they do have.
  if (is === 'ok' && user.UserMFASettingList.length > 0) return { is: 'mfa_required', user: known }
  return { is, user: known }
}

/** A disabled user and, where the pool hides them, an unknown one are told as a wrong password. */
const refused = async (answer: Refusal, look: () => Promise<Person>, identifier: Identifier): Promise<Checked> => {
  switch (answer.name) {
    case 'NotAuthorizedException':
      return answer.ofSecretHash ? troubleOf(answer) : { is: 'invalid' }
    case 'UserNotFoundException':
      return { is: 'not_found' }
    case 'PasswordResetRequiredException':
    case 'UserNotConfirmedException':
      return mustReset(await look(), identifier)
    default:
      return troubleOf(answer)
  }
}

const mustReset = (person: Person, identifier: Identifier): Checked => {
  if (person.is === 'not_found') return { is: 'must_reset', user: undefined }
  if (person.is !== 'person') return person
  // A name may look like an address that is not theirs, and nothing has been proved.
  if (!isOf(identifier, person.user) && isNamed(identifier, person.user)) return { is: 'must_reset', user: undefined }
  const concluded = conclude('ok', person, identifier)
  return 'user' in concluded ? { is: 'must_reset', user: concluded.user } : concluded
}

type Proved = { is: Right; username: string; sub: string | undefined } | Trouble

/** Who proved themselves, by the name that Cognito gives back: in a pool of addresses it is another than was asked. */
const readProof = (proof: Proof, asked: string): Proved => {
  if ('AuthenticationResult' in proof) return readToken(proof.AuthenticationResult.AccessToken)
  const name = proof.ChallengeName
  const is = challenges.get(name)
  if (is) return { is, username: proof.ChallengeParameters.USER_ID_FOR_SRP || asked, sub: undefined }
  if (unusable.has(name))
    return { is: 'misconfigured', detail: `The user pool asks for ${name}, which needs its own app.` }
  return { is: 'unavailable', detail: 'Cognito asks for a challenge that does not belong to this flow.' }
}

const challenges: ReadonlyMap<string, Right> = new Map([
  ['NEW_PASSWORD_REQUIRED', 'must_change'],
  ['SOFTWARE_TOKEN_MFA', 'mfa_required'],
  ['SMS_MFA', 'mfa_required'],
  ['EMAIL_OTP', 'mfa_required'],
  ['SELECT_MFA_TYPE', 'mfa_required'],
  ['MFA_SETUP', 'mfa_required'],
])

const unusable = new Set(['CUSTOM_CHALLENGE', 'DEVICE_SRP_AUTH'])

/** Whose token it is. It came over TLS from the issuer itself, is read for that alone, and thrown away. */
const readToken = (token: string): Proved => {
  try {
    const { username, sub } = decodeJwt(token)
    if (typeof username === 'string' && username && sub) return { is: 'ok', username, sub }
  } catch {}
  return { is: 'unavailable', detail: 'Cognito let somebody in, and its access token does not say whom.' }
}
