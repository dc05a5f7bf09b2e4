import type { Json } from '../openapi.ts'
import { fillPath } from '../router.ts'
import { humanName } from './fields.ts'
import { allows, call, faultsFor, type Outcome, type Screen, type Visit } from './page.ts'
import type { Section } from './section.ts'

/** The list of a section, with its search form. */
export const list = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { routes, columns, filters = [] } = section
  const { body } = await call(visit, routes.list, { query: visit.query })
  const { items, next_cursor: cursor } = body as { items: Json[]; next_cursor: string | null }
  const here = listHref(section, visit)
  const next = cursor && `${here}?${new URLSearchParams({ ...visit.query, cursor })}`
  const values = {
    about: section.about,
    one: section.one,
    columns: columns.map(({ title }) => title),
    rows: rowsOf(section, items, here),
    next: next || null,
    first: visit.query.cursor ? here : null,
    filters: filters.map((field) => ({ ...field, value: visit.query[field.name] ?? '' })),
    create: routes.create && allows(visit, routes.create) ? `${here}/~new` : null,
    tabs: section.tabs?.(visit) ?? [],
  }
  const above = (await section.above?.(visit)) ?? []
  return { show: { view: 'console/list', title: section.many, crumbs: above, values } }
}

/** The page of one. */
export const show = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { routes, detail, removable = () => true } = section
  const { body: item } = await call(visit, routes.get ?? '')
  const here = `${listHref(section, visit)}/${encodeURIComponent(section.id(item))}`
  const values = {
    item,
    one: section.one,
    facts: factsOf(item),
    groups: section.facts?.(item, visit) ?? [],
    tabs: section.tabs?.(visit, item) ?? [],
    loss: section.loss?.(item) ?? '',
    here,
    edit: routes.update && allows(visit, routes.update) ? `${here}/~edit` : null,
    remove: routes.remove && allows(visit, routes.remove) && removable(item) ? `${here}/~delete` : null,
    ...(await detail?.load(visit, item)),
  }
  const drawn = await screen(section, visit, detail?.view ?? 'console/show', section.name(item), values)
  return { show: { ...drawn, frames: section.preview !== undefined } }
}

/** Asks whether one is really to go. */
export const confirm = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { body: item } = await call(visit, section.routes.get ?? '')
  const values = { one: section.one, name: section.name(item), loss: section.loss?.(item) ?? '', alert: null }
  return { show: await screen(section, visit, 'console/confirm', `Delete ${section.name(item)}`, values, item) }
}

/** Lets one go. */
export const remove = async (section: Section, visit: Visit): Promise<Outcome> => {
  const { body: item } = await call(visit, section.routes.get ?? '')
  try {
    await call(visit, section.routes.remove ?? '')
    return { to: listHref(section, visit), notice: `The ${section.one} was deleted.` }
  } catch (error) {
    const values = { one: section.one, name: section.name(item), loss: '', alert: faultsFor(error).alert }
    return { show: await screen(section, visit, 'console/confirm', `Delete ${section.name(item)}`, values, item) }
  }
}

/** Rows of a table as the views draw them. */
const rowsOf = (section: Pick<Section, 'columns' | 'id' | 'name' | 'routes'>, items: Json[], base: string) =>
  items.map((item) => ({
    href: section.routes.get ? `${base}/${encodeURIComponent(section.id(item))}` : null,
    name: section.name(item),
    cells: section.columns.map(({ text, as }) => ({ text: text(item) ?? '', as: as ?? 'text' })),
  }))

/** The address of a section's list for a visit. */
export const listHref = ({ path }: Pick<Section, 'path'>, { params }: Visit): string =>
  `/console${fillPath(path, params)}`

/** A page below the list of a section. */
export const screen = async (
  section: Section,
  visit: Visit,
  view: string,
  title: string,
  values: Json,
  item?: Json,
): Promise<Screen> => {
  const above = (await section.above?.(visit)) ?? []
  const href = listHref(section, visit)
  const own =
    item && section.routes.get
      ? [{ title: section.name(item), href: `${href}/${encodeURIComponent(section.id(item))}` }]
      : []
  return { view, title, crumbs: [...above, { title: section.many, href }, ...own], values }
}

/** A record as names and values, as far as it has any. */
const factsOf = (record: Json): { name: string; value: string; code: boolean }[] =>
  Object.entries(record)
    .filter(([, value]) => !isEmpty(value))
    .map(([name, value]) => ({ name: humanName(name), ...said(value) }))

const isEmpty = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === '' ||
  (typeof value === 'object' && Object.keys(value).length === 0)

const said = (value: unknown): { value: string; code: boolean } => {
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object'))
    return { value: value.join('\n'), code: false }
  if (typeof value === 'object') return { value: JSON.stringify(value, null, 2), code: true }
  return { value: typeof value === 'boolean' ? (value ? 'Yes' : 'No') : String(value), code: false }
}
