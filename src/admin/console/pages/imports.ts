import { presets } from '../../../directory/presets/index.ts'
import type { Field } from '../../../platform/http/render.ts'
import { Problem } from '../../../platform/problem.ts'
import type { Json } from '../../openapi.ts'
import { linesOf } from '../choices.ts'
import { demandRoute, formValues, type Inside, openPool, pageOf, queryOf, refuse, screenIn } from '../inside.ts'
import { allows, type ConsolePage, call, faultsFor, type Outcome, type Visit } from '../page.ts'
import { type SentFile, takeFile } from '../upload.ts'
import { kindsOf } from '../user-form.ts'

const path = '/pools/{pool}/imports'

export const importPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => list(visit) },
  { method: 'GET', path: `${path}/~new`, handle: (visit) => showNew(visit) },
  { method: 'POST', path: `${path}/~new`, upload: true, handle: (visit) => create(visit) },
  { method: 'GET', path: `${path}/{id}`, handle: (visit) => show(visit) },
]

const list = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { body } = await call(visit, 'listImports', { query: queryOf(visit, []) })
  const { items, first, next } = pageOf(visit, body)
  const here = `${inside.base}/imports`
  const values = {
    imports: items.map((item) => ({ ...item, href: `${here}/${item.id}`, finished_at: item.finished_at ?? '' })),
    first,
    next,
    create: allows(visit, 'createImport') ? `${here}/~new` : null,
  }
  return screenIn(inside, visit, { section: 'imports', view: 'console/imports', title: 'Imports', values })
}

const duplicates = [
  { value: 'skip', label: 'Leave them as they are' },
  { value: 'update', label: 'Change them to what the file says' },
  { value: 'fail', label: 'Count their rows as failed' },
]

const origins = [
  { value: '', label: 'Lido, or your own columns' },
  ...presets.map(({ name, title }) => ({ value: name, label: title })),
]

const fieldsFor = (typed: Record<string, string>): Field[] => [
  {
    name: 'dry_run',
    kind: 'checkbox',
    label: 'Only try it: check every row, and change nothing',
    value: typed.dry_run ?? '',
  },
  {
    name: 'on_duplicate',
    kind: 'select',
    label: 'Users who are there already',
    value: typed.on_duplicate ?? 'skip',
    options: duplicates,
  },
  {
    name: 'preset',
    kind: 'select',
    label: 'The file is from',
    hint: 'A file of one of these systems is taken as it is; its fields are called by its own names below.',
    value: typed.preset ?? '',
    options: origins,
  },
  {
    name: 'columns',
    kind: 'textarea',
    label: 'Columns with other names',
    hint: 'One a line: the name in the file, an equals sign, the name here (E-Mail = email). Nothing after it leaves a column out.',
    value: typed.columns ?? '',
  },
]

const showNew = async (visit: Visit): Promise<Outcome> => {
  const { on_duplicate = 'skip', columns = '', dry_run = 'true', preset = '' } = visit.query
  return drawNew(visit, await openNew(visit), { dry_run, on_duplicate, columns, preset })
}

const openNew = (visit: Visit): Promise<Inside> => {
  demandRoute(visit, 'createImport')
  return openPool(visit)
}

const drawNew = (
  visit: Visit,
  inside: Inside,
  typed: Record<string, string>,
  { alert, errors = {} }: { alert?: string; errors?: Record<string, string> } = {},
): Outcome => {
  const { '/file': fileError, ...others } = errors
  const values = {
    ...formValues({ groups: [{ title: null, fields: fieldsFor(typed) }], submit: 'Import', alert, errors: others }),
    fileError: fileError ?? null,
    columns: columnsOf(inside, visit),
    afterTrying: typed.dry_run === 'false',
  }
  const status = alert ? 422 : 200
  const title = 'New import'
  return screenIn(inside, visit, { section: 'imports', above: [], view: 'console/import-new', title, status, values })
}

/** What a file may tell of users, and what of that this operator cannot give. */
const columnsOf = ({ pool }: Inside, visit: Visit) => {
  const properties = Object.keys(((pool.user_schema as Json).properties ?? {}) as Json)
  const gifts = (['groups', 'roles'] as const).map((name) => ({
    name,
    may: allows(visit, name === 'groups' ? 'addMember' : 'assignRole'),
  }))
  return {
    identifiers: kindsOf(pool),
    profile: properties.slice(0, 20).map((name) => `profile.${name}`),
    others: [
      'status',
      'password_hash',
      'external_id',
      'metadata',
      ...gifts.filter(({ may }) => may).map(({ name }) => name),
    ],
    withheld: gifts.filter(({ may }) => !may).map(({ name }) => name),
  }
}

const create = async (visit: Visit): Promise<Outcome> => {
  const { upload } = visit
  const inside = await openNew(visit)
  if (!upload) throw new Problem('unsupported_type')
  const typed: Record<string, string> = {}
  try {
    const begun = await takeFile(upload, typed, (file) => begin(visit, typed, file))
    return { to: `${inside.base}/imports/${begun.id}` }
  } catch (error) {
    return drawNew(visit, inside, typed, toldOf(error))
  }
}

const begin = async (
  visit: Visit,
  fields: Record<string, string>,
  { filename, type, stream }: SentFile,
): Promise<Json> => {
  const query = {
    dry_run: fields.dry_run === 'true' ? 'true' : 'false',
    on_duplicate: fields.on_duplicate || 'skip',
    columns: JSON.stringify(mappingOf(fields.columns)),
    ...(fields.preset ? { preset: fields.preset } : {}),
  }
  const upload = { type: typeOf(filename, type, Boolean(fields.preset)), stream }
  const { body } = await call(visit, 'createImport', { query, upload })
  return body
}

/** What a file is, by its name first: spreadsheets make browsers call a CSV whatever they like. */
const typeOf = (filename: string, type: string, isPreset: boolean): string => {
  if (/\.csv$/i.test(filename)) return 'text/csv'
  if (/\.(ndjson|jsonl)$/i.test(filename)) return 'application/x-ndjson'
  if (type === 'text/csv' || type === 'application/x-ndjson') return type
  if (isPreset && (/\.json$/i.test(filename) || type === 'application/json')) return 'application/json'
  const ends = 'Its name ends with neither .csv nor .ndjson nor .jsonl'
  throw refuse({ '/file': /\.json$/i.test(filename) ? `${ends}; say whose JSON it is` : ends })
}

const mappingOf = (text: string | undefined): Record<string, string | null> => {
  const pairs = linesOf(text).map((line): [string, string | null] => {
    const at = line.lastIndexOf('=')
    if (at < 1) throw refuse({ '/columns': `There is no equals sign in "${line.slice(0, 60)}"` })
    return [line.slice(0, at).trim(), line.slice(at + 1).trim() || null]
  })
  return Object.fromEntries(pairs)
}

/** What can be said at a form again. Throws anything else on. */
const toldOf = (error: unknown): { alert: string; errors: Record<string, string> } => {
  if (error instanceof Problem && error.code === 'too_large')
    return { alert: error.detail ?? 'The file is too large.', errors: {} }
  return faultsFor(error)
}

/** Seconds after which the page of an import that is running looks again. */
const refreshSeconds = 2

const show = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  const { body: item } = await call(visit, 'getImport')
  const running = item.state !== 'done'
  const still = visit.query.refresh === 'off'
  const origin = presets.find(({ name }) => name === item.preset)
  const again = new URLSearchParams({
    on_duplicate: String(item.on_duplicate),
    dry_run: 'false',
    ...(origin ? { preset: origin.name } : {}),
  })
  const values = {
    item: { ...item, finished_at: item.finished_at ?? '' },
    running,
    refresh: running && !still ? refreshSeconds : 0,
    still: running && still,
    percent: percentOf(item),
    ...faultsOf(visit, item.errors as Fault[]),
    origin: origin?.title ?? null,
    warnings: (item.warnings as Fault[]).slice(0, rowsOnPage),
    policy: duplicates.find(({ value }) => value === item.on_duplicate)?.label ?? '',
    forReal:
      item.dry_run === true && !running && allows(visit, 'createImport')
        ? `${inside.base}/imports/~new?${again}`
        : null,
  }
  const title = item.dry_run ? 'Dry run of an import' : 'Import'
  return screenIn(inside, visit, { section: 'imports', above: [], view: 'console/import', title, values })
}

interface Fault {
  row: number
  reasons: string[]
}

const rowsOnPage = 100
const mostReasons = 10

/** Why rows failed: each reason with how often it was, and a page of the rows. */
const faultsOf = ({ path, query }: Visit, errors: Fault[]) => {
  const from = /^\d{1,4}$/.test(query.from ?? '') ? Number(query.from) : 0
  const counts = [
    ...Map.groupBy(
      errors.flatMap(({ reasons }) => reasons),
      (reason) => reason,
    ),
  ]
  return {
    reasons: counts
      .map(([reason, all]) => ({ reason, count: all.length }))
      .sort((a, b) => b.count - a.count)
      .slice(0, mostReasons),
    failures: errors.slice(from, from + rowsOnPage),
    listed: errors.length,
    first: from > 0 ? `${path}#rows` : null,
    next: errors.length > from + rowsOnPage ? `${path}?from=${from + rowsOnPage}#rows` : null,
  }
}

const percentOf = ({ rows, position }: Json): number =>
  Number(rows) > 0 ? Math.floor((Number(position) / Number(rows)) * 100) : 0
