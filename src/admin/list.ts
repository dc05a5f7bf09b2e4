import { z } from 'zod'
import { Problem } from '../platform/problem.ts'
import { equal, type Keyring } from '../platform/secrets.ts'

/** The place in a list that a page ended at. */
export type Position = string[]

/** Writes a place as a cursor that only this server can make; it is good for this one list. */
export const writeCursor = (keyring: Keyring, list: string, position: Position): string => {
  const text = Buffer.from(JSON.stringify(position)).toString('base64url')
  return `${text}.${keyring.hmac('cursor', `${list}:${text}`)}`
}

/** Reads a cursor of ours. Throws `invalid_request` on any other. */
export const readCursor = (keyring: Keyring, list: string, cursor: string | undefined): Position | undefined => {
  if (cursor === undefined) return undefined
  const [text = '', mac = ''] = cursor.split('.')
  const ours = keyring.hmacs('cursor', `${list}:${text}`).some((known) => equal(known, mac))
  if (!ours) throw new Problem('invalid_request', { detail: 'The cursor is not one of this list.' })
  return z.array(z.string()).parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
}

/** Cuts a page out of one row more than was asked for, which tells whether there is a next page without counting. */
export const pageOf = <Row, Item>(
  rows: Row[],
  {
    limit,
    position,
    item,
    keyring,
    list,
  }: { limit: number; position(row: Row): Position; item(row: Row): Item; keyring: Keyring; list: string },
): { items: Item[]; next_cursor: string | null } => {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const next = rows.length > limit && last !== undefined ? writeCursor(keyring, list, position(last)) : null
  return { items: shown.map(item), next_cursor: next }
}
