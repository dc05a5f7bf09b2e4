import { createWriteStream } from 'node:fs'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { writeUsers } from '../admin/export-body.ts'
import * as audit from '../directory/audit.ts'
import { systemClock } from '../platform/clock.ts'
import { type Command, onFoundation, UsageError } from './command.ts'
import { exportConfig } from './export-config.ts'
import { getPool } from './import.ts'

const formats = { '.csv': 'csv', '.ndjson': 'ndjson' } as const

/** Writes a new file that only its owner can read: the users of a pool or, with --config, everything but users. */
export const exportUsers: Command = {
  usage: `lido export POOL FILE                 write users to .csv or .ndjson, for an import; --hashes
  lido export --config [FILE]           write everything but users to YAML, for lido apply`,
  run: async (words, read) => {
    const wanted = readWords(words)
    if (wanted.is === 'config') return exportConfig(read(), wanted.file)
    const { slug, file, format, hashes } = wanted
    return onFoundation(read(), async ({ connection: { db } }) => {
      const pool = await getPool(db, slug)
      const data = { by: audit.system, format, hashes }
      await audit.record(db, systemClock.now(), { poolId: pool.id }, { type: 'export.started', data })
      await pipeline(writeUsers(db, pool, format, hashes), createWriteStream(file, { flags: 'wx', mode: 0o600 }))
      return { text: `The users of ${slug} are in ${file}.` }
    })
  },
}

const readWords = (words: string[]) => {
  const { positionals, values } = parsed(words)
  if (!values.config) return { is: 'users' as const, ...readUsers(positionals, values.hashes) }
  const [file, ...rest] = positionals
  if (rest.length > 0 || values.hashes) throw new UsageError('With --config, name at most one file.')
  return { is: 'config' as const, file }
}

const readUsers = ([slug, file, ...rest]: string[], hashes: boolean) => {
  if (slug === undefined || file === undefined || rest.length > 0) throw new UsageError('Name a pool and a file.')
  const ending = extname(file).toLowerCase()
  if (ending !== '.csv' && ending !== '.ndjson') throw new UsageError('The file is called .csv or .ndjson.')
  return { slug, file, format: formats[ending], hashes }
}

const parsed = (args: string[]) => {
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({ args, allowPositionals: true, options: { hashes: flag, config: flag } })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
