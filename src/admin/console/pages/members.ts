import type { Json } from '../../openapi.ts'
import { linesOf } from '../choices.ts'
import { demandRoute, formValues, type Inside, openPool, pageOf, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { personName } from '../user-form.ts'

const one = '/pools/{pool}/groups/{id}'

export const memberPages: ConsolePage[] = [
  { method: 'GET', path: one, handle: (visit) => show(visit) },
  { method: 'POST', path: `${one}/~add`, handle: (visit) => addMany(visit) },
  { method: 'POST', path: `${one}/members/{user}/~add`, handle: (visit) => addOne(visit) },
  { method: 'POST', path: `${one}/members/{user}/~remove`, handle: (visit) => removeOne(visit) },
]

const place = ({ params: { pool = '', id = '' } }: Visit) => ({ pool, id })

/** The group that a page is about, for a route that the operator may call. Throws `forbidden` and `not_found`. */
export const openGroup = async (visit: Visit, route: string) => {
  demandRoute(visit, route)
  const inside = await openPool(visit)
  const { body: group, etag } = await call(visit, 'getGroup', { params: place(visit) })
  return { inside, group, etag, here: `${inside.base}/groups/${group.id}` }
}

interface Said {
  /** What the pasted list held, and what is wrong with it. */
  typed?: string
  alert?: string
  errors?: Record<string, string>
}

const show = async (visit: Visit, said: Said = {}): Promise<Outcome> => {
  const opened = await openGroup(visit, 'getGroup')
  const { inside, group, here } = opened
  const descendants = visit.query.descendants === 'true'
  const find = visit.query.find?.trim() ?? ''
  const cursor = visit.query.cursor ? { cursor: visit.query.cursor } : {}
  const [members, below, found] = await Promise.all([
    call(visit, 'listMembers', { params: place(visit), query: { descendants: String(descendants), ...cursor } }),
    call(visit, 'listGroups', {
      params: { pool: place(visit).pool },
      query: { parent_id: String(group.id), limit: '200' },
    }),
    find ? findUsers(visit, inside, group, find) : [],
  ])
  const mayChange = allows(visit, 'changeMembers')
  const { items, first, next } = pageOf({ ...visit, path: here }, members.body)
  const lines = { name: 'identifiers', kind: 'textarea' as const, label: 'Addresses, numbers or usernames, one a line' }
  const skip = { name: 'skip', kind: 'checkbox' as const, label: 'Leave out whoever is not in this pool' }
  const values = {
    here,
    group,
    actions: {
      edit: allows(visit, 'updateGroup') ? `${here}/~edit` : null,
      remove: allows(visit, 'deleteGroup') ? `${here}/~delete` : null,
      create: allows(visit, 'createGroup') ? `${inside.base}/groups/~new?parent=${group.id}` : null,
      users: allows(visit, 'listUsers') ? `${inside.base}/users?group=${group.id}` : null,
    },
    below: (below.body.items as Json[]).map(({ id, name }) => ({ name, href: `${inside.base}/groups/${id}` })),
    descendants,
    members: items.map((member) => memberOf(member, inside, here, mayChange)),
    first,
    next,
    mayChange,
    mayFind: mayChange && allows(visit, 'listUsers'),
    find,
    found,
    pasted: formValues({
      groups: [{ title: null, fields: [{ ...lines, value: said.typed ?? '' }, skip] }],
      submit: 'Take them in',
      alert: said.alert,
      ...(said.errors ? { errors: said.errors } : {}),
    }),
  }
  const status = said.alert ? 422 : 200
  return screenIn(inside, visit, {
    section: 'groups',
    above: [],
    view: 'console/group',
    title: String(group.name),
    status,
    values,
  })
}

const memberOf = (member: Json, { base }: Inside, here: string, mayChange: boolean) => {
  const identifiers = (member.identifiers as { value: string }[]).map(({ value }) => value)
  return {
    name: identifiers[0] ?? String(member.id),
    others: identifiers.slice(1, 3),
    href: `${base}/users/${member.id}`,
    status: member.status,
    direct: member.direct,
    remove: mayChange && member.direct ? `${here}/members/${member.id}/~remove` : null,
  }
}

const findUsers = async (visit: Visit, { base }: Inside, group: Json, search: string) => {
  const query = { search, limit: '10' }
  const { body } = await call(visit, 'listUsers', { params: { pool: place(visit).pool }, query })
  return (body.items as Json[]).map((user) => ({
    name: personName(user),
    identifiers: (user.identifiers as { value: string }[]).map(({ value }) => value).slice(0, 2),
    href: `${base}/users/${user.id}`,
    add: (user.groups as unknown[]).includes(group.path) ? null : `${base}/groups/${group.id}/members/${user.id}/~add`,
  }))
}

const membersHref = (visit: Visit, { base }: Inside) => `${base}/groups/${visit.params.id}`

const member = ({ params: { pool = '', id = '', user = '' } }: Visit) => ({ pool, id, user })

const addOne = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  await call(visit, 'addMember', { params: member(visit) })
  return { to: membersHref(visit, inside), notice: 'Taken into the group.' }
}

const removeOne = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  await call(visit, 'removeMember', { params: member(visit) })
  return { to: membersHref(visit, inside), notice: 'Taken out of the group.' }
}

const mostAtOnce = 200

const addMany = async (visit: Visit): Promise<Outcome> => {
  const { form } = visit
  const inside = await openPool(visit)
  const typed = form.identifiers ?? ''
  const lines = [...new Set(linesOf(typed))]
  if (lines.length === 0) return show(visit, tell(typed, 'Nobody was named.', 'Name at least one'))
  if (lines.length > mostAtOnce)
    return show(
      visit,
      tell(typed, `That is ${lines.length}; at most ${mostAtOnce} can be taken in at once.`, 'Too many'),
    )
  try {
    const { added, left } = await take(visit, lines, form.skip === 'true')
    const gone = left > 0 ? ` ${left} were left out.` : ''
    const known = lines.length - left - added
    const there = known > 0 ? ` ${known} were in it already.` : ''
    return { to: membersHref(visit, inside), notice: `${added} taken into the group.${there}${gone}` }
  } catch (error) {
    const strange = strangersOf(error, lines)
    return show(visit, tell(typed, 'Nobody was taken in.', `Not in this pool: ${strange.join(', ')}`))
  }
}

const tell = (typed: string, alert: string, detail: string): Said => ({
  typed,
  alert,
  errors: { '/identifiers': detail },
})

/** Takes many in at once; who is not there is left out where that was asked for. */
const take = async (visit: Visit, lines: string[], skip: boolean): Promise<{ added: number; left: number }> => {
  const add = async (some: string[]) => {
    const { body } = await call(visit, 'changeMembers', { params: place(visit), body: { add_identifiers: some } })
    return Number(body.added)
  }
  try {
    return { added: await add(lines), left: 0 }
  } catch (error) {
    const strange = strangersOf(error, lines)
    if (!skip) throw error
    const others = lines.filter((line) => !strange.includes(line))
    return { added: others.length > 0 ? await add(others) : 0, left: strange.length }
  }
}

const strangersOf = (error: unknown, lines: string[]): string[] =>
  Object.keys(faultsFor(error).errors).flatMap((pointer) => lines[Number(pointer.split('/')[2])] ?? [])
