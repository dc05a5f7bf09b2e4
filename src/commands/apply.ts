import { readFile, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { apply as applyFile } from '../admin/apply/apply.ts'
import type { FileFault } from '../admin/apply/file.ts'
import { planText, visible } from '../admin/apply/plan.ts'
import { connect } from '../db/connect.ts'
import { systemClock } from '../platform/clock.ts'
import { openKeyring } from '../platform/secrets.ts'
import { ensureAdministration } from '../setup.ts'
import { type Command, onFoundation, UsageError } from './command.ts'

/**
 * Makes the installation as a file wishes; `variable` reads what the file names for its secrets. What is wrong in the file
 * is told with the lines, and nothing is changed then.
 */
export const apply = (variable: (name: string) => string | undefined): Command => ({
  usage:
    'lido apply FILE [--dry-run]           make everything but users as a YAML file wishes; --accept-conflicts, --confirm-migration',
  run: async (words, read) => {
    const { file, dryRun, ...accepted } = readWords(words)
    const text = await readFile(file, 'utf8')
    return onFoundation(read(), async ({ config, connection: { db, url } }) => {
      const keyring = openKeyring(config.secrets)
      const clock = systemClock
      await ensureAdministration({ config, db, clock, keyring })
      // Users are counted for as long as it takes.
      const patient = connect(url, { max: 1, statementTimeout: 0 })
      try {
        const tools = { db: patient.db, clock, keyring, config, variable, beside: besideOf(file), ...accepted }
        const { plan, faults } = await applyFile(tools, text, dryRun)
        if (faults.length > 0) throw new Error(faultsText(file, faults))
        return { text: `${planText(plan)}\n${dryRun ? 'This was a dry run: nothing was changed.' : 'Applied.'}` }
      } finally {
        await patient.close()
      }
    })
  },
})

const faultsText = (file: string, faults: readonly FileFault[]): string =>
  [...faults.map(({ line, detail }) => visible(`${file}:${line}: ${detail}`)), 'Nothing was changed.'].join('\n')

/** Reads files in the folder of the one that is applied, and nowhere else. */
const besideOf = (file: string) => async (name: string) => {
  const outside = { detail: 'This is not beside the file' }
  const folder = dirname(resolve(file))
  if (isAbsolute(name) || !isBelow(folder, resolve(folder, name))) return outside
  try {
    const path = await realpath(resolve(folder, name))
    return isBelow(await realpath(folder), path) ? { text: await readFile(path, 'utf8') } : outside
  } catch {
    return { detail: 'This cannot be read' }
  }
}

const isBelow = (folder: string, path: string): boolean => !relative(folder, path).startsWith('..')

interface Words {
  file: string
  dryRun: boolean
  acceptConflicts: boolean
  confirmMigration: boolean
}

const readWords = (words: string[]): Words => {
  const { positionals, values } = parsed(words)
  const [file, ...rest] = positionals
  if (file === undefined || rest.length > 0) throw new UsageError('Name one file.')
  return {
    ...{ file, dryRun: values['dry-run'] },
    ...{ acceptConflicts: values['accept-conflicts'], confirmMigration: values['confirm-migration'] },
  }
}

const parsed = (args: string[]) => {
  const flag = { type: 'boolean', default: false } as const
  const options = { 'dry-run': flag, 'accept-conflicts': flag, 'confirm-migration': flag }
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
