import type { Outsider } from '../outsider.ts'
import type { CognitoCalls, User } from './cognito-calls.ts'
import { type Refusal, refusal, troubleOf } from './cognito-refusal.ts'
import type { CognitoSettings } from './cognito-settings.ts'
import { readUser } from './cognito-user.ts'
import type { Trouble } from './source.ts'

/** Everything Cognito tells of somebody, by their own name there. */
export type Person = { is: 'person'; user: User; outsider: Outsider } | { is: 'not_found' } | Trouble

/** Looks somebody up, with their groups: both calls at once, since the name is known. */
export const getPerson = async (calls: CognitoCalls, settings: CognitoSettings, username: string): Promise<Person> => {
  const [user, groups] = await Promise.all([calls.adminGetUser(username), listGroups(calls, username)])
  for (const answer of [user, groups]) if (isTrouble(answer)) return troubleOf(answer)
  if (user.is !== 'said' || groups.is !== 'said') return { is: 'not_found' }
  const outsider = readUser(user.said, groups.said, settings)
  return outsider ? { is: 'person', user: user.said, outsider } : unreadable
}

/** Whether Cognito says that there is nobody of this name. */
export const isUnknown = (refused: Refusal): boolean => refused.name === 'UserNotFoundException'

/** What was answered fits no question; it may be somebody else's, so nothing of it is told. */
export const unreadable: Trouble = {
  is: 'unavailable',
  detail: 'Cognito answered with what does not belong to whom it was asked about, or told no `sub`.',
}

const isTrouble = (answer: { is: 'said' } | Refusal): answer is Refusal => answer.is === 'refused' && !isUnknown(answer)

// A user may be in 100 groups; a page holds 60.
const listGroups = async (calls: CognitoCalls, username: string): Promise<{ is: 'said'; said: string[] } | Refusal> => {
  const names: string[] = []
  let next: string | undefined
  for (let page = 0; page < 10; page += 1) {
    const answer = await calls.adminListGroupsForUser(username, next)
    if (answer.is === 'refused') return answer
    names.push(...answer.said.Groups.map(({ GroupName }) => GroupName))
    next = answer.said.NextToken
    if (next === undefined) return { is: 'said', said: names }
  }
  return refusal('AdminListGroupsForUser', { status: 200 })
}
