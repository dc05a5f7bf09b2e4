import type { Field } from '../../platform/http/render.ts'
import { Problem } from '../../platform/problem.ts'
import { demand } from '../access.ts'
import type { Json } from '../openapi.ts'
import type { FieldGroup } from './fields.ts'
import { allows, call, getRoute, type Outcome, type Screen, type Visit } from './page.ts'

/** A pool as the pages inside it know it. */
export interface Inside {
  pool: Json
  /** The address of the pool's page. */
  base: string
}

/** The pool that a visit is in. Throws `not_found` where it does not exist for this operator. */
export const openPool = async (visit: Visit): Promise<Inside> => {
  const { body: pool } = await call(visit, 'getPool', { params: { pool: visit.params.pool ?? '' } })
  return { pool, base: `/console/pools/${encodeURIComponent(String(pool.slug))}` }
}

/** What a page inside a pool shows, besides what every one of them does. */
interface Shown extends Pick<Screen, 'view' | 'title' | 'values'> {
  /** Where the page belongs, as the last part of the address of its list; the list itself is not above itself. */
  section: Section
  /** The pages between that list and this one. */
  above?: { title: string; href: string }[]
  status?: number
}

/** A page inside a pool, with the ways to the pool's other sections. */
export const screenIn = (
  { pool, base }: Inside,
  visit: Visit,
  { section, above, values, status = 200, ...rest }: Shown,
): Outcome => {
  const list = { title: sections[section].title, href: `${base}/${section}` }
  const crumbs = [
    { title: 'Pools', href: '/console/pools' },
    { title: String(pool.name), href: base },
    ...(above ? [list, ...above] : []),
  ]
  return { show: { ...rest, status, crumbs, values: { tabs: tabsOf(base, visit, section, pool), ...values } } }
}

type Section = keyof typeof sections

const sections = {
  users: { title: 'Users', route: 'listUsers' },
  groups: { title: 'Groups', route: 'listGroups' },
  invitations: { title: 'Invitations', route: 'listInvitations' },
  imports: { title: 'Imports', route: 'listImports' },
  exports: { title: 'Exports', route: 'exportUsers' },
  migration: { title: 'Migration', route: 'getMigration' },
}

/** The ways from one part of a pool to the others; the pool's own page comes first. Only an external pool has a migration. */
export const tabsOf = (base: string, visit: Visit, section?: Section, pool?: Json) => [
  { title: 'Overview', href: base, here: section === undefined },
  ...Object.entries(sections)
    .filter(([name, { route }]) => allows(visit, route) && (name !== 'migration' || Boolean(pool?.source)))
    .map(([name, { title }]) => ({ title, href: `${base}/${name}`, here: name === section })),
]

/** Throws `forbidden` before a page is drawn that could not be sent. */
export const demandRoute = (visit: Visit, name: string): void => demand(visit.actor, getRoute(name).scope)

/** Fields that stand together, in a line where there is room. */
export interface FormGroup extends FieldGroup {
  line?: boolean
}

/** A form as `console/inside-form` draws it. */
interface Drawn {
  title: string
  groups: FormGroup[]
  submit: string
  lead?: string
  /** Other forms for the same purpose, as links. */
  ways?: { title: string; href: string; here: boolean }[]
  hidden?: Record<string, string>
  /** Whose password the form sets, for the managers of passwords. */
  username?: string
  danger?: boolean
  /** What went wrong as a whole. */
  alert?: string | undefined
  /** What went wrong by JSON pointer; what no field of the form can show is listed above it. */
  errors?: Record<string, string>
}

/** What `console/inside-form` is drawn from. */
export const formValues = ({ groups, errors = {}, ...form }: Omit<Drawn, 'title'>): Json => {
  const left = { ...errors }
  const told = groups.map(({ title, fields, line = false }) => ({
    title,
    line,
    fields: fields.map((field) => withError(field, left)),
  }))
  return {
    groups: told.filter(({ fields }) => fields.length > 0),
    focus: told.flatMap(({ fields }) => fields).find(({ error }) => error)?.name ?? '',
    others: Object.entries(left).map(([pointer, detail]) => `${pointer.slice(1).replaceAll('/', ' → ')}: ${detail}`),
    submit: form.submit,
    lead: form.lead ?? null,
    ways: form.ways ?? [],
    hidden: Object.entries(form.hidden ?? {}).map(([name, value]) => ({ name, value })),
    username: form.username ?? null,
    danger: form.danger ?? false,
    alert: form.alert ?? null,
  }
}

/** A form inside a pool; one that something is wrong with answers 422. */
export const formIn = (
  inside: Inside,
  visit: Visit,
  place: Pick<Shown, 'section'> & { above: NonNullable<Shown['above']> },
  { title, ...form }: Drawn,
): Outcome => {
  const status = form.alert || form.errors ? 422 : 200
  return screenIn(inside, visit, { ...place, view: 'console/inside-form', title, status, values: formValues(form) })
}

/** A field with what went wrong in it or in a part of it, which is then told. */
const withError = (field: Field, errors: Record<string, string>): Field => {
  const own = pointerOf(field.name)
  const pointers = Object.keys(errors).filter((pointer) => pointer === own || pointer.startsWith(`${own}/`))
  const details = new Set(pointers.map((pointer) => errors[pointer] ?? ''))
  for (const pointer of pointers) delete errors[pointer]
  return details.size > 0 ? { ...field, error: [...details].join('. ') } : field
}

// A property of a profile may have any name, a dot in it too; what stands in an object of ours has none.
const pointerOf = (name: string): string => {
  const [head = '', ...rest] = name.split('.')
  const whole = head === 'profile' ? [head, rest.join('.')] : [head, ...rest]
  return whole.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Refuses fields of a form by JSON pointer. */
export const refuse = (errors: Record<string, string>): Problem =>
  new Problem('unprocessable', {
    errors: Object.entries(errors).map(([pointer, detail]) => ({ pointer, detail })),
  })

/** What a form said, drawn again; secrets are not. */
export const typedAgain = (groups: FormGroup[], form: Record<string, string>): FormGroup[] =>
  groups.map((group) => ({ ...group, fields: group.fields.map((field) => again(field, form)) }))

const again = (field: Field, form: Record<string, string>): Field => {
  if (field.kind === 'password') return field
  if (field.kind !== 'checks') return { ...field, value: form[field.name] ?? '' }
  const ticked = (field.options ?? []).map(({ value }) => value).filter((value) => form[`${field.name}.${value}`])
  return { ...field, values: ticked }
}

/** Rows and the way on of a list that the API answered. */
export const pageOf = (visit: Visit, body: Json): { items: Json[]; first: string | null; next: string | null } => {
  const { items, next_cursor: cursor } = body as { items: Json[]; next_cursor: string | null }
  const { cursor: here, ...query } = visit.query
  const at = (more: Record<string, string>) => {
    const text = new URLSearchParams({ ...query, ...more }).toString()
    return text ? `${visit.path}?${text}` : visit.path
  }
  return { items, first: here ? at({}) : null, next: cursor ? at({ cursor }) : null }
}

/** The fields of an address that a list passes on to the API; blank ones are none. */
export const queryOf = ({ query }: Visit, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    [...names, 'limit', 'cursor'].flatMap((name) => {
      const value = query[name]?.trim()
      return value ? [[name, value]] : []
    }),
  )
