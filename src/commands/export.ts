import { createWriteStream } from 'node:fs'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { writeUsers } from '../admin/export-body.ts'
import * as audit from '../directory/audit.ts'
import { systemClock } from '../platform/clock.ts'
import { type Command, onFoundation, UsageError } from './command.ts'
import { getPool } from './import.ts'

const formats = { '.csv': 'csv', '.ndjson': 'ndjson' } as const

/** Writes a new file that only its owner can read. */
export const exportUsers: Command = {
  usage: 'lido export POOL FILE                 write users to .csv or .ndjson, for an import; --hashes',
  run: async (words, read) => {
    const { slug, file, format, hashes } = readWords(words)
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
  const [slug, file, ...rest] = positionals
  if (slug === undefined || file === undefined || rest.length > 0) throw new UsageError('Name a pool and a file.')
  const ending = extname(file).toLowerCase()
  if (ending !== '.csv' && ending !== '.ndjson') throw new UsageError('The file is called .csv or .ndjson.')
  return { slug, file, format: formats[ending], hashes: values.hashes }
}

const parsed = (args: string[]) => {
  try {
    return parseArgs({ args, allowPositionals: true, options: { hashes: { type: 'boolean', default: false } } })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
