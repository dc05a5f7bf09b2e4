import { outsideMapping } from '../../../directory/outside-mapping.ts'
import { poolSource } from '../../../directory/pool-source.ts'
import { poolUpstream } from '../../../directory/pool-upstream.ts'
import type { Field } from '../../../platform/http/render.ts'
import { getSource, sources } from '../../../signin/sources/index.ts'
import { getUpstream, upstreams } from '../../../signin/upstreams/index.ts'
import { type Json, schemaOf } from '../../openapi.ts'
import { fieldsOf, mergePatch, readFields } from '../fields.ts'
import { demandRoute, type FormGroup, formValues, type Inside, openPool, tabsOf, typedAgain } from '../inside.ts'
import { type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { outsideWording } from './outside-words.ts'
import { typeTitles } from './pool-words.ts'

const path = '/pools/{pool}/~outside'

export const outsidePages: ConsolePage[] = [
  { method: 'GET', path, danger: true, handle: (visit) => show(visit) },
  { method: 'POST', path, danger: true, handle: (visit) => save(visit) },
  { method: 'POST', path: `${path}/test`, handle: (visit) => test(visit) },
  { method: 'GET', path: `${path}/mapping`, handle: (visit) => showMapping(visit) },
  { method: 'POST', path: `${path}/mapping`, handle: (visit) => tryMapping(visit) },
]

type Place = 'source' | 'upstream'

/** What somebody has chosen: a type of source or upstream, or that people live here. */
type Chosen = { is: 'here' } | { is: Place; type: string; settings: Json; secrets: readonly string[] }

const chosenOf = (type: string): Chosen | undefined => {
  if (type === 'local') return { is: 'here' }
  const [source, upstream] = [getSource(type), getUpstream(type)]
  const found = source ?? upstream
  if (!found) return undefined
  const settings = schemaOf(found.settings, 'input')
  return { is: source ? 'source' : 'upstream', type, settings, secrets: found.secrets }
}

/** The same as the beginning of a line. */
const beginning = (title: string): string => title.charAt(0).toUpperCase() + title.slice(1)

/** The type that a pool has, unless another one is asked for. */
const typeOf = ({ pool }: Inside, asked: string | undefined): string | undefined =>
  asked ?? ((pool.source ?? pool.upstream) as { type: string } | null)?.type

const show = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'updatePool')
  const inside = await openPool(visit)
  const type = typeOf(inside, visit.query.type)
  const chosen = type === undefined ? undefined : chosenOf(type)
  if (!chosen) return choose(inside, visit)
  return draw(inside, visit, chosen, { groups: groupsOf(inside, chosen) })
}

const choose = (inside: Inside, visit: Visit): Outcome => {
  const waysOf = (types: readonly string[]) =>
    types.map((type) => ({ title: beginning(typeTitles[type] ?? type), href: `${visit.path}?type=${type}` }))
  const values = {
    sources: waysOf(sources.map(({ name }) => name)),
    upstreams: waysOf(Object.keys(upstreams)),
    kind: inside.pool.kind,
    here: `${visit.path}?type=local`,
  }
  return screen(inside, visit, 'console/outside', 'Where people live', values)
}

/** A secret that is set need not be typed again. */
const schemaFor = (chosen: Exclude<Chosen, { is: 'here' }>, set: readonly string[]): Json => {
  const { required = [] } = chosen.settings as { required?: string[] }
  const settings = { ...chosen.settings, required: required.filter((name) => !set.includes(name)) }
  const whole = chosen.is === 'source' ? poolSource : poolUpstream
  const {
    type: _type,
    settings: _settings,
    paused: _p,
    frozen: _f,
    ...rest
  } = schemaOf(whole, 'input').properties as Json
  const properties = { settings, ...rest }
  return { type: 'object', properties: { [chosen.is]: { type: 'object', properties, required: ['settings', 'mode'] } } }
}

const groupsOf = ({ pool }: Inside, chosen: Chosen, errors: Record<string, string> = {}): FormGroup[] => {
  if (chosen.is === 'here') return []
  const held = pool[chosen.is] as (Json & { type: string; secrets: string[] }) | null
  const own = held?.type === chosen.type ? held : null
  const values = { [chosen.is]: own ?? {} }
  const groups = fieldsOf(schemaFor(chosen, own?.secrets ?? []), {
    values,
    errors,
    wording: outsideWording(chosen.is, chosen.type),
  })
  const hide = (field: Field) => concealed(field, chosen, own?.secrets ?? [])
  const told = groups.map((group) => ({ ...group, fields: group.fields.map(hide) }))
  return chosen.is === 'source' ? [...told, { title: null, fields: [meant] }] : told
}

const meant: Field = {
  name: 'confirm_migration',
  kind: 'checkbox',
  label: 'Whoever signs in moves over for good: this is meant',
  hint: 'Needed where people come over; there is no way back for anybody who has.',
}

/** A secret is typed and never shown: a line of dots, or an empty box where it has several lines. */
const concealed = (field: Field, { is, secrets }: { is: string; secrets: readonly string[] }, set: string[]): Field => {
  const name = field.name.slice(`${is}.settings.`.length)
  if (!field.name.startsWith(`${is}.settings.`) || !secrets.includes(name)) return field
  const { value: _, maxlength: _m, ...rest } = field
  const isSet = set.includes(name)
  const hint = isSet ? 'It is set, and never shown. Empty keeps it.' : rest.hint
  const shown = { ...rest, required: rest.required === true && !isSet, ...(hint ? { hint } : {}) }
  return severalLines.has(name)
    ? { ...shown, kind: 'textarea', raw: true, value: '' }
    : { ...shown, kind: 'password', autocomplete: 'off' }
}

const severalLines = new Set(['private_key', 'signing_key', 'decryption_key', 'secrets'])

const save = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'updatePool')
  const inside = await openPool(visit)
  const chosen = chosenOf(typeOf(inside, visit.query.type ?? visit.form.type) ?? '')
  if (!chosen) return choose(inside, visit)
  try {
    const body = patchOf(inside, chosen, visit.form)
    const query = visit.form.confirm_migration === 'true' ? { confirm_migration: 'true' } : {}
    await call(visit, 'updatePool', { body, query })
    return { to: inside.base, notice: 'Changed. Test the connection before people sign in.' }
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const again = typedAgain(groupsOf(inside, chosen), visit.form)
    const hide = (field: Field) => (chosen.is === 'here' ? field : concealed(field, chosen, secretsOf(inside, chosen)))
    const groups = again.map((group) => ({ ...group, fields: group.fields.map(hide) }))
    return draw(inside, visit, chosen, { groups, alert, errors })
  }
}

const secretsOf = ({ pool }: Inside, chosen: Chosen): string[] => {
  const held = chosen.is === 'here' ? null : (pool[chosen.is] as { type: string; secrets: string[] } | null)
  return held && chosen.is !== 'here' && held.type === chosen.type ? held.secrets : []
}

const kinds = { here: 'local', source: 'external', upstream: 'federated' } as const

/** What a form says of where people live, as a merge patch of the pool; a secret that was left empty is not named. */
const patchOf = (inside: Inside, chosen: Chosen, form: Record<string, string>): Json => {
  const { pool } = inside
  const kind = kinds[chosen.is]
  if (chosen.is === 'here') return { kind, source: null, upstream: null }
  const read = readFields(schemaFor(chosen, secretsOf(inside, chosen)), form, outsideWording(chosen.is, chosen.type))[
    chosen.is
  ] as Json
  const settings = Object.entries((read.settings ?? {}) as Json)
  const kept = settings.filter(
    ([name]) => !chosen.secrets.includes(name) || form[`${chosen.is}.settings.${name}`]?.trim(),
  )
  const wanted = { ...read, type: chosen.type, settings: Object.fromEntries(kept) }
  const { secrets: _secrets, paused: _p, frozen: _f, ...before } = (pool[chosen.is] ?? {}) as Json
  const other = chosen.is === 'source' ? { upstream: null } : { source: null }
  const patch = Object.keys(before).length === 0 ? wanted : mergePatch(before, wanted)
  const fits = form.fit === 'true' ? { sign_in_methods: ['password'], self_registration: false } : {}
  return { kind, [chosen.is]: patch, ...(pool.kind === kind ? {} : other), ...fits }
}

const draw = (
  inside: Inside,
  visit: Visit,
  chosen: Chosen,
  { groups, alert, errors }: { groups: FormGroup[]; alert?: string; errors?: Record<string, string> },
): Outcome => {
  const type = chosen.is === 'here' ? 'local' : chosen.type
  const title = chosen.is === 'here' ? 'People live here' : `Where people live: ${typeTitles[type] ?? type}`
  const fit: Field = {
    name: 'fit',
    kind: 'checkbox',
    label: 'Have people sign in by password alone, and close registration',
    hint: 'People who stay at their source can sign in no other way.',
  }
  const all = chosen.is === 'source' ? [...groups, { title: null, fields: [fit] }] : groups
  const form = formValues({
    groups: all,
    submit: 'Save',
    hidden: { type },
    lead: leads[chosen.is],
    ways: [{ title: 'Another place', href: `${visit.path}?type=`, here: false }],
    alert,
    ...(errors ? { errors } : {}),
  })
  return screen(inside, visit, 'console/inside-form', title, form, alert ? 422 : 200)
}

const leads = {
  here: 'Nobody is asked anywhere else. The kind of a pool can only change while nobody is in it.',
  source: 'Secrets are kept sealed and never shown again.',
  upstream: 'People prove there who they are. Secrets are kept sealed and never shown again.',
}

const screen = (
  { pool, base }: Inside,
  visit: Visit,
  view: string,
  title: string,
  values: Json,
  status = 200,
): Outcome => {
  const crumbs = [
    { title: 'Pools', href: '/console/pools' },
    { title: String(pool.name), href: base },
  ]
  return { show: { view, title, crumbs, status, values: { tabs: tabsOf(base, visit, undefined, pool), ...values } } }
}

const test = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const route = inside.pool.source ? 'testSource' : 'testUpstream'
  const { body } = await call(visit, route)
  return screen(inside, visit, 'console/outside-test', 'Test connection', {
    ...body,
    again: visit.path,
    edit: `${inside.base}/~outside`,
  })
}

const example = `{
  "given_name": "Ada",
  "roles": ["editor"],
  "groups": ["staff"],
  "app_metadata": { "plan": "gold" }
}`

const showMapping = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'previewMapping')
  return drawMapping(await openPool(visit), visit, { claims: example })
}

const tryMapping = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { claims = '', mapping = '' } = visit.form
  const typed = { claims, mapping }
  const schema = { type: 'object', properties: { claims: anything, mapping: { ...anything } }, required: ['claims'] }
  try {
    const { claims: told, mapping: own } = readFields(schema, visit.form) as { claims?: Json; mapping?: Json }
    const body = { sample: { claims: told ?? {} }, ...(own ? { mapping: own } : {}) }
    const { body: mapped } = await call(visit, 'previewMapping', { body })
    return drawMapping(inside, visit, typed, { mapped })
  } catch (error) {
    const { errors, alert } = faultsFor(error)
    const placed = Object.fromEntries(Object.entries(errors).map(([at, detail]) => [at.replace('/sample', ''), detail]))
    return drawMapping(inside, visit, typed, { alert, errors: placed })
  }
}

const anything: Json = { type: 'object' }

const drawMapping = (
  inside: Inside,
  visit: Visit,
  { claims, mapping }: { claims: string; mapping?: string },
  { mapped, alert, errors }: { mapped?: Json; alert?: string; errors?: Record<string, string> } = {},
): Outcome => {
  const own = ((inside.pool.source ?? inside.pool.upstream) as Json | null)?.mapping ?? outsideMapping.parse({})
  const box = { kind: 'textarea', raw: true } as const
  const fields: Field[] = [
    {
      ...{ ...box, name: 'claims', label: 'What is told of somebody', rows: 12, value: claims, required: true },
      hint: 'As JSON, as the other side names it.',
    },
    {
      ...{ ...box, name: 'mapping', label: 'Mapping', rows: 24, value: mapping ?? JSON.stringify(own, null, 2) },
      hint: 'As JSON. The pool’s own, to be changed here for the trial alone.',
    },
  ]
  const form = formValues({ groups: [{ title: null, fields }], submit: 'Try it', alert, ...(errors ? { errors } : {}) })
  const shown = mapped
    ? { ...mapped, json: JSON.stringify({ profile: mapped.profile, metadata: mapped.metadata }, null, 2) }
    : null
  return screen(inside, visit, 'console/mapping', 'Try the mapping', { ...form, mapped: shown }, alert ? 422 : 200)
}
