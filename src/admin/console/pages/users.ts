import type { Field } from '../../../platform/http/render.ts'
import type { Json } from '../../openapi.ts'
import { type Gifts, giftFields, giftsOf, groupChoices, groupsOf, readGifts, workspacesOf } from '../choices.ts'
import type { FieldGroup } from '../fields.ts'
import { demandRoute, formIn, type Inside, openPool, pageOf, queryOf, screenIn, typedAgain } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import {
  type Kind,
  kindNames,
  kindsOf,
  metadataFields,
  personName,
  profileFields,
  readMetadata,
  readProfile,
} from '../user-form.ts'

export const usersPages: ConsolePage[] = [
  { method: 'GET', path: '/pools/{pool}/users', handle: (visit) => list(visit) },
  { method: 'GET', path: '/pools/{pool}/users/~new', handle: (visit) => showNew(visit) },
  { method: 'POST', path: '/pools/{pool}/users/~new', handle: (visit) => create(visit) },
]

const list = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const query = queryOf(visit, ['search', 'status', 'group', 'identifier', 'external_id'])
  const [{ body }, groups] = await Promise.all([call(visit, 'listUsers', { query }), groupsOf(visit)])
  const { items, first, next } = pageOf(visit, body)
  const here = `${inside.base}/users`
  const values = {
    filters: filtersOf(query, groupChoices(groups)),
    searching: Object.keys(query).length > 0,
    users: items.map((user) => rowOf(user, here)),
    first,
    next,
    create: allows(visit, 'createUser') ? `${here}/~new` : null,
  }
  return screenIn(inside, visit, { section: 'users', view: 'console/users', title: 'Users', values })
}

const filtersOf = (query: Record<string, string>, groups: { value: string; label: string }[]): Field[] => {
  const any = (label: string) => ({ value: '', label })
  const status = ['new', 'active', 'inactive', 'deleted'].map((value) => ({
    value,
    label: humanStatus[value] ?? value,
  }))
  const fields: Field[] = [
    { name: 'search', kind: 'text', label: 'Search', value: query.search ?? '', autocomplete: 'off' },
    { name: 'status', kind: 'select', label: 'Status', value: query.status ?? '', options: [any('All'), ...status] },
  ]
  const byGroup: Field = {
    name: 'group',
    kind: 'select',
    label: 'Group',
    value: query.group ?? '',
    options: [any('All'), ...groups],
  }
  return groups.length > 0 ? [...fields, byGroup] : fields
}

const humanStatus: Record<string, string> = { new: 'New', active: 'Active', inactive: 'Inactive', deleted: 'Deleted' }

const rowOf = (user: Json, here: string) => {
  const identifiers = (user.identifiers as { value: string }[]).map(({ value }) => value)
  const name = personName(user)
  const groups = user.groups as string[]
  return {
    href: `${here}/${user.id}`,
    name,
    identifiers: identifiers.filter((value) => value !== name).slice(0, 2),
    others: Math.max(0, identifiers.length - 2),
    status: String(user.status),
    groups: groups.slice(0, 2),
    otherGroups: Math.max(0, groups.length - 2),
    seen: user.last_sign_in_at ?? '',
    made: String(user.created_at),
  }
}

type Mode = 'invite' | 'set_credentials'

interface Making {
  inside: Inside
  mode: Mode
  modes: Mode[]
  gifts: Gifts
  workspaces: { value: string; label: string }[]
}

/** Which forms a pool can have: an invitation needs an address, a password needs that anybody signs in by one. */
const modesOf = ({ pool }: Inside): Mode[] => {
  const methods = pool.sign_in_methods as string[]
  const invite: Mode[] = kindsOf(pool).includes('email') ? ['invite'] : []
  return methods.includes('password') || invite.length === 0 ? [...invite, 'set_credentials'] : invite
}

const openNew = async (visit: Visit, wanted: string | undefined): Promise<Making> => {
  demandRoute(visit, 'createUser')
  const inside = await openPool(visit)
  const modes = modesOf(inside)
  const mode = modes.find((one) => one === wanted) ?? modes[0] ?? 'set_credentials'
  const [gifts, workspaces] = await Promise.all([giftsOf(visit, inside), mode === 'invite' ? workspacesOf(visit) : []])
  return { inside, mode, modes, gifts, workspaces }
}

const showNew = async (visit: Visit): Promise<Outcome> => {
  const making = await openNew(visit, visit.query.mode)
  return drawNew(visit, making, newGroups(making))
}

const create = async (visit: Visit): Promise<Outcome> => {
  const { form } = visit
  const making = await openNew(visit, form.mode)
  const { inside, mode } = making
  const kinds = kindsOf(inside.pool).filter((kind) => form[kind]?.trim())
  try {
    const { body: user } = await call(visit, 'createUser', { body: bodyOf(form, making, kinds) })
    const told = mode === 'invite' ? 'Invited: the message is on its way.' : 'Made: they can sign in now.'
    return { to: `${inside.base}/users/${user.id}`, notice: `${personName(user)}. ${told}` }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const groups = typedAgain(newGroups(making), form)
    return drawNew(visit, making, groups, { alert, errors: byKind(errors, kinds, inside) })
  }
}

const bodyOf = (form: Record<string, string>, { inside, mode, gifts }: Making, kinds: Kind[]): Json => {
  const { pool } = inside
  const told = {
    mode,
    identifiers: kinds.map((type) => ({
      type,
      value: form[type],
      ...(mode === 'set_credentials' ? { verified: form[`${type}_verified`] === 'true' } : {}),
    })),
    profile: readProfile(pool, form, {}),
    metadata: readMetadata(form, {}),
    ...readGifts(form, gifts),
  }
  if (mode === 'invite') return { ...told, ...(form.workspace ? { workspace: form.workspace } : {}) }
  return { ...told, password: form.password ?? '', must_change: form.must_change === 'true' }
}

/** What the API says of the first, second, third identifier is said at the field of its kind. */
const byKind = (errors: Record<string, string>, kinds: Kind[], { pool }: Inside): Record<string, string> => {
  const first = kindsOf(pool)[0] ?? 'email'
  const entries = Object.entries(errors).map(([pointer, detail]) => {
    const [, index] = pointer.match(/^\/identifiers\/(\d+)/) ?? []
    if (index !== undefined) return [`/${kinds[Number(index)] ?? first}`, detail]
    return pointer === '/identifiers'
      ? [`/${first}`, kinds.length > 0 ? detail : 'Say at least one']
      : [pointer, detail]
  })
  return Object.fromEntries(entries)
}

const newGroups = ({ inside: { pool }, mode, gifts, workspaces }: Making): FieldGroup[] => {
  const sender: Field = {
    name: 'workspace',
    kind: 'select',
    label: 'Invited by',
    hint: 'The workspace whose looks the message has, and where they sign in.',
    options: [{ value: '', label: 'The first one of the pool' }, ...workspaces],
  }
  return [
    { title: null, fields: kindsOf(pool).flatMap((kind) => identifierFields(kind, mode, kindsOf(pool).length === 1)) },
    ...(mode === 'set_credentials' ? [{ title: null, fields: passwordFields(pool) }] : []),
    { title: 'Profile', fields: profileFields(pool, {}, { complete: true }) },
    { title: null, fields: metadataFields(pool, {}) },
    { title: null, fields: giftFields(gifts) },
    ...(mode === 'invite' && workspaces.length > 1 ? [{ title: null, fields: [sender] }] : []),
  ]
}

const identifierFields = (kind: Kind, mode: Mode, only: boolean): Field[] => {
  const field: Field = {
    name: kind,
    kind: kind === 'email' ? 'email' : kind === 'mobile' ? 'tel' : 'text',
    label: kindNames[kind],
    required: only || (mode === 'invite' && kind === 'email'),
    autocomplete: 'off',
  }
  const known: Field = { name: `${kind}_verified`, kind: 'checkbox', label: `I know that this ${kind} is theirs` }
  return mode === 'set_credentials' && kind !== 'username' ? [field, known] : [field]
}

/** The fields of a password that an operator chooses. */
export const passwordFields = ({ password_policy }: Json): Field[] => {
  const { min_length: least } = password_policy as { min_length: number }
  return [
    {
      name: 'password',
      kind: 'password',
      label: 'Password',
      required: true,
      autocomplete: 'new-password',
      minlength: least,
      hint: `At least ${least} characters.`,
      meter: { least },
    },
    {
      name: 'must_change',
      kind: 'checkbox',
      label: 'They choose another one when they first sign in',
      value: 'true',
    },
  ]
}

const modeNames: Record<Mode, { title: string; lead: string; submit: string }> = {
  invite: {
    title: 'Invite',
    lead: 'They get a message with a link and a code, and choose how to sign in themselves.',
    submit: 'Send the invitation',
  },
  set_credentials: {
    title: 'Set a password',
    lead: 'They are active at once and sign in with the password that you choose. No message goes out.',
    submit: 'Make the user',
  },
}

const drawNew = (
  visit: Visit,
  { inside, mode, modes }: Making,
  groups: FieldGroup[],
  faults: { alert?: string; errors?: Record<string, string> } = {},
): Outcome => {
  const { lead, submit } = modeNames[mode]
  const ways = modes.map((one) => ({
    title: modeNames[one].title,
    href: `${visit.path}?mode=${one}`,
    here: one === mode,
  }))
  const form = { title: 'New user', groups, submit, lead, ways: ways.length > 1 ? ways : [], hidden: { mode } }
  return formIn(inside, visit, { section: 'users', above: [] }, { ...form, ...faults })
}
