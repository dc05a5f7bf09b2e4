import { createWriteStream } from 'node:fs'
import { extname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { writeUsers } from '../admin/export-body.ts'
import * as audit from '../directory/audit.ts'
import type { Emitter } from '../directory/emitters/emitter.ts'
import { emitterNames, emitters } from '../directory/emitters/index.ts'
import { systemClock } from '../platform/clock.ts'
import { type Command, onFoundation, UsageError } from './command.ts'
import { exportConfig } from './export-config.ts'
import { getPool } from './import.ts'

const formats: Record<string, 'csv' | 'ndjson'> = { '.csv': 'csv', '.ndjson': 'ndjson' }

/** Writes a new file that only its owner can read: the users of a pool or, with --config, everything but users. */
export const exportUsers: Command = {
  usage: `lido export POOL FILE                 write users to .csv or .ndjson, for an import; --hashes, --format auth0|keycloak|cognito
  lido export --config [FILE]           write everything but users to YAML, for lido apply`,
  run: async (words, read) => {
    const wanted = readWords(words)
    if (wanted.is === 'config') return exportConfig(read(), wanted.file)
    const { slug, file, emitter, hashes } = wanted
    return onFoundation(read(), async ({ connection: { db } }) => {
      const pool = await getPool(db, slug)
      const data = { by: audit.system, format: emitter.name, hashes }
      await audit.record(db, systemClock.now(), { poolId: pool.id }, { type: 'export.started', data })
      await pipeline(writeUsers(db, pool, emitter, hashes), createWriteStream(file, { flags: 'wx', mode: 0o600 }))
      return { text: `The users of ${slug} are in ${file}.` }
    })
  },
}

const readWords = (words: string[]) => {
  const { positionals, values } = parsed(words)
  if (!values.config) return { is: 'users' as const, ...readUsers(positionals, values) }
  const [file, ...rest] = positionals
  if (rest.length > 0 || values.hashes || values.format) throw new UsageError('With --config, name at most one file.')
  return { is: 'config' as const, file }
}

const readUsers = (
  [slug, file, ...rest]: string[],
  { hashes, format }: { hashes: boolean; format?: string | undefined },
) => {
  if (slug === undefined || file === undefined || rest.length > 0) throw new UsageError('Name a pool and a file.')
  const emitter = emitterOf(file, format)
  if (hashes && !emitter.hashes) throw new UsageError(`The format ${emitter.name} has no place for password hashes.`)
  return { slug, file, emitter, hashes }
}

const emitterOf = (file: string, format: string | undefined): Emitter => {
  const name = format === undefined ? formats[extname(file).toLowerCase()] : emitterNames.find((one) => one === format)
  if (format !== undefined && !name) throw new UsageError(`--format is one of ${emitterNames.join(', ')}.`)
  if (!name) throw new UsageError('The file is called .csv or .ndjson, or --format says what is in it.')
  return emitters[name]
}

const parsed = (args: string[]) => {
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { hashes: flag, config: flag, format: { type: 'string' } },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
