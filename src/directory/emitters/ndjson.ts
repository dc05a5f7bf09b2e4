import type { Emitter } from './emitter.ts'
import { rowOf } from './table.ts'

/** An object a line, in the columns that an import reads. */
export const ndjson: Emitter = {
  name: 'ndjson',
  title: 'NDJSON, an object a line',
  type: 'application/x-ndjson',
  ending: 'ndjson',
  hashes: true,
  write: async function* (_, pages) {
    for await (const users of pages) yield users.map((user) => `${JSON.stringify(rowOf(user))}\n`).join('')
  },
}
