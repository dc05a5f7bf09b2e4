import { activity } from './activity.ts'
import { applications } from './applications.ts'
import { connected } from './connected.ts'
import { data } from './data.ts'
import { factors } from './factors.ts'
import { identifiers } from './identifiers.ts'
import { overview } from './overview.ts'
import { password } from './password.ts'
import { profile } from './profile.ts'
import { requests } from './requests.ts'
import { sessions } from './sessions.ts'
import type { AccountPage, AccountSection, AccountVisit } from './visit.ts'

/** The sections of the account, in their order. A new one is a file in this folder and a line here. */
const sections: AccountSection[] = [
  profile,
  identifiers,
  password,
  factors,
  connected,
  sessions,
  applications,
  requests,
  activity,
  data,
]

/** Every page there is. */
export const pages: AccountPage[] = [
  overview((visit) => sections.filter(has(visit))),
  ...sections.flatMap((one) => one.pages),
]

const has =
  (visit: AccountVisit) =>
  ({ offered }: AccountSection): boolean =>
    offered === undefined || offered(visit)

/** The page at an address below /account, with what stands in the place of its `:part`. Plain names come first. */
export const findPage = (path: string): { page: AccountPage; part: string } | undefined => {
  const plain = pages.find((page) => page.path === path)
  if (plain) return { page: plain, part: '' }
  const [, head = '', part = ''] = /^(.+)\/([^/:]+)$/.exec(path) ?? []
  const page = pages.find((one) => one.path === `${head}/:part`)
  return page && { page, part }
}
