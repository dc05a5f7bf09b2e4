import type { Field } from '../../platform/http/render.ts'
import { Problem } from '../../platform/problem.ts'
import { type Json, schemaOf } from '../openapi.ts'
import { emptied, type FieldGroup, fieldsOf, keepingHeld, mergePatch, readFields, type Wording } from './fields.ts'
import { call, faultsFor, getRoute, type Outcome, type Visit } from './page.ts'
import type { Conflict, PreviewChoices, Section } from './section.ts'
import { listHref, screen } from './section-look.ts'

/** The form of a new one. */
export const form = async (section: Section, visit: Visit): Promise<Outcome> => {
  const wording = (await section.wording?.(visit)) ?? {}
  return drawForm(section, visit, {
    title: `New ${section.one}`,
    groups: fieldsOf(bodySchema(section.routes.create), { wording }),
  })
}

/** Makes one, or shows the form again with what is wrong. */
export const create = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { routes } = section
  const wording = (await section.wording?.(visit)) ?? {}
  const schema = bodySchema(routes.create)
  try {
    const told = await call(visit, routes.create ?? '', { body: readFields(schema, visit.form, wording) })
    const made = section.made?.(visit, told)
    if (made) return made
    const to = routes.get ? `/${encodeURIComponent(section.id(told.body))}` : ''
    return { to: `${listHref(section, visit)}${to}`, notice: `The ${section.one} was made.` }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const groups = again(fieldsOf(schema, { errors, wording }), visit.form)
    return drawForm(section, visit, { title: `New ${section.one}`, groups, alert, errors })
  }
}

/** The form of one that is there. */
export const edit = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { body: item, etag } = await call(visit, section.routes.get ?? '')
  const wording = await wordingFor(section, visit, item)
  const groups = fieldsOf(bodySchema(section.routes.update), { values: item, wording })
  return drawForm(section, visit, { title: `Change ${section.name(item)}`, item, groups, etag })
}

/** Changes one, or shows the form again with what is wrong. */
export const update = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { routes } = section
  const { body: item } = await call(visit, routes.get ?? '')
  const wording = await wordingFor(section, visit, item)
  const schema = bodySchema(routes.update)
  const etag = visit.form.etag
  try {
    const patch = patchFrom(section, visit, item, wording)
    const accepted = visit.form.accept_conflicts === 'true' ? { accept_conflicts: 'true' } : {}
    const told = await call(visit, routes.update ?? '', { body: patch, ifMatch: etag || undefined, query: accepted })
    const changed = section.changed?.(visit, told)
    if (changed) return changed
    const to = routes.get ? `/${encodeURIComponent(section.id(told.body))}` : ''
    return { to: `${listHref(section, visit)}${to}`, notice: `The ${section.one} was changed.` }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const groups = again(fieldsOf(schema, { errors, wording }), visit.form)
    const override = error instanceof Problem && error.code === 'conflict' && takesConflicts(routes.update)
    const conflicts = override ? await section.conflicts?.(visit, patchFrom(section, visit, item, wording)) : undefined
    const told = conflicts?.length ? { conflicts, alert: 'This does not fit everybody who is there.' } : { alert }
    const title = `Change ${section.name(item)}`
    return drawForm(section, visit, { title, item, groups, errors, etag, override, ...told })
  }
}

/** The words of the form of one that is there. */
const wordingFor = async (section: Section, visit: Visit, item: Json): Promise<Wording> =>
  keepingHeld((await section.wording?.(visit, item)) ?? {}, item)

/** What a form says of a record, as its route takes it. */
const patchFrom = ({ routes }: Section, { form }: Visit, item: Json, wording: Wording): Json => {
  const schema = bodySchema(routes.update)
  const wanted = readFields(schema, form, wording)
  if (getRoute(routes.update ?? '').method === 'PUT') return wanted
  return { ...emptied(schema, form, item, wording), ...mergePatch(item, wanted) }
}

/** Whether a route can be told to go on although what exists does not fit the change. */
const takesConflicts = (name = ''): boolean => 'accept_conflicts' in getRoute(name).query.shape

interface Drawn {
  title: string
  /** The record that is changed. */
  item?: Json
  groups: FieldGroup[]
  alert?: string
  errors?: Record<string, string>
  etag?: string | undefined
  /** Whether the form offers to go on all the same. */
  override?: boolean
  conflicts?: Conflict[]
}

const drawForm = async (
  section: Section,
  visit: Visit,
  { title, item, groups, alert, errors = {}, etag, override = false, conflicts = [] }: Drawn,
): Promise<Outcome> => {
  const shown = groups.flatMap(({ fields }) => fields.map(({ name }) => `/${name.replaceAll('.', '/')}`))
  const isShown = (pointer: string) => shown.some((one) => pointer === one || pointer.startsWith(`${one}/`))
  const others = Object.entries(errors).filter(([pointer]) => !isShown(pointer))
  const values = {
    groups,
    etag: etag ?? '',
    override,
    conflicts,
    preview: section.preview ? await previewOf(section.preview, visit) : null,
    alert: alert ?? null,
    others: others.map(([pointer, detail]) => `${pointer.slice(1).replaceAll('/', ' → ')}: ${detail}`),
    focus: groups.flatMap(({ fields }) => fields).find(({ error }) => error)?.name ?? '',
  }
  const drawn = await screen(section, visit, 'console/form', title, values, item)
  return { show: { ...drawn, status: alert ? 422 : 200, frames: section.preview !== undefined } }
}

const previewOf = async ({ title, pages, load }: PreviewChoices, visit: Visit): Promise<Json> => {
  const page: Field = { name: 'preview.page', kind: 'select', label: 'Page', required: true, options: pages }
  const fields = [page, ...((await load?.(visit)) ?? [])]
  const chosen = fields.map((field) => ({ ...field, value: visit.form[field.name] ?? field.options?.[0]?.value ?? '' }))
  return { title, fields: chosen, action: `${visit.path.replace(/\/~(new|edit)$/, '')}/~preview` }
}

/** A form that is shown again holds what was typed, whether it could be read or not. */
const again = (groups: FieldGroup[], form: Record<string, string>): FieldGroup[] =>
  groups.map(({ fields, ...group }) => ({ ...group, fields: fields.map((field) => typed(field, form)) }))

const typed = (field: Field, form: Record<string, string>): Field => {
  if (field.kind !== 'checks') return { ...field, value: form[field.name] ?? '' }
  return {
    ...field,
    values: (field.options ?? [])
      .map(({ value }) => value)
      .filter((value) => form[`${field.name}.${value}`] === 'true'),
  }
}

const bodySchema = (name = ''): Json => {
  const { body } = getRoute(name)
  if (!body) throw new Error(`${name} takes no body.`)
  return schemaOf(body, 'input')
}
