import type { Field } from '../../../platform/http/render.ts'
import type { Json } from '../../openapi.ts'
import { mergePatch } from '../fields.ts'
import { demandRoute, type FormGroup, formIn, type Inside, openPool, typedAgain } from '../inside.ts'
import { type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import {
  kindNames,
  kindsOf,
  metadataFields,
  personName,
  profileFields,
  readMetadata,
  readProfile,
} from '../user-form.ts'
import { credentialNames } from './user.ts'
import { passwordFields } from './users.ts'

const one = '/pools/{pool}/users/{id}'
const credential = `${one}/credentials/{credential}`
const link = `${one}/links/{link}`

export const userChangePages: ConsolePage[] = [
  { method: 'GET', path: `${one}/~edit`, handle: (visit) => showEdit(visit) },
  { method: 'POST', path: `${one}/~edit`, handle: (visit) => update(visit) },
  { method: 'GET', path: `${one}/~password`, danger: true, handle: (visit) => showPassword(visit) },
  { method: 'POST', path: `${one}/~password`, danger: true, handle: (visit) => setPassword(visit) },
  { method: 'GET', path: `${one}/~delete`, danger: true, handle: (visit) => showDelete(visit) },
  { method: 'POST', path: `${one}/~delete`, danger: true, handle: (visit) => remove(visit) },
  { method: 'GET', path: `${credential}/~delete`, danger: true, handle: (visit) => showRemoval(visit) },
  { method: 'POST', path: `${credential}/~delete`, danger: true, handle: (visit) => removeCredential(visit) },
  { method: 'GET', path: `${link}/~delete`, danger: true, handle: (visit) => showCut(visit) },
  { method: 'POST', path: `${link}/~delete`, danger: true, handle: (visit) => cutLink(visit) },
]

interface Subject {
  inside: Inside
  user: Json
  etag: string | undefined
  href: string
}

const open = async (visit: Visit, route: string): Promise<Subject> => {
  demandRoute(visit, route)
  const inside = await openPool(visit)
  const { pool = '', id = '' } = visit.params
  const { body: user, etag } = await call(visit, 'getUser', { params: { pool, id } })
  return { inside, user, etag, href: `${inside.base}/users/${user.id}` }
}

type Drawn = Omit<Parameters<typeof formIn>[3], 'title'> & { title: string }

const draw = (visit: Visit, { inside, user, href }: Subject, form: Drawn): Outcome =>
  formIn(inside, visit, { section: 'users', above: [{ title: personName(user), href }] }, form)

const showEdit = async (visit: Visit): Promise<Outcome> => {
  const subject = await open(visit, 'updateUser')
  return drawEdit(visit, subject, editGroups(subject))
}

const drawEdit = (visit: Visit, subject: Subject, groups: FormGroup[], more: Partial<Drawn> = {}): Outcome =>
  draw(visit, subject, {
    title: `Change ${personName(subject.user)}`,
    lead: 'A value that is emptied is taken away. Verified means that you know it is theirs.',
    groups,
    submit: 'Save',
    hidden: { etag: visit.form.etag ?? subject.etag ?? '' },
    ...more,
  })

const update = async (visit: Visit): Promise<Outcome> => {
  const subject = await open(visit, 'updateUser')
  const { form } = visit
  try {
    const body = mergePatch(subject.user, wantedOf(subject, form))
    await call(visit, 'updateUser', { body, ifMatch: form.etag || undefined })
    return { to: subject.href, notice: 'Changed.' }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    return drawEdit(visit, subject, typedAgain(editGroups(subject), form), { alert, errors: toRows(errors, form) })
  }
}

/** A user who has so many identifiers can get so many more at once. */
const rowsOf = ({ identifiers }: Json): number => (identifiers as Json[]).length + 1

const wantedOf = ({ inside: { pool }, user }: Subject, form: Record<string, string>): Json => ({
  status: form.status || user.status,
  identifiers: filledRows(form).map((row) => ({
    type: form[`identifiers.${row}.type`],
    value: form[`identifiers.${row}.value`],
    verified: form[`identifiers.${row}.verified`] === 'true',
  })),
  profile: readProfile(pool, form, user.profile as Json),
  metadata: readMetadata(form, user.metadata as Json),
})

const filledRows = (form: Record<string, string>): string[] =>
  Object.keys(form).flatMap((name) => {
    const [, row = ''] = name.match(/^identifiers\.(\d{1,2})\.value$/) ?? []
    return row && form[name]?.trim() ? [row] : []
  })

/** What the API says of the identifiers that were sent is said at the rows that they stood in. */
const toRows = (errors: Record<string, string>, form: Record<string, string>): Record<string, string> => {
  const rows = filledRows(form)
  return Object.fromEntries(
    Object.entries(errors).map(([pointer, detail]) => [
      pointer === '/identifiers'
        ? '/identifiers/0/value'
        : pointer.replace(/^\/identifiers\/(\d+)/, (_, index: string) => `/identifiers/${rows[Number(index)] ?? 0}`),
      detail,
    ]),
  )
}

const editGroups = ({ inside: { pool }, user }: Subject): FormGroup[] => {
  const identifiers = user.identifiers as { type: string; value: string; verified: boolean }[]
  const statuses = user.status === 'new' ? ['new', 'active', 'inactive'] : ['active', 'inactive']
  const status: Field = {
    name: 'status',
    kind: 'select',
    label: 'Status',
    value: String(user.status),
    options: statuses.map((value) => ({ value, label: value })),
    hint: 'Whoever is inactive is signed out everywhere and cannot sign in.',
  }
  const rows = Array.from({ length: rowsOf(user) }, (_, row) => identifierRow(pool, row, identifiers[row]))
  return [
    ...rows,
    { title: 'Profile', fields: profileFields(pool, user.profile as Json, { complete: true }) },
    { title: null, fields: metadataFields(pool, user.metadata as Json) },
    { title: null, fields: [status] },
  ]
}

const identifierRow = (
  pool: Json,
  row: number,
  known: { type: string; value: string; verified: boolean } | undefined,
): FormGroup => {
  const kinds = new Set([...kindsOf(pool), ...(known ? [known.type] : [])])
  const options = [...kinds].map((value) => ({ value, label: kindNames[value as keyof typeof kindNames] }))
  const at = `identifiers.${row}`
  return {
    title: known ? `Identifier ${row + 1}` : 'One more identifier',
    line: true,
    fields: [
      { name: `${at}.type`, kind: 'select', label: 'Kind', value: known?.type ?? options[0]?.value ?? '', options },
      {
        name: `${at}.value`,
        kind: 'text',
        label: 'Value',
        value: known?.value ?? '',
        autocomplete: 'off',
      },
      {
        name: `${at}.verified`,
        kind: 'checkbox',
        label: 'Verified',
        value: String(known?.verified ?? false),
      },
    ],
  }
}

const showPassword = async (visit: Visit): Promise<Outcome> => drawPassword(visit, await open(visit, 'setPassword'))

const drawPassword = (visit: Visit, subject: Subject, more: Partial<Drawn> = {}): Outcome =>
  draw(visit, subject, {
    title: 'Set a password',
    lead: `The password of ${personName(subject.user)} becomes the one you choose, and they are signed out everywhere. Tell it to them yourself: no message goes out.`,
    groups: [{ title: null, fields: passwordFields(subject.inside.pool) }],
    submit: 'Set the password',
    username: (subject.user.identifiers as { value: string }[])[0]?.value ?? '',
    danger: true,
    ...more,
  })

const setPassword = async (visit: Visit): Promise<Outcome> => {
  const subject = await open(visit, 'setPassword')
  const { password = '', must_change } = visit.form
  try {
    await call(visit, 'setPassword', { body: { password, must_change: must_change === 'true' } })
    return { to: subject.href, notice: 'The password is set, and every session has ended.' }
  } catch (error) {
    const groups = typedAgain([{ title: null, fields: passwordFields(subject.inside.pool) }], visit.form)
    return drawPassword(visit, subject, { groups, ...faultsFor(error) })
  }
}

const showDelete = async (visit: Visit): Promise<Outcome> => drawDelete(visit, await open(visit, 'deleteUser'))

const drawDelete = (visit: Visit, subject: Subject, more: Partial<Drawn> = {}): Outcome => {
  const { groups, roles } = subject.user as { groups: string[]; roles: string[] }
  const count = (list: string[], one: string) => `${list.length} ${list.length === 1 ? one : `${one}s`}`
  return draw(visit, subject, {
    title: `Delete ${personName(subject.user)}`,
    lead: `Their profile, everything they go by and everything they sign in with go for good, and so does their place in ${count(groups, 'group')} and ${count(roles, 'role')}. Sessions, tokens and links that are out there end within seconds. The id stays behind so that nobody ever gets it again. This cannot be undone; to keep somebody out for a while, deactivate them instead.`,
    groups: [],
    submit: 'Delete the user',
    danger: true,
    ...more,
  })
}

const remove = async (visit: Visit): Promise<Outcome> => {
  const subject = await open(visit, 'deleteUser')
  try {
    await call(visit, 'deleteUser')
    return { to: `${subject.inside.base}/users`, notice: 'The user was deleted.' }
  } catch (error) {
    return drawDelete(visit, subject, { alert: faultsFor(error).alert })
  }
}

const openCredential = async (visit: Visit) => {
  const subject = await open(visit, 'deleteCredential')
  const { pool = '', id = '', credential = '' } = visit.params
  const { body } = await call(visit, 'listCredentials', { params: { pool, id } })
  const found = (body.items as Json[]).find((one) => one.id === credential)
  const name = found ? (credentialNames[String(found.type)] ?? String(found.type)) : 'credential'
  return { subject, name: name.toLowerCase() }
}

const showRemoval = async (visit: Visit): Promise<Outcome> => {
  const { subject, name } = await openCredential(visit)
  return draw(visit, subject, {
    title: `Remove the ${name}`,
    lead: `${personName(subject.user)} can no longer sign in with it, and every session of theirs ends. This cannot be undone.`,
    groups: [],
    submit: `Remove the ${name}`,
    danger: true,
  })
}

const removeCredential = async (visit: Visit): Promise<Outcome> => {
  const { subject, name } = await openCredential(visit)
  await call(visit, 'deleteCredential')
  return { to: subject.href, notice: `The ${name} is gone, and every session has ended.` }
}

const openLink = async (visit: Visit) => {
  const subject = await open(visit, 'deleteLink')
  const { pool = '', id = '', link = '' } = visit.params
  const { body } = await call(visit, 'listLinks', { params: { pool, id } })
  const found = (body.items as Json[]).find((one) => one.pool === link)
  return { subject, name: found ? String(found.pool_name) : link }
}

const showCut = async (visit: Visit, more: Partial<Drawn> = {}): Promise<Outcome> => {
  const { subject, name } = await openLink(visit)
  return draw(visit, subject, {
    title: `Remove ${name}`,
    lead: `${personName(subject.user)} can no longer sign in by way of ${name}, and every session of theirs ends. They can connect it again.`,
    groups: [],
    submit: `Remove ${name}`,
    danger: true,
    ...more,
  })
}

const cutLink = async (visit: Visit): Promise<Outcome> => {
  const { subject, name } = await openLink(visit)
  try {
    await call(visit, 'deleteLink', { query: visit.form.confirm === 'true' ? { confirm: 'true' } : {} })
    return { to: subject.href, notice: `${name} is gone, and every session has ended.` }
  } catch (error) {
    faultsFor(error)
    const alert = 'It is the only way by which they can sign in. Remove it again if that is meant.'
    return showCut(visit, { alert, hidden: { confirm: 'true' } })
  }
}
