import type pg from 'pg'
import { isConnectionFailure } from './connect.ts'
import { type Few, type Kind, openFew } from './few.ts'
import type { EventRow } from './work.ts'

/**
 * Events that are written a moment after what they tell of, many in one statement: whoever causes them waits for nothing
 * and fails with nothing. A process that is killed loses those of the last moment.
 */
export interface Behind {
  add(row: EventRow): void
  /** The same for what anybody can cause: only so many of a kind are written, and the next one tells how many were not. */
  addOneOf(kind: Kind, row: EventRow): void
  /** Counts one of a kind that is not to be written. */
  leaveOut(kind: Kind, at: Date): void
  /** Writes what is left, and adds nothing more. */
  close(): Promise<void>
}

interface Options {
  pool: pg.Pool
  now(): Date
  /** What could not be written, and why. */
  onTrouble(error: unknown, rows: number): void
  /** Milliseconds that an event waits for company. */
  every?: number
  /** How many are written at once; how many wait at most, where the database is away. */
  most?: number
  room?: number
  /** Milliseconds after which what was left out is told of although nothing of its kind came since. */
  tellEvery?: number
}

/** Opens it over a pool of connections that no request waits for. */
export const openBehind = (options: Options): Behind => {
  const { pool, now, onTrouble, every = 100, most = 500, room = 20_000, tellEvery = 300_000 } = options
  const waiting: EventRow[] = []
  const lost = openLost()
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let failures = 0
  let closed = false

  const add = (row: EventRow): void => {
    if (waiting.length >= room) {
      lost.count(row)
      return
    }
    waiting.push(lost.tell(row))
    if (waiting.length >= most && failures === 0) begin()
    else wait(every)
  }

  const wait = (milliseconds: number): void => {
    if (closed || writing) return
    timer ??= setTimeout(begin, milliseconds).unref()
  }

  const begin = (): void => {
    clearTimeout(timer)
    timer = undefined
    writing ??= write().finally(() => {
      writing = undefined
      if (waiting.length > 0) wait(Math.min(every * 2 ** failures, 5_000))
    })
  }

  /** One batch after another; after a failure the rest waits. */
  const write = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most)
      try {
        await insert(pool, batch)
        failures = 0
      } catch (error) {
        failures += 1
        onTrouble(error, batch.length)
        // What the database itself refuses again and again would keep all others waiting for ever.
        if (isConnectionFailure(error) || failures < mostTries) waiting.unshift(...batch)
        else for (const row of batch) lost.count(row)
        return
      }
    }
  }

  const few: Few = openFew({ add, now })
  const telling = setInterval(() => few.tellAll(), tellEvery).unref()

  const close = async (): Promise<void> => {
    if (closed) return
    clearInterval(telling)
    few.tellAll()
    closed = true
    clearTimeout(timer)
    await writing
    for (let tries = 2; waiting.length > 0 && tries > 0; tries -= 1) await write()
    const left = waiting.length + lost.total()
    if (left > 0) onTrouble(new Error('the program ended before they could be written'), left)
  }

  return { add, addOneOf: few.add, leaveOut: few.leaveOut, close }
}

const mostTries = 3

/** What found no room, by type and workspace: the next event that is alike tells how many. */
const openLost = () => {
  const counts = new Map<string, number>()
  const keyOf = ({ type, workspaceId }: EventRow) => `${type} ${workspaceId}`
  return {
    count(row: EventRow): void {
      const known = counts.has(keyOf(row)) || counts.size < 1000 ? keyOf(row) : 'others'
      counts.set(known, (counts.get(known) ?? 0) + 1 + leftOutIn(row))
    },
    tell(row: EventRow): EventRow {
      const count = counts.get(keyOf(row))
      if (count === undefined) return row
      counts.delete(keyOf(row))
      return { ...row, data: { ...row.data, left_out: count + leftOutIn(row) } }
    },
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
  }
}

const leftOutIn = ({ data }: EventRow): number => (typeof data.left_out === 'number' ? data.left_out : 0)

// A commit whose answer was lost is made again: what is there already stays as it is.
const insertSql = `
insert into events (id, type, workspace_id, pool_id, user_id, client_id, data, trace, at)
select id, type, workspace_id, pool_id, user_id, client_id, data, trace, at
from jsonb_to_recordset($1::jsonb) as x (id uuid, type text, workspace_id uuid, pool_id uuid, user_id uuid,
  client_id text, data jsonb, trace text, at timestamptz)
on conflict (id) do nothing`

const insert = async (pool: pg.Pool, rows: EventRow[]): Promise<void> => {
  await pool.query(insertSql, [JSON.stringify(rows.map(documentOf))])
}

const documentOf = (one: EventRow) => ({
  id: one.id,
  type: one.type,
  workspace_id: one.workspaceId,
  pool_id: one.poolId,
  user_id: one.userId,
  client_id: one.clientId,
  data: one.data,
  trace: one.trace,
  at: one.at,
})
