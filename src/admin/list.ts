import { z } from 'zod'
import type { Page } from '../db/page.ts'
import { Problem } from '../platform/problem.ts'
import { equal, type Keyring } from '../platform/secrets.ts'
import { type Call, listOf, listQuery, type Route, route } from './route.ts'

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
  return { items: shown.map((row) => item(row)), next_cursor: next }
}

/** One list, opened for who asks. */
interface Listing<Row, Item> {
  /** The name of this very list, which its cursors are good for. */
  list: string
  /** The rows of a page and the one after it, in the order of their places; `place` is where the page before ended. */
  read(page: Page, place: Position): Promise<Row[]>
  /** A row's place in the list. */
  position(row: Row): Position
  /** A row as it is answered. */
  item(row: Row): Item
}

/** The place of whatever is listed by its id. */
export const byId = ({ id }: { id: string }): Position => [id]

/** The place of whatever is listed by the id of its user. */
export const byUser = ({ userId }: { userId: string }): Position => [userId]

/** Declares a route that lists, page by page, what `open` finds for who asks. */
export const listRoute = <
  P extends z.ZodObject,
  I extends z.ZodType,
  Row,
  Filters extends z.core.$ZodLooseShape = Record<never, never>,
>({
  filters,
  items,
  open,
  ...about
}: {
  path: string
  name: string
  summary: string
  scope: `${string}:read`
  params: P
  /** What the list may be asked for besides a page of it. */
  filters?: Filters
  /** The schema of one of its items. */
  items: I
  open(
    call: Call<z.output<P>, z.output<ReturnType<typeof listQuery<Filters>>>, undefined>,
  ): Promise<Listing<Row, z.input<I>>>
}): Route =>
  route({
    ...about,
    method: 'GET',
    query: listQuery(filters ?? ({} as Filters)),
    answer: listOf(items),
    status: 200,
    async handle(call) {
      const { keyring } = call.services
      const { limit, cursor } = call.query as { limit: number; cursor?: string }
      const { read, ...listing } = await open(call)
      const place = readCursor(keyring, listing.list, cursor) ?? []
      const rows = await read({ limit: limit + 1, after: place[0] }, place)
      return { body: pageOf(rows, { limit, keyring, ...listing }) }
    },
  })
