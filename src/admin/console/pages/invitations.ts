import type { Json } from '../../openapi.ts'
import { type Choice, groupsOf, rolesOf, tenantsOf } from '../choices.ts'
import { humanName } from '../fields.ts'
import { demandRoute, formIn, type Inside, openPool, pageOf, queryOf, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { profileFacts } from '../user-form.ts'

const path = '/pools/{pool}/invitations'
const one = `${path}/{id}`

export const invitationPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => list(visit) },
  { method: 'GET', path: one, handle: (visit) => show(visit) },
  { method: 'POST', path: `${one}/~resend`, handle: (visit) => resend(visit) },
  { method: 'GET', path: `${one}/~revoke`, handle: (visit) => showRevoke(visit) },
  { method: 'POST', path: `${one}/~revoke`, handle: (visit) => revoke(visit) },
]

const states = ['pending', 'accepted', 'expired', 'revoked']

const list = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const query = queryOf(visit, ['state'])
  const { body } = await call(visit, 'listInvitations', { query })
  const { items, first, next } = pageOf(visit, body)
  const here = `${inside.base}/invitations`
  const values = {
    ways: [
      { title: 'All', href: here, here: !query.state },
      ...states.map((state) => ({
        title: humanName(state),
        href: `${here}?state=${state}`,
        here: query.state === state,
      })),
    ],
    state: query.state ?? '',
    invitations: items.map((item) => ({
      href: `${here}/${item.id}`,
      identifier: item.identifier,
      state: item.state,
      by: inviterOf(item),
      made: item.created_at,
      expires: item.expires_at,
    })),
    first,
    next,
    create: allows(visit, 'createInvitation') ? `${here}/~new` : null,
  }
  const title = 'Invitations'
  return screenIn(inside, visit, { section: 'invitations', view: 'console/invitations', title, values })
}

const inviterOf = ({ invited_by }: Json): string => {
  const { kind, name } = invited_by as { kind: string; name?: string }
  return name ?? (kind === 'client' ? 'An application' : kind === 'system' ? 'Lido itself' : 'An operator')
}

const open = async (visit: Visit, route: string) => {
  demandRoute(visit, route)
  const inside = await openPool(visit)
  const { pool = '', id = '' } = visit.params
  const { body: invitation } = await call(visit, 'getInvitation', { params: { pool, id } })
  return { inside, invitation, here: `${inside.base}/invitations/${invitation.id}` }
}

type Opened = Awaited<ReturnType<typeof open>>

const show = async (visit: Visit, alert?: string): Promise<Outcome> => {
  const { inside, invitation, here } = await open(visit, 'getInvitation')
  const { state } = invitation
  const live = state === 'pending' || state === 'expired'
  const values = {
    alert: alert ?? null,
    others: [],
    state,
    link: linkSays[String(state)] ?? '',
    expires: invitation.expires_at,
    user: invitation.user_id ? `${inside.base}/users/${invitation.user_id}` : null,
    facts: await factsOf(visit, inside, invitation),
    resend: live && allows(visit, 'resendInvitation') ? `${here}/~resend` : null,
    revoke: state === 'pending' && allows(visit, 'revokeInvitation') ? `${here}/~revoke` : null,
  }
  const title = String(invitation.identifier)
  const status = alert ? 422 : 200
  return screenIn(inside, visit, {
    section: 'invitations',
    above: [],
    view: 'console/invitation',
    title,
    status,
    values,
  })
}

const linkSays: Record<string, string> = {
  pending: 'The link in the newest message works until',
  expired: 'The link works no longer. It did until',
  accepted: 'The link was used. It would have worked until',
  revoked: 'The invitation was taken back, and its link is dead. It would have worked until',
}

const factsOf = async (visit: Visit, inside: Inside, invitation: Json) => {
  const tenants = await tenantsOf(visit, inside)
  const [groups, roles, workspaces] = await Promise.all([
    groupsOf(visit),
    rolesOf(visit, tenants),
    workspaceName(visit, String(invitation.workspace_id)),
  ])
  const named = (choices: Choice[], ids: unknown) =>
    (ids as string[]).map((id) => choices.find(({ value }) => value === id)?.label ?? id).join('\n')
  const paths = groups.list.map(({ id, path }) => ({ value: id, label: path }))
  const facts = [
    { name: 'Invited by', value: inviterOf(invitation), as: 'text' },
    { name: 'Workspace', value: workspaces, as: 'text' },
    { name: 'Message', value: String(invitation.message ?? ''), as: 'text' },
    ...profileFacts(inside.pool, invitation.profile as Json).map(({ name, value }) => ({
      name,
      value: typeof value === 'string' ? value : JSON.stringify(value),
      as: 'text',
    })),
    { name: 'Groups', value: named(paths, invitation.groups), as: 'text' },
    { name: 'Roles', value: named(roles, invitation.roles), as: 'text' },
    { name: 'Tenant', value: invitation.tenant ? named(tenants, [invitation.tenant]) : '', as: 'text' },
    { name: 'Application', value: String(invitation.client_id ?? ''), as: 'code' },
    { name: 'Goes on to', value: String(invitation.return_to ?? ''), as: 'text' },
    { name: 'Made', value: String(invitation.created_at), as: 'time' },
    { name: 'Last sent or changed', value: String(invitation.updated_at), as: 'time' },
    { name: 'Accepted', value: String(invitation.accepted_at ?? ''), as: 'time' },
  ]
  return facts.filter(({ value }) => value !== '')
}

const workspaceName = async (visit: Visit, id: string): Promise<string> => {
  if (!allows(visit, 'getWorkspace')) return ''
  const { body } = await call(visit, 'getWorkspace', { params: { workspace: id } })
  return String(body.name)
}

const resend = async (visit: Visit): Promise<Outcome> => {
  const { here } = await open(visit, 'resendInvitation')
  try {
    await call(visit, 'resendInvitation')
    return { to: here, notice: 'Sent again with a new link. The old one is dead.' }
  } catch (error) {
    return show(visit, faultsFor(error).alert)
  }
}

const showRevoke = async (visit: Visit): Promise<Outcome> => drawRevoke(visit, await open(visit, 'revokeInvitation'))

const drawRevoke = (visit: Visit, { inside, invitation, here }: Opened, more: object = {}): Outcome => {
  const form = {
    title: `Take back the invitation of ${invitation.identifier}`,
    lead: 'Its link and its code are dead at once, and nobody is told. You can invite the same address again.',
    groups: [],
    submit: 'Take it back',
    danger: true,
    ...more,
  }
  const above = [{ title: String(invitation.identifier), href: here }]
  return formIn(inside, visit, { section: 'invitations', above }, form)
}

const revoke = async (visit: Visit): Promise<Outcome> => {
  const opened = await open(visit, 'revokeInvitation')
  try {
    await call(visit, 'revokeInvitation')
    return { to: opened.here, notice: 'The invitation was taken back.' }
  } catch (error) {
    return drawRevoke(visit, opened, { alert: faultsFor(error).alert })
  }
}
