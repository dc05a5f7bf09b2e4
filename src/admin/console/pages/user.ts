import type { Json } from '../../openapi.ts'
import { type Choice, groupChoices, groupsOf, rolesOf, tenantsOf } from '../choices.ts'
import { humanName } from '../fields.ts'
import { type Inside, openPool, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { personName, profileFacts } from '../user-form.ts'
import { typeTitles } from './pool-words.ts'

const one = '/pools/{pool}/users/{id}'

export const userPages: ConsolePage[] = [
  { method: 'GET', path: one, handle: (visit) => show(visit) },
  press('~activation', (visit) => call(visit, 'sendActivation'), 'The message is on its way.'),
  press('~reset', (visit) => call(visit, 'sendPasswordReset'), 'The message with the link is on its way.'),
  press('~deactivate', (visit) => setStatus(visit, 'inactive'), 'Deactivated, and signed out everywhere.'),
  press('~reactivate', (visit) => setStatus(visit, 'active'), 'Active again.'),
  press('~lift', (visit) => call(visit, 'liftTombstone'), 'They can come back from where they live, as a new user.'),
  press('~sign-out', (visit) => call(visit, 'endSessions'), 'Signed out everywhere.'),
  press('sessions/{session}/~end', (visit) => call(visit, 'endSession'), 'The session is over.'),
  press('~join', (visit) => changeGroup(visit, 'add'), 'Taken into the group.'),
  press('~leave', (visit) => changeGroup(visit, 'remove'), 'Taken out of the group.'),
  press('~give-role', (visit) => changeRole(visit, 'assignRole'), 'The role is given.'),
  press('~take-role', (visit) => changeRole(visit, 'unassignRole'), 'The role is taken away.'),
  press('~join-tenant', (visit) => changeTenant(visit, 'joinTenant'), 'They belong to the tenant now.'),
  press('~leave-tenant', (visit) => changeTenant(visit, 'leaveTenant'), 'They belong to the tenant no longer.'),
]

/** A button of a user's page; what stands in its way is said on that page. */
function press(path: string, act: (visit: Visit) => Promise<unknown>, notice: string): ConsolePage {
  const handle = async (visit: Visit): Promise<Outcome> => {
    try {
      await act(visit)
    } catch (error) {
      return show(visit, saidOf(faultsFor(error)))
    }
    const { base } = await openPool(visit)
    return { to: `${base}/users/${visit.params.id}`, notice }
  }
  return { method: 'POST', path: `${one}/${path}`, handle }
}

const saidOf = ({ alert, errors }: { alert: string; errors: Record<string, string> }): string =>
  Object.values(errors)[0] ?? alert

/** Who a page is about. */
const whom = ({ params: { pool = '', id = '' } }: Visit) => ({ pool, id })

const setStatus = (visit: Visit, status: string) => call(visit, 'updateUser', { body: { status } })

const changeGroup = (visit: Visit, how: 'add' | 'remove') => {
  const { pool, id: user } = whom(visit)
  const { group: id = '' } = visit.form
  return call(visit, how === 'add' ? 'addMember' : 'removeMember', { params: { pool, id, user } })
}

const changeRole = (visit: Visit, route: string) => {
  const { role = '', within = '' } = visit.form
  return call(visit, route, { params: { ...whom(visit), role }, query: within ? { within } : {} })
}

const changeTenant = (visit: Visit, route: string) =>
  call(visit, route, { params: { ...whom(visit), tenant: visit.form.tenant ?? '' } })

const show = async (visit: Visit, alert?: string): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { body: user } = await call(visit, 'getUser', { params: whom(visit) })
  const here = `${inside.base}/users/${user.id}`
  const [proofs, belongings, events] = await Promise.all([
    proofsOf(visit, user, here),
    belongingsOf(visit, inside, user),
    eventsOf(visit, inside, user),
  ])
  const values = {
    here,
    kept: keptElsewhere(inside, user),
    user: { status: user.status, facts: factsOf(inside, user), identifiers: user.identifiers },
    actions: actionsOf(visit, inside, user, here),
    alert: alert ?? null,
    others: [],
    ...proofs,
    ...belongings,
    ...events,
  }
  const title = user.status === 'deleted' ? 'Deleted user' : personName(user)
  const status = alert ? 422 : 200
  return screenIn(inside, visit, { section: 'users', above: [], view: 'console/user', title, status, values })
}

const changeable = (visit: Visit, { status }: Json, route: string): boolean =>
  status !== 'deleted' && allows(visit, route)

const actionsOf = (visit: Visit, inside: Inside, user: Json, here: string) => {
  const { pool } = inside
  const { status, identifiers } = user as { status: string; identifiers: { type: string }[] }
  const hasEmail = identifiers.some(({ type }) => type === 'email')
  const hasPasswords = (pool.sign_in_methods as string[]).includes('password')
  const may = (route: string, also = true) => also && changeable(visit, user, route)
  const own = keptElsewhere(inside, user) === null
  const lifts = status === 'deleted' && pool.kind !== 'local' && allows(visit, 'liftTombstone')
  const link = (title: string, path: string, fits: boolean) => ({ title, href: fits ? `${here}/${path}` : null })
  return {
    edit: may('updateUser', own) ? `${here}/~edit` : null,
    remove: may('deleteUser') ? `${here}/~delete` : null,
    password: may('setPassword', hasPasswords && own) ? `${here}/~password` : null,
    presses: [
      link('Send the activation again', '~activation', may('sendActivation', status === 'new' && hasEmail)),
      link(
        'Send a password reset',
        '~reset',
        may('sendPasswordReset', status === 'active' && hasEmail && hasPasswords && own),
      ),
      link('Deactivate', '~deactivate', may('updateUser', status === 'active')),
      link('Reactivate', '~reactivate', may('updateUser', status === 'inactive')),
      link('Let them come back', '~lift', lifts),
    ].filter(({ href }) => href !== null),
  }
}

/** What there is to say besides what has a section of its own. */
const factsOf = ({ pool }: Inside, user: Json) => {
  const { profile, metadata } = user as { profile: Json; metadata: Json }
  return [
    { name: 'Id', value: String(user.id), as: 'code' },
    ...profileFacts(pool, profile).map(({ name, value }) => ({ name, ...toldOf(value) })),
    ...Object.entries(metadata).map(([name, value]) => ({ name: `${humanName(name)} (metadata)`, ...toldOf(value) })),
    ...(user.external_id ? [{ name: 'Name in another system', value: String(user.external_id), as: 'code' }] : []),
    ...sourceFacts(user),
    { name: 'Password checked by', value: authorities[String(user.authority)] ?? String(user.authority), as: 'text' },
    { name: 'Made', value: String(user.created_at), as: 'time' },
    { name: 'Changed', value: String(user.updated_at), as: 'time' },
    { name: 'Last sign-in', value: String(user.last_sign_in_at ?? ''), as: 'time' },
  ]
}

const sourceFacts = ({ source }: Json) => {
  if (!source) return []
  const { type, migrated_at } = source as { type: string; migrated_at: string | null }
  const moved = migrated_at ? [{ name: 'Moved here', value: migrated_at, as: 'time' }] : []
  return [{ name: 'Came from', value: typeTitles[type] ?? type, as: 'text' }, ...moved]
}

/** Why an operator cannot change somebody; null where they can. */
const keptElsewhere = ({ pool }: Inside, { authority }: Json): string | null => {
  const { mode, type } = (pool.source ?? {}) as { mode?: string; type?: string }
  if (mode !== 'sync' || authority !== 'linked') return null
  return `Their name, profile and password are kept in ${typeTitles[type ?? ''] ?? type} and can only be changed there.`
}

const authorities: Record<string, string> = {
  local: 'this pool',
  linked: 'the source of the pool',
  migrated: 'this pool, since they moved here from its source',
}

const toldOf = (value: unknown): { value: string; as: string } => {
  if (typeof value === 'boolean') return { value: value ? 'Yes' : 'No', as: 'text' }
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object'))
    return { value: value.join(', '), as: 'text' }
  if (typeof value === 'object') return { value: JSON.stringify(value, null, 2), as: 'json' }
  return { value: String(value), as: 'text' }
}

const proofsOf = async (visit: Visit, user: Json, here: string) => {
  const [credentials, sessions, links] = await Promise.all([
    call(visit, 'listCredentials'),
    call(visit, 'listSessions'),
    call(visit, 'listLinks'),
  ])
  const remove = changeable(visit, user, 'deleteCredential')
  const end = changeable(visit, user, 'endSession')
  const cut = changeable(visit, user, 'deleteLink')
  return {
    links: (links.body.items as Json[]).map((link) => ({
      ...link,
      remove: cut ? `${here}/links/${link.pool}/~delete` : null,
    })),
    credentials: (credentials.body.items as Json[]).map((credential) => ({
      name: credentialNames[String(credential.type)] ?? humanName(String(credential.type)),
      made: credential.created_at,
      used: credential.used_at ?? '',
      remove: remove ? `${here}/credentials/${credential.id}/~delete` : null,
    })),
    sessions: (sessions.body.items as Json[]).map((session) => ({
      workspace: session.workspace,
      amr: (session.amr as string[]).join(', '),
      began: session.created_at,
      proved: session.authenticated_at,
      end: end ? `${here}/sessions/${encodeURIComponent(String(session.id))}/~end` : null,
    })),
    endAll: end ? `${here}/~sign-out` : null,
  }
}

/** What each kind of credential is called. */
export const credentialNames: Record<string, string> = {
  password: 'Password',
  passkey: 'Passkey',
  totp: 'Authenticator app',
  recovery_code: 'Recovery codes',
  device: 'Remembered browser',
}

const nothing = { body: { items: [] as Json[] } }

const belongingsOf = async (visit: Visit, inside: Inside, user: Json) => {
  const params = whom(visit)
  const asked = (route: string) => (allows(visit, route) ? call(visit, route, { params }) : nothing)
  const [groups, roles, tenants, all] = await Promise.all([
    allows(visit, 'listUserGroups') ? call(visit, 'listUserGroups', { params, query: { limit: '200' } }) : nothing,
    asked('listUserRoles'),
    asked('listUserTenants'),
    choicesOf(visit, inside, user),
  ])
  const mine = { groups: groups.body.items as Json[], tenants: tenants.body.items as Json[] }
  const names = new Map(mine.tenants.map(({ id, name }) => [id, String(name)]))
  return {
    groups: {
      shown: allows(visit, 'listUserGroups'),
      list: mine.groups.map(({ id, path }) => ({ id, path, href: `${inside.base}/groups/${id}` })),
      add: without(all.groups, mine.groups),
      change: changeable(visit, user, 'addMember'),
      more: 'next_cursor' in groups.body && groups.body.next_cursor !== null,
    },
    roles: {
      shown: allows(visit, 'listUserRoles'),
      list: (roles.body.items as Json[]).map((role) => ({
        id: role.id,
        name: role.name,
        key: role.key,
        within: role.within ?? '',
        where: role.within ? (names.get(role.within) ?? role.within) : 'everywhere',
        permissions: (role.permissions as string[]).join(', '),
      })),
      add: all.roles,
      places: mine.tenants.map(({ id, name }) => ({ value: id, label: name })),
      change: changeable(visit, user, 'assignRole'),
    },
    tenants: {
      shown: allows(visit, 'listUserTenants'),
      list: mine.tenants.map(({ id, name, slug }) => ({ id, name, slug })),
      add: without(all.tenants, mine.tenants),
      change: changeable(visit, user, 'joinTenant'),
    },
  }
}

/** What there is to give, as far as the operator may. */
const choicesOf = async (visit: Visit, inside: Inside, user: Json) => {
  const may = (route: string) => changeable(visit, user, route)
  const tenants = may('joinTenant') || may('assignRole') ? await tenantsOf(visit, inside) : []
  const [groups, roles] = await Promise.all([
    may('addMember') ? groupsOf(visit).then(groupChoices) : [],
    may('assignRole') ? rolesOf(visit, tenants) : [],
  ])
  return { groups, roles, tenants }
}

const without = (choices: Choice[], has: Json[]): Choice[] =>
  choices.filter(({ value }) => !has.some(({ id }) => id === value))

const eventsOf = async (visit: Visit, { pool }: Inside, { id }: Json) => {
  const { body } = await call(visit, 'listUserEvents', { params: whom(visit), query: { limit: '20' } })
  const query = new URLSearchParams({ pool: String(pool.slug), user: String(id) })
  return {
    events: (body.items as Json[]).map(({ type, at, data }) => ({ type, at, by: byOf(data as Json) })),
    log: allows(visit, 'listEvents') ? `/console/events?${query}` : null,
  }
}

const byOf = ({ by }: Json): string => {
  const { kind, name, id } = (by ?? {}) as { kind?: string; name?: string; id?: string }
  return [kind ?? '', name ?? id ?? ''].filter(Boolean).join(' ')
}
