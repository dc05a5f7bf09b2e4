import type { z } from 'zod'
import { poolSettings } from '../../../directory/pool-settings.ts'
import type { Pool } from '../../../directory/pools.ts'
import { askedOf, schemaFault } from '../../../directory/profiles.ts'
import { adminSlug, workspaceSettings } from '../../../directory/workspaces.ts'
import type { Brand, Field } from '../../../platform/http/render.ts'
import { wordsFor } from '../../../platform/words.ts'
import { identifierField, newPasswordField, profileField, registeredField, spokenField } from '../../../signin/form.ts'
import { type Json, schemaOf } from '../../openapi.ts'
import { readWhatCan, type Wording } from '../fields.ts'
import { allows, type ConsolePage, call, getRoute, type Outcome, type Visit } from '../page.ts'
import type { PreviewChoices } from '../section.ts'
import { poolWording } from './pool-words.ts'
import { workspaceWording } from './workspace-words.ts'

const pages = [
  { value: 'identify', label: 'Sign-in' },
  { value: 'register', label: 'Registration' },
]

/** What may be chosen of a pool's preview: the page, and in whose looks. */
export const poolSamples: PreviewChoices = {
  title: 'Preview',
  pages,
  load: (visit) => others(visit, 'listWorkspaces', 'preview.workspace', 'In the looks of'),
}

/** The same for a workspace: the page, and of which pool. */
export const workspaceSamples: PreviewChoices = {
  title: 'Preview',
  pages,
  load: (visit) => others(visit, 'listPools', 'preview.pool', 'Of the pool'),
}

const others = async (visit: Visit, route: string, name: string, label: string): Promise<Field[]> => {
  if (!allows(visit, route)) return []
  const { body } = await call(visit, route, { params: {}, query: { limit: 200 } })
  const options = usualFirst(body.items as Json[]).map((one) => ({ value: String(one.slug), label: String(one.name) }))
  return options.length > 0 ? [{ name, kind: 'select', label, options }] : []
}

const samplePool = async (visit: Visit): Promise<Outcome> => {
  const saved = visit.params.pool ? (await call(visit, 'getPool')).body : { slug: 'new', name: 'New pool' }
  const pool = await drafted(visit, 'updatePool', poolWording, { status: 'active', ...saved })
  const chosen = await chosenOne(visit, 'workspace', 'getWorkspace', 'listWorkspaces')
  return sampleOf(visit, pool, brandOf(chosen ?? { name: String(pool.name) }))
}

const sampleWorkspace = async (visit: Visit): Promise<Outcome> => {
  const isNew = !visit.params.workspace
  const saved = isNew ? { slug: 'new', name: 'New workspace' } : (await call(visit, 'getWorkspace')).body
  const workspace = await drafted(visit, 'updateWorkspace', workspaceWording, { status: 'active', ...saved })
  const pool = await chosenOne(visit, 'pool', 'getPool', 'listPools')
  return sampleOf(visit, pool ?? {}, brandOf(workspace))
}

/** A record as a form would change it, as far as the form makes sense; the rest is as it is saved. */
const drafted = async ({ form }: Visit, route: string, wording: Wording, saved: Json): Promise<Json> => {
  const schema = getRoute(route).body as z.ZodObject
  const known = Object.fromEntries(Object.entries(saved).filter(([name]) => name in schema.shape))
  if (Object.keys(form).length === 0) return schema.parse(known) as Json
  const { body } = readWhatCan(schemaOf(schema, 'input'), form, wording)
  const wanted: Json = { ...known, ...body }
  const told = schema.safeParse(wanted)
  if (told.success) return told.data as Json
  for (const { path } of told.error.issues) wanted[String(path[0])] = known[String(path[0])]
  return schema.parse(wanted) as Json
}

/** The record that a preview is drawn with besides its own: what was chosen, else the first there is. */
const chosenOne = async (visit: Visit, param: string, get: string, list: string): Promise<Json | undefined> => {
  const slug = visit.form[`preview.${param}`]
  if (!allows(visit, list)) return undefined
  if (slug) return (await call(visit, get, { params: { [param]: slug } })).body
  const { body } = await call(visit, list, { params: {}, query: { limit: 200 } })
  return usualFirst(body.items as Json[])[0]
}

// What operators themselves sign in by is the last thing to show a preview in.
const usualFirst = (items: Json[]): Json[] => {
  const isOwn = ({ slug }: Json) => Number(slug === adminSlug || slug === 'administrators')
  return items.toSorted((a, b) => isOwn(a) - isOwn(b))
}

const brandOf = ({ name, branding }: Json): Brand => ({
  name: String(name),
  ...workspaceSettings.parse({ branding: branding ?? {} }).branding,
})

const sampleOf = async (visit: Visit, record: Json, brand: Brand): Promise<Outcome> => {
  const settings = poolSettings.parse(record)
  const usable = await schemaFault(settings.user_schema)
  const pool = { settings: usable ? { ...settings, user_schema: {} } : settings } as Pool
  const view = visit.form['preview.page'] === 'register' ? 'register' : 'identify'
  const fields = view === 'register' ? registration(pool) : [identifierField(settings.identifiers)]
  // Browsers refuse the focus to a frame like this one, and complain.
  const form = {
    action: '#',
    csrf: '',
    hidden: [],
    still: true,
    fields: fields.map((field) => spokenField(field, wordsFor('en'))),
  }
  const submit = view === 'register' ? 'button.create_account' : 'button.continue'
  const links = view === 'register' ? { signin: '#' } : settings.self_registration ? { register: '#' } : {}
  return {
    sample: {
      view: `signin/${view}`,
      brand,
      values: { form: { ...form, submit }, client: { name: 'Your application' }, place: null, links },
    },
  }
}

const registration = (pool: Pool) => [
  registeredField(pool.settings.identifiers),
  ...askedOf(pool.settings.user_schema).map((property) => profileField(property, undefined)),
  ...(pool.settings.sign_in_methods.includes('password') ? [newPasswordField('password', pool)] : []),
]

const both = (path: string, handle: (visit: Visit) => Promise<Outcome>): ConsolePage[] => [
  { method: 'GET', path, handle },
  { method: 'POST', path, handle },
]

export const poolPreviews = [...both('/pools/~preview', samplePool), ...both('/pools/{pool}/~preview', samplePool)]
export const workspacePreviews = [
  ...both('/workspaces/~preview', sampleWorkspace),
  ...both('/workspaces/{workspace}/~preview', sampleWorkspace),
]
