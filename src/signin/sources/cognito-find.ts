import type { Identifier } from '../../directory/identifiers.ts'
import type { CognitoCalls, Said, User } from './cognito-calls.ts'
import { spellings } from './cognito-check.ts'
import { getPerson, type Person, unreadable } from './cognito-people.ts'
import { refusal, troubleOf } from './cognito-refusal.ts'
import type { CognitoSettings } from './cognito-settings.ts'
import { isBlocked, isExternal, isNamed, isOf, isProved, knownBy } from './cognito-user.ts'
import type { Found } from './source.ts'

/** Looks for whoever an identifier is of, in its canonical form and then as it was typed. */
export const find = async (calls: CognitoCalls, settings: CognitoSettings, identifier: Identifier): Promise<Found> => {
  const names = spellings(identifier)
  for (const name of names) {
    const found = await findAs(calls, settings, identifier, name)
    if (found !== 'nobody') return found
  }
  // ListUsers minds the case of an address, where a user pool itself may not.
  const [name] = identifier.kind === 'username' ? [] : names
  return name === undefined ? { is: 'not_found' } : conclude(await getPerson(calls, settings, name), identifier)
}

/** The value of a filter of ListUsers: `"` ends it, and `\` takes the next character as it is. */
export const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

const findAs = async (
  calls: CognitoCalls,
  settings: CognitoSettings,
  identifier: Identifier,
  name: string,
): Promise<Found | 'nobody'> => {
  if (identifier.kind === 'username') {
    const person = await getPerson(calls, settings, name)
    return person.is === 'not_found' ? 'nobody' : conclude(person, identifier)
  }
  const matches = await listMatches(calls, `${attributes[identifier.kind]} = ${quote(name)}`)
  if (matches.is === 'refused') return troubleOf(matches)
  if (matches.said.length === 0) return 'nobody'
  if (!matches.said.every((user) => isOf(identifier, user))) return unreadable
  const chosen = choose(matches.said, identifier.kind)
  return chosen ? conclude(await getPerson(calls, settings, chosen.Username), identifier) : { is: 'not_found' }
}

const attributes = { email: 'email', mobile: 'phone_number' } as const

/** Who has no password there cannot move over; of several others the address belongs to the one who proved it. */
const choose = (matches: User[], kind: 'email' | 'mobile'): User | undefined => {
  const [first, ...others] = matches.filter((user) => !isExternal(user))
  if (others.length === 0) return first
  const proved = [first, ...others].filter((user) => user && !isBlocked(user) && isProved(kind, user))
  return proved.length === 1 ? proved[0] : undefined
}

const conclude = (person: Person, identifier: Identifier): Found => {
  if (person.is !== 'person') return person
  const { user, outsider } = person
  // Somebody's name may look like an address that is not theirs.
  if (!isOf(identifier, user)) return isNamed(identifier, user) ? { is: 'not_found' } : unreadable
  if (isBlocked(user)) return { is: 'blocked' }
  return isExternal(user) ? { is: 'not_found' } : { is: 'ok', user: knownBy(identifier, user, outsider) }
}

// A page of a filtered list may be empty and not the last.
const listMatches = async (calls: CognitoCalls, filter: string): Promise<Said<User[]>> => {
  const users: User[] = []
  let next: string | undefined
  for (let page = 0; page < 5; page += 1) {
    const answer = await calls.listUsers({ filter, next })
    if (answer.is === 'refused') return answer
    users.push(...answer.said.Users)
    next = answer.said.PaginationToken
    if (next === undefined) return { is: 'said', said: users }
  }
  return refusal('ListUsers', { status: 200 })
}
