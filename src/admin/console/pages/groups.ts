import type { Json } from '../../openapi.ts'
import { type Groups, groupsOf } from '../choices.ts'
import { type FieldGroup, mergePatch } from '../fields.ts'
import { demandRoute, formIn, openPool, pageOf, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { openGroup } from './members.ts'

const path = '/pools/{pool}/groups'
const one = `${path}/{id}`

export const groupPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => list(visit) },
  { method: 'GET', path: `${path}/~new`, handle: (visit) => showNew(visit) },
  { method: 'POST', path: `${path}/~new`, handle: (visit) => create(visit) },
  { method: 'GET', path: `${one}/~edit`, handle: (visit) => showEdit(visit) },
  { method: 'POST', path: `${one}/~edit`, handle: (visit) => update(visit) },
  { method: 'GET', path: `${one}/~delete`, danger: true, handle: (visit) => showDelete(visit) },
  { method: 'POST', path: `${one}/~delete`, danger: true, handle: (visit) => remove(visit) },
]

/** A group with those in it, as the tree draws it. */
interface Branch {
  name: string
  href: string
  description: string
  inside: Branch[]
}

const list = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const search = visit.query.search?.trim() ?? ''
  const here = `${inside.base}/groups`
  const shown = search ? await foundOf(visit, search, here) : await treeOf(visit, here)
  const values = { search, create: allows(visit, 'createGroup') ? `${here}/~new` : null, ...shown }
  return screenIn(inside, visit, { section: 'groups', view: 'console/groups', title: 'Groups', values })
}

const foundOf = async (visit: Visit, search: string, here: string) => {
  const { cursor } = visit.query
  const { body } = await call(visit, 'listGroups', { query: { search, ...(cursor ? { cursor } : {}) } })
  const { items, first, next } = pageOf(visit, body)
  return { tree: [], found: items.map(({ id, path }) => ({ href: `${here}/${id}`, path })), first, next, partly: false }
}

/** The whole tree of a pool; of one with more groups than fit a page, those at the top, and each leads on. */
const treeOf = async (visit: Visit, here: string) => {
  const groups = await groupsOf(visit)
  if (!groups.more) return { tree: branchesOf(groups, null, here), found: [], first: null, next: null, partly: false }
  const { cursor } = visit.query
  const { body } = await call(visit, 'listGroups', { query: { parent_id: 'none', ...(cursor ? { cursor } : {}) } })
  const { items, first, next } = pageOf(visit, body)
  return { tree: items.map((item) => branchOf(item, here)), found: [], first, next, partly: true }
}

const branchOf = ({ id, name, description }: Json, here: string): Branch => ({
  name: String(name),
  href: `${here}/${id}`,
  description: String(description),
  inside: [],
})

const branchesOf = ({ list }: Groups, parentId: string | null, here: string): Branch[] => {
  const below = Map.groupBy(list, (group) => group.parentId)
  const grow = (id: string | null): Branch[] =>
    (below.get(id) ?? []).map((group) => ({ ...branchOf({ ...group }, here), inside: grow(group.id) }))
  return grow(parentId)
}

type Opened = Awaited<ReturnType<typeof openGroup>>

const aboveOf = ({ group, here }: Opened) => [{ title: String(group.path), href: here }]

const showNew = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'createGroup')
  return drawNew(visit, { parent_id: visit.query.parent ?? null })
}

const drawNew = async (visit: Visit, values: Json, more: object = {}): Promise<Outcome> => {
  const inside = await openPool(visit)
  const groups = fieldsFor(await groupsOf(visit), values, [])
  return formIn(
    inside,
    visit,
    { section: 'groups', above: [] },
    { title: 'New group', groups, submit: 'Make the group', ...more },
  )
}

const create = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'createGroup')
  const inside = await openPool(visit)
  const wanted = readGroup(visit.form)
  try {
    const { body } = await call(visit, 'createGroup', { body: wanted })
    return { to: `${inside.base}/groups/${body.id}`, notice: 'The group was made.' }
  } catch (error) {
    return drawNew(visit, wanted, faultsFor(error))
  }
}

const readGroup = ({ name = '', description = '', parent_id }: Record<string, string>): Json => ({
  name: name.trim(),
  description: description.trim(),
  parent_id: parent_id || null,
})

/** The fields of a group; it is in none of `below`, which are itself and what is in it. */
const fieldsFor = ({ list, more }: Groups, values: Json, below: string[]): FieldGroup[] => {
  const parent = String(values.parent_id ?? '')
  const places = list.filter(({ id }) => !below.includes(id)).map(({ id, path }) => ({ value: id, label: path }))
  const known = parent === '' || places.some(({ value }) => value === parent)
  return [
    {
      title: null,
      fields: [
        { name: 'name', kind: 'text', label: 'Name', required: true, maxlength: 100, value: String(values.name ?? '') },
        {
          name: 'description',
          kind: 'textarea',
          label: 'Description',
          maxlength: 1000,
          value: String(values.description ?? ''),
        },
        {
          name: 'parent_id',
          kind: 'select',
          label: 'In',
          hint: more
            ? 'The first thousand groups of the pool.'
            : 'The group that this one stands in, with everyone below it.',
          value: parent,
          options: [
            { value: '', label: 'No other group: at the top' },
            ...places,
            ...(known ? [] : [{ value: parent, label: 'Where it is now' }]),
          ],
        },
      ],
    },
  ]
}

const belowOf = ({ list }: Groups, { id, path }: Json): string[] => [
  String(id),
  ...list.filter((group) => group.path.startsWith(`${path}/`)).map((group) => group.id),
]

const showEdit = async (visit: Visit): Promise<Outcome> => {
  const opened = await openGroup(visit, 'updateGroup')
  return drawEdit(visit, opened, opened.group)
}

const drawEdit = async (visit: Visit, opened: Opened, values: Json, more: object = {}): Promise<Outcome> => {
  const all = await groupsOf(visit)
  const form = {
    title: `Change ${opened.group.name}`,
    groups: fieldsFor(all, values, belowOf(all, opened.group)),
    submit: 'Save',
    hidden: { etag: visit.form.etag ?? opened.etag ?? '' },
    ...more,
  }
  return formIn(opened.inside, visit, { section: 'groups', above: aboveOf(opened) }, form)
}

const update = async (visit: Visit): Promise<Outcome> => {
  const opened = await openGroup(visit, 'updateGroup')
  const wanted = readGroup(visit.form)
  try {
    const body = mergePatch(opened.group, wanted)
    await call(visit, 'updateGroup', { body, ifMatch: visit.form.etag || undefined })
    return { to: opened.here, notice: 'The group was changed.' }
  } catch (error) {
    return drawEdit(visit, opened, wanted, faultsFor(error))
  }
}

const showDelete = async (visit: Visit): Promise<Outcome> => drawDelete(visit, await openGroup(visit, 'deleteGroup'))

const drawDelete = (visit: Visit, opened: Opened, more: object = {}): Outcome => {
  const form = {
    title: `Delete ${opened.group.name}`,
    lead: `Everybody in ${opened.group.path} stays a user, and is in this group no longer: their next tokens say so. This cannot be undone.`,
    groups: [],
    submit: 'Delete the group',
    danger: true,
    ...more,
  }
  return formIn(opened.inside, visit, { section: 'groups', above: aboveOf(opened) }, form)
}

const remove = async (visit: Visit): Promise<Outcome> => {
  const opened = await openGroup(visit, 'deleteGroup')
  try {
    await call(visit, 'deleteGroup')
    return { to: `${opened.inside.base}/groups`, notice: 'The group was deleted.' }
  } catch (error) {
    return drawDelete(visit, opened, { alert: faultsFor(error).alert })
  }
}
