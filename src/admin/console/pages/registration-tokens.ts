import type { ConsolePage, Outcome, Told, Visit } from '../page.ts'
import { pagesOf, type Section } from '../section.ts'
import { aboveWorkspace, workspaceHref, workspaceTabs } from './workspaces.ts'

const uses = (left: unknown): string => (left === null ? 'any number' : String(left))

const tokens: Section = {
  path: '/workspaces/{workspace}/registration-tokens',
  param: 'id',
  one: 'registration token',
  many: 'Registration tokens',
  about:
    'Whoever has one can register a client of this workspace by itself, within the bounds that the workspace sets under “Clients that come by themselves”.',
  routes: {
    list: 'listRegistrationTokens',
    get: 'getRegistrationToken',
    create: 'createRegistrationToken',
    remove: 'deleteRegistrationToken',
  },
  id: ({ id }) => String(id),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Clients left', text: ({ uses_left: left }) => uses(left) },
    { title: 'Made', text: ({ created_at }) => String(created_at), as: 'time' },
    { title: 'Good until', text: ({ expires_at }) => String(expires_at), as: 'time' },
  ],
  above: aboveWorkspace,
  tabs: workspaceTabs,
  dangerous: true,
  wording: () => ({
    labels: { uses: 'Clients', expires_in_days: 'Days' },
    hints: {
      name: 'Whom or what it is for. It stands in the list and in the events.',
      uses: 'How many clients may register by it. Empty: any number.',
      expires_in_days: 'For how many days it is good.',
    },
    groups: [{ title: 'The token', fields: ['name', 'uses', 'expires_in_days'] }],
  }),
  facts: (item) => [
    {
      title: null,
      facts: [
        { name: 'Clients left', value: uses(item.uses_left) },
        { name: 'Made', value: String(item.created_at), as: 'time' },
        { name: 'Good until', value: String(item.expires_at), as: 'time' },
      ],
    },
  ],
  made: (visit, told) => tokenOf(visit, told),
  loss: ({ name }) => `Nobody registers by ${name} any more. Clients that did stay.`,
}

/** The page that shows a token this once. */
const tokenOf = (visit: Visit, { body }: Told): Outcome => {
  const list = `${workspaceHref(visit)}/registration-tokens`
  const crumbs = [{ title: 'Registration tokens', href: list }]
  const values = { token: body.token, next: list }
  return { show: { view: 'console/registration-token', title: String(body.name), crumbs, values } }
}

export const registrationTokenPages: ConsolePage[] = pagesOf(tokens)
