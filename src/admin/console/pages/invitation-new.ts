import type { Field } from '../../../platform/http/render.ts'
import type { Json } from '../../openapi.ts'
import { type Choice, clientsOf, type Gifts, giftFields, giftsOf, readGifts, workspacesOf } from '../choices.ts'
import type { FieldGroup } from '../fields.ts'
import { demandRoute, formIn, type Inside, openPool, typedAgain } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { profileFields, readProfile } from '../user-form.ts'

const path = '/pools/{pool}/invitations/~new'

export const newInvitationPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => showNew(visit) },
  { method: 'POST', path, handle: (visit) => create(visit) },
]

interface Inviting {
  inside: Inside
  workspaces: Choice[]
  /** The slug of the one that invites; empty where the operator sees none. */
  workspace: string
  clients: Choice[]
  gifts: Gifts
}

const openNew = async (visit: Visit, wanted: string | undefined): Promise<Inviting> => {
  demandRoute(visit, 'createInvitation')
  const inside = await openPool(visit)
  const [workspaces, gifts] = await Promise.all([connectedOf(visit, inside), giftsOf(visit, inside)])
  const chosen = workspaces.find(({ value }) => value === wanted) ?? workspaces[0]
  const workspace = chosen?.value ?? ''
  return { inside, workspaces, workspace, clients: await clientsOf(visit, workspace), gifts }
}

/** The workspaces that a pool's people can sign in to, as far as the operator may know; at most twenty are asked. */
const connectedOf = async (visit: Visit, { pool }: Inside): Promise<Choice[]> => {
  const all = await workspacesOf(visit)
  if (!allows(visit, 'listConnections')) return all
  const connected = await Promise.all(
    all.slice(0, 20).map(async ({ value }) => {
      const { body } = await call(visit, 'listConnections', { params: { workspace: value }, query: { limit: '200' } })
      return (body.items as Json[]).some(({ pool_id, enabled }) => pool_id === pool.id && enabled)
    }),
  )
  return all.filter((_, index) => connected[index] ?? true)
}

const showNew = async (visit: Visit): Promise<Outcome> => {
  const inviting = await openNew(visit, visit.query.workspace)
  return drawNew(visit, inviting, newGroups(inviting))
}

const create = async (visit: Visit): Promise<Outcome> => {
  const { form } = visit
  const inviting = await openNew(visit, form.workspace)
  try {
    const { body } = await call(visit, 'createInvitation', { body: bodyOf(form, inviting) })
    const to = `${inviting.inside.base}/invitations/${body.id}`
    return { to, notice: `Invited: a message to ${body.identifier} is on its way.` }
  } catch (error) {
    return drawNew(visit, inviting, typedAgain(newGroups(inviting), form), faultsFor(error))
  }
}

const bodyOf = (form: Record<string, string>, { inside: { pool }, workspace, gifts }: Inviting): Json => ({
  identifier: form.identifier?.trim() ?? '',
  ...(workspace ? { workspace } : {}),
  profile: invited(readProfile(pool, form, {})),
  ...readGifts(form, gifts),
  expires_in_hours: Number(form.expires_in_days || 3) * 24,
  message: form.message?.trim() || null,
  client_id: form.client_id?.trim() || null,
  return_to: form.return_to?.trim() || null,
})

// A box that is not ticked says nothing of somebody who has not answered yet.
const invited = (profile: Json): Json =>
  Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== false))

const newGroups = ({ inside: { pool }, clients, gifts }: Inviting): FieldGroup[] => [
  {
    title: null,
    fields: [
      { name: 'identifier', kind: 'email', label: 'Email', required: true, autocomplete: 'off' },
      {
        name: 'message',
        kind: 'textarea',
        label: 'A few words from you',
        maxlength: 1000,
        hint: 'Plain text, for the mail and the page.',
      },
      {
        name: 'expires_in_days',
        kind: 'number',
        label: 'Good for how many days',
        value: '3',
        min: 1,
        max: 365,
        step: 1,
      },
    ],
  },
  {
    title: 'Filled in before',
    fields: profileFields(pool, {}, { complete: false }).map((field) => ({ ...field, required: false })),
  },
  { title: null, fields: giftFields(gifts) },
  { title: 'Where they go afterwards', fields: wayFields(clients) },
]

const wayFields = (clients: Choice[]): Field[] => [
  clients.length > 0
    ? {
        name: 'client_id',
        kind: 'select',
        label: 'Application',
        hint: 'They are signed in to it once they have registered.',
        options: [{ value: '', label: 'None: they see that they are done' }, ...clients],
      }
    : {
        name: 'client_id',
        kind: 'text',
        label: 'Application',
        hint: 'Its client id. They are signed in to it once they have registered.',
        autocomplete: 'off',
      },
  {
    name: 'return_to',
    kind: 'url',
    label: 'Page of the application',
    hint: 'An address at one of its origins; its usual one unless told.',
    autocomplete: 'off',
  },
]

const drawNew = (
  visit: Visit,
  { inside, workspaces, workspace }: Inviting,
  groups: FieldGroup[],
  faults: { alert?: string; errors?: Record<string, string> } = {},
): Outcome => {
  const ways = workspaces.map(({ value, label }) => ({
    title: `From ${label}`,
    href: `${visit.path}?workspace=${encodeURIComponent(value)}`,
    here: value === workspace,
  }))
  const errors = faults.errors && toForm(faults.errors)
  const form = {
    title: 'Invite somebody',
    lead: 'They get a message with a link to a page that asks for what is missing, and for a way to sign in.',
    groups,
    submit: 'Send the invitation',
    ways: ways.length > 1 ? ways : [],
    hidden: { workspace },
    ...faults,
    ...(errors ? { errors } : {}),
  }
  return formIn(inside, visit, { section: 'invitations', above: [] }, form)
}

const toForm = ({ '/expires_in_hours': expiry, ...errors }: Record<string, string>): Record<string, string> =>
  expiry === undefined ? errors : { ...errors, '/expires_in_days': 'One day to 365 days' }
