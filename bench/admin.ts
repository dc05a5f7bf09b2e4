import type { Database } from './database.ts'
import type { Measured, Subject } from './driver.ts'
import { measure } from './driver.ts'
import { emailOf, fixture } from './fixture.ts'
import type { Seed } from './seed.ts'
import { authorized, connected, expect, inTurn, type Operation, type Target, worker } from './worker.ts'

export const adminNames = [
  'list_first',
  'list_tenth',
  'search_identifier',
  'search_name',
  'find_identifier',
  'of_status',
  'of_group',
  'get_user',
] as const
export type AdminName = (typeof adminNames)[number]

/** What a question of operators costs among few users and among many. */
export interface AdminFound {
  name: AdminName
  few: Measured
  many: Measured
}

/** How PostgreSQL answers these questions among many users. */
export interface Plans {
  /** Different statements that were sent. */
  statements: number
  /** Large tables that a plan reads from end to end, or that were read so. */
  scanned: string[]
  /** Statements that skip rows they have read. */
  skipping: number
}

const atOnce = 8
const limit = 10

/**
 * Asks the admin API about few users and about many, in alternating slices, and looks at the plans among many. Each
 * question gets as long an answer in both.
 */
export const measureAdmin = async (
  [few, many]: [Subject, Subject],
  plan: { slices: number; milliseconds: number; note(found: AdminFound): void },
): Promise<{ found: AdminFound[]; plans: Plans }> => {
  const found: AdminFound[] = []
  const database = many.database
  if (!database) throw new Error('There is no database to look at.')
  const before = await countScans(database)
  await many.server.ask({ ask: 'texts' })
  for (const name of adminNames) {
    const [one, other] = await measure([few, many], { name, operation: questions[name] }, atOnce, plan)
    if (!one || !other) continue
    found.push({ name, few: one, many: other })
    plan.note({ name, few: one, many: other })
  }
  const texts = await many.server.ask({ ask: 'texts' })
  const planned = await findPlannedScans(database, texts)
  // A connection tells what it counted when it ends.
  await many.server.stop()
  const after = await countScans(database)
  const ran = [...after].flatMap(([table, scans]) => (scans > (before.get(table) ?? 0) ? [table] : []))
  const scanned = [...new Set([...planned, ...ran])]
  return {
    found,
    plans: { statements: texts.length, scanned, skipping: texts.filter((one) => offset.test(one)).length },
  }
}

/** Makes one in twenty inactive, and puts as many into a group; nobody who signs in here. */
export const prepareAdmin = async ({ pool }: Database, { poolId }: Seed, from: number): Promise<void> => {
  const client = await pool.connect()
  const chosen = `from identifiers i where i.pool_id = $1 and substring(i.value from '^user(\\d+)@')::int >= $2
    and substring(i.value from '^user(\\d+)@')::int % 20 = $3`
  try {
    await client.query(
      `update users u set status = 'inactive' where u.pool_id = $1 and u.id in (select i.user_id ${chosen})`,
      [poolId, from, 7],
    )
    await client.query(`insert into groups (pool_id, id, name) values ($1, $1, 'Staff')`, [poolId])
    await client.query(`insert into group_members (pool_id, group_id, user_id) select $1, $1, i.user_id ${chosen}`, [
      poolId,
      from,
      13,
    ])
    await client.query('vacuum analyze users')
    await client.query('vacuum analyze group_members')
    await client.query('select pg_stat_force_next_flush()')
  } finally {
    client.release()
  }
}

const users = `/api/v1/pools/${fixture.workspace}/users`

interface Page {
  items: { id: string; groups: unknown[] }[]
  next_cursor: string | null
}

/** A question that is asked again and again, a little different each time; the answer has so many users. */
const asking =
  (wanted: number, queryOf: (turn: number, target: Target) => Record<string, string>): Operation =>
  async (target, n, of) => {
    const headers = await authorized(target)
    let turn = n
    return worker(target, async (connection) => {
      turn += of
      const query = new URLSearchParams(queryOf(turn, target))
      const { items } = pageOf(expect(await connection.get(`${users}?${query}`, headers), 200, '"items"'))
      if (items.length !== wanted) throw new Error(`Asked for ${query}, and got ${items.length} users.`)
    })
  }

const pageOf = ({ text }: { text: string }): Page => JSON.parse(text)

/** The cursor of the tenth page, by way of the nine before it. */
const readTenth = (target: Target, headers: Record<string, string>): Promise<string> =>
  connected(target, async (connection) => {
    let cursor = ''
    for (let page = 1; page < 10; page += 1) {
      const after: Record<string, string> = cursor === '' ? {} : { cursor }
      const reply = await connection.get(`${users}?${new URLSearchParams({ limit: '50', ...after })}`, headers)
      cursor = pageOf(expect(reply, 200, '"items"')).next_cursor ?? ''
    }
    return cursor
  })

const spread = (turn: number, among: number): number => (turn * 7919) % among

const questions: Record<AdminName, Operation> = {
  list_first: asking(50, () => ({ limit: '50' })),
  list_tenth: async (target, n, of) => {
    const cursor = await readTenth(target, await authorized(target))
    return asking(50, () => ({ limit: '50', cursor }))(target, n, of)
  },
  search_identifier: asking(limit, (turn) => ({ limit: String(limit), search: `user${10 + spread(turn, 90)}` })),
  // Two digits: one of a hundred names, and nobody's beginning.
  search_name: asking(limit, (turn) => ({ limit: String(limit), search: `lovelace${10 + spread(turn, 90)}` })),
  find_identifier: asking(1, (turn, target) => ({ identifier: emailOf(spread(turn, target.users)) })),
  of_status: asking(limit, () => ({ limit: String(limit), status: 'inactive' })),
  of_group: async (target, n, of) => {
    const group = await readGroup(target)
    return asking(limit, () => ({ limit: String(limit), group }))(target, n, of)
  },
  get_user: async (target, n, of) => {
    const headers = await authorized(target)
    const ids = await connected(target, (connection) =>
      inTurn(16, async (turn) => {
        const query = new URLSearchParams({ identifier: emailOf(spread(n + of * (turn + 1), target.users)) })
        return pageOf(expect(await connection.get(`${users}?${query}`, headers), 200, '"id"')).items[0]?.id ?? ''
      }),
    )
    let turn = 0
    return worker(target, async (connection) => {
      expect(await connection.get(`${users}/${ids[turn++ % ids.length]}`, headers), 200, '"identifiers"')
    })
  },
}

const readGroup = async (target: Target): Promise<string> => {
  const headers = await authorized(target)
  const path = `/api/v1/pools/${fixture.workspace}/groups`
  const reply = await connected(target, (connection) => connection.get(path, headers))
  return pageOf(expect(reply, 200, '"Staff"')).items[0]?.id ?? ''
}

const offset = /\boffset\b/i
const large = `c.relkind = 'r' and c.reltuples > 5000`

/** How often each large table was read from end to end so far. */
const countScans = async ({ pool }: Database): Promise<Map<string, number>> => {
  const { rows } = await pool.query<{ name: string; scans: number }>(
    `select c.relname as name, s.seq_scan as scans from pg_stat_user_tables s join pg_class c on c.oid = s.relid where ${large}`,
  )
  return new Map(rows.map(({ name, scans }) => [name, Number(scans)]))
}

/** Large tables that PostgreSQL would read from end to end for one of these, whatever is asked for in it. */
const findPlannedScans = async ({ pool }: Database, texts: string[]): Promise<string[]> => {
  const { rows } = await pool.query<{ name: string }>(`select relname as name from pg_class c where ${large}`)
  const names = new Set(rows.map(({ name }) => name))
  const scanned = new Set<string>()
  for (const text of texts) {
    const planned = await pool.query(`explain (generic_plan, format json) ${text}`)
    for (const table of tablesScanned(planned.rows[0]?.['QUERY PLAN'])) if (names.has(table)) scanned.add(table)
  }
  return [...scanned]
}

const tablesScanned = (plan: unknown): string[] => {
  if (typeof plan !== 'object' || plan === null) return []
  const below = Object.values(plan).flatMap(tablesScanned)
  const { 'Node Type': type, 'Relation Name': table } = plan as Record<string, unknown>
  return type === 'Seq Scan' || type === 'Parallel Seq Scan' ? [String(table), ...below] : below
}
