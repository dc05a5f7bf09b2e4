import { inTime, unavailable } from './asking.ts'
import { openCognitoCalls } from './cognito-calls.ts'
import { check } from './cognito-check.ts'
import { find } from './cognito-find.ts'
import { troubleOf } from './cognito-refusal.ts'
import { type CognitoSettings, cognitoSecrets, cognitoSettings } from './cognito-settings.ts'
import { tryOut } from './cognito-trial.ts'
import { isBlocked, isExternal, readUser } from './cognito-user.ts'
import type { OpenSource, Source } from './source.ts'

/** A user pool of Amazon Cognito, over its API (docs/cognito.md). */
export const cognito: Source<CognitoSettings> = {
  name: 'cognito',
  settings: cognitoSettings,
  secrets: cognitoSecrets,
  open: (settings, { fetch }): OpenSource => {
    const calls = openCognitoCalls(settings, fetch)
    return {
      check: (asked) => inTime(check(calls, settings, asked), late),
      find: ({ identifier }) => inTime(find(calls, settings, identifier), late),
      test: () => tryOut(calls),
      list: async (cursor) => {
        const page = await calls.listUsers({ next: cursor })
        if (page.is === 'refused') return troubleOf(page)
        const people = page.said.Users.filter((user) => !isBlocked(user) && !isExternal(user))
        // Groups would be one more call for each of them.
        const users = people.flatMap((user) => readUser(user, [], settings) ?? [])
        return { is: 'ok', users, next: page.said.PaginationToken }
      },
    }
  },
}

const late = unavailable('Cognito took more than three seconds for all that it was asked.')
