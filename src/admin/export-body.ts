import { Readable } from 'node:stream'
import type { Db } from '../db/connect.ts'
import type { Emitter } from '../directory/emitters/emitter.ts'
import { readUsers } from '../directory/exports.ts'
import type { Pool } from '../directory/pools.ts'

/** How a table is written, and the type of that. */
export const exportTypes = { csv: 'text/csv', ndjson: 'application/x-ndjson' } as const
export type ExportFormat = keyof typeof exportTypes

/** The users of a pool as a text, read from the database as fast as it is taken away. */
export const writeUsers = (db: Db, pool: Pool, emitter: Emitter, withHashes: boolean): Readable =>
  Readable.from(emitter.write(pool, readUsers(db, pool, withHashes), withHashes))

/** What a file of a pool's users is called. */
export const fileNameOf = ({ slug }: Pool, { name, ending }: Emitter): string =>
  name === ending ? `${slug}.${ending}` : `${slug}.${name}.${ending}`
