import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { parseArgs } from 'node:util'
import { type ImportType, readRows } from '../admin/import-body.ts'
import type { Db } from '../db/connect.ts'
import { system } from '../directory/audit.ts'
import { type ColumnMapping, columnMapping } from '../directory/import-columns.ts'
import * as imports from '../directory/imports.ts'
import * as pools from '../directory/pools.ts'
import { presets } from '../directory/presets/index.ts'
import { systemClock } from '../platform/clock.ts'
import { type Command, onFoundation, UsageError } from './command.ts'

const types: Record<string, ImportType> = {
  '.csv': 'text/csv',
  '.ndjson': 'application/x-ndjson',
  '.jsonl': 'application/x-ndjson',
  '.json': 'application/json',
}
const policies = ['skip', 'update', 'fail'] as const

/** Works on the import itself; a server on the same database helps, and finishes it where this is stopped. */
export const importUsers: Command = {
  usage:
    'lido import POOL FILE                 take in users from .csv or .ndjson; --dry-run, --on-duplicate skip|update|fail, --map COLUMN=NAME, --preset auth0|cognito|keycloak',
  run: async (words, read) => {
    const { slug, file, type, dryRun, onDuplicate, mapping, preset } = readWords(words)
    return onFoundation(read(), async ({ connection: { db } }) => {
      const pool = await getPool(db, slug)
      const worker = { db, clock: systemClock }
      const reach = { withGroups: true, withRoles: true, withTenants: true, ofPoolOnly: false }
      const options = { dryRun, onDuplicate, preset: preset?.name ?? null, ...reach }
      const rows = readRows(createReadStream(file), type, { preset, mapping, pool })
      const { id } = await imports.start(worker, pool.id, options, rows, system)
      do showProgress(await imports.get(db, pool.id, id))
      while (await imports.workOn(worker, pool.id, id))
      const done = await imports.get(db, pool.id, id)
      showProgress(done)
      return { text: tell(done), failed: done.failed > 0 }
    })
  },
}

/** A pool by its slug. Throws where there is none. */
export const getPool = async (db: Db, slug: string): Promise<pools.Pool> => {
  const pool = await pools.findBySlug(db, slug)
  if (!pool) throw new Error(`There is no pool "${slug}".`)
  return pool
}

const readWords = (words: string[]) => {
  const { positionals, values } = parsed(words)
  const [slug, file, ...rest] = positionals
  if (slug === undefined || file === undefined || rest.length > 0) throw new UsageError('Name a pool and a file.')
  const type = types[extname(file).toLowerCase()]
  const preset = presets.find(({ name }) => name === values.preset)
  if (values.preset !== undefined && !preset) throw new UsageError('--preset is auth0, cognito or keycloak.')
  if (!type || (type === 'application/json' && !preset))
    throw new UsageError('The file is called .csv, .ndjson or .jsonl, with --preset also .json.')
  const onDuplicate = policies.find((one) => one === values['on-duplicate'])
  if (!onDuplicate) throw new UsageError('--on-duplicate is skip, update or fail.')
  return { slug, file, type, dryRun: values['dry-run'], onDuplicate, mapping: mappingOf(values.map ?? []), preset }
}

/** Words such as `E-Mail=email`; nothing after the last sign leaves the column out. */
const mappingOf = (words: string[]): ColumnMapping => {
  const pairs = words.map((word) => {
    const at = word.lastIndexOf('=')
    if (at < 1) throw new UsageError('--map is COLUMN=NAME, or COLUMN= to leave one out.')
    return [word.slice(0, at), word.slice(at + 1) || null] as const
  })
  const { data, error } = columnMapping.safeParse(Object.fromEntries(pairs))
  if (!data) throw new UsageError(`--map: ${error.issues[0]?.message}.`)
  return data
}

const parsed = (args: string[]) => {
  const options = {
    'dry-run': { type: 'boolean', default: false },
    'on-duplicate': { type: 'string', default: 'skip' },
    map: { type: 'string', multiple: true },
    preset: { type: 'string' },
  } as const
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const showProgress = ({ position, rows }: imports.Import): void => {
  if (!process.stderr.isTTY) return
  const filled = Math.round((position / rows) * 40)
  const end = position === rows ? '\n' : ''
  process.stderr.write(`\r[${'#'.repeat(filled).padEnd(40)}] ${position} of ${rows}${end}`)
}

const tell = ({ dryRun, created, updated, skipped, failed, errors, warnings, leftOut }: imports.Import): string =>
  [
    ...[...warnings, ...errors]
      .sort((one, other) => one.row - other.row)
      .map(({ row, reasons }) => `row ${row}: ${reasons.join('; ')}`),
    ...leftOut.map(({ field, rows }) => `left out: ${field}, of ${rows} rows`),
    `${created} created, ${updated} updated, ${skipped} skipped, ${failed} failed.`,
    ...(dryRun ? ['This was a dry run: nothing was changed.'] : []),
  ].join('\n')
