import type { Field } from '../../platform/http/render.ts'
import { demand } from '../access.ts'
import type { Json } from '../openapi.ts'
import type { Wording } from './fields.ts'
import { type ConsolePage, getRoute, type Outcome, type Told, type Visit } from './page.ts'
import { create, edit, form, update } from './section-form.ts'
import { confirm, list, remove, show } from './section-look.ts'

/** A column of a list. */
export interface Column {
  title: string
  /** What the cell says; nothing is a dash. */
  text(item: Json): string | null | undefined
  /** How it is drawn besides plain text. */
  as?: 'code' | 'time' | 'badge' | 'color'
}

/**
 * A resource as the console shows it. Its list, its forms and its removal are made of the API's own routes, so that what
 * the API learns the console shows.
 */
export interface Section {
  /** Where the list is, below `/console`; the same as the API's. */
  path: string
  /** The name of the parameter that names one of them. */
  param: string
  one: string
  many: string
  /** A sentence on what these are. */
  about: string
  routes: { list: string; get?: string; create?: string; update?: string; remove?: string }
  id(item: Json): string
  name(item: Json): string
  columns: readonly Column[]
  /** The pages above the list. */
  above?(visit: Visit): Promise<{ title: string; href: string }[]> | { title: string; href: string }[]
  /** Fields of the address that the list passes on to the API, as a search form. */
  filters?: readonly Field[]
  /** Words and choices of the forms. */
  wording?(visit: Visit, item?: Json): Promise<Wording> | Wording
  /** What the page of one shows besides its fields: a view of its own with values of its own. */
  detail?: { view: string; load(visit: Visit, item: Json): Promise<Json> }
  /** Where creating leads, or what it shows; the page of what was made unless told. */
  made?(visit: Visit, told: Told): Outcome | undefined
  /** The same for changing. */
  changed?(visit: Visit, told: Told): Outcome | undefined
  /** The ways to what belongs together with these; drawn above the list and the page of one. */
  tabs?(visit: Visit, item?: Json): Tab[]
  /** The page of one in words: its facts in groups; every field as the API names it unless told. */
  facts?(item: Json, visit: Visit): FactGroup[]
  /** Whether one can go at all; all can unless told. */
  removable?(item: Json): boolean
  /** What those who are there conflict with in a change that was refused for it. */
  conflicts?(visit: Visit, patch: Json): Promise<Conflict[]>
  /** Whether forms show what the fields would come to: a page that draws them, `~preview` below each form's record. */
  preview?: PreviewChoices
  /** What goes with one when it is removed. */
  loss?(item: Json): string
  /** Whether changing one, too, needs a fresh proof. */
  dangerous?: boolean
}

/** A way to a neighbouring page. */
export interface Tab {
  title: string
  href: string
  here: boolean
}

/** Facts under a heading; the first group of a page has none. */
export interface FactGroup {
  title: string | null
  facts: Fact[]
}

export interface Fact {
  name: string
  value: string
  as?: 'text' | 'code' | 'pre' | 'time' | 'badge' | 'color'
  /** The page of what it names. */
  href?: string
}

/** Why a change was refused, with some of those whom it would hurt. */
export interface Conflict {
  detail: string
  count: number
  sample: { name: string; href: string; reason: string }[]
}

/** What may be chosen of a preview, besides the fields themselves. */
export interface PreviewChoices {
  title: string
  pages: { value: string; label: string }[]
  /** Further choices, known when the form is drawn. */
  load?(visit: Visit): Promise<Field[]>
}

/** The pages of a resource: list, one, new, edit, delete, as far as the API has them. */
export const pagesOf = (section: Section): ConsolePage[] => {
  const { path, param, routes, dangerous = false } = section
  const one = `${path}/{${param}}`
  const pages: (ConsolePage | false | undefined)[] = [
    { method: 'GET', path, handle: (visit) => list(section, visit) },
    routes.get !== undefined && { method: 'GET', path: one, handle: (visit) => show(section, visit) },
    routes.create !== undefined && {
      method: 'GET',
      path: `${path}/~new`,
      danger: dangerous,
      handle: (visit) => form(section, demanding(visit, routes.create)),
    },
    routes.create !== undefined && {
      method: 'POST',
      path: `${path}/~new`,
      danger: dangerous,
      handle: (visit) => create(section, demanding(visit, routes.create)),
    },
    routes.update !== undefined && {
      method: 'GET',
      path: `${one}/~edit`,
      danger: dangerous,
      handle: (visit) => edit(section, demanding(visit, routes.update)),
    },
    routes.update !== undefined && {
      method: 'POST',
      path: `${one}/~edit`,
      danger: dangerous,
      handle: (visit) => update(section, demanding(visit, routes.update)),
    },
    routes.remove !== undefined && {
      method: 'GET',
      path: `${one}/~delete`,
      danger: true,
      handle: (visit) => confirm(section, demanding(visit, routes.remove)),
    },
    routes.remove !== undefined && {
      method: 'POST',
      path: `${one}/~delete`,
      danger: true,
      handle: (visit) => remove(section, demanding(visit, routes.remove)),
    },
  ]
  return pages.filter((page) => typeof page === 'object')
}

/** A visit whose operator may call a route. Throws `forbidden` before a form is drawn that could not be sent. */
export const demanding = (visit: Visit, name = ''): Visit => {
  demand(visit.actor, getRoute(name).scope)
  return visit
}
