import type { AdminFound, AdminName, Plans } from './admin.ts'
import { adminGrowth, importing } from './budgets.ts'
import type { Measured } from './driver.ts'
import type { Imported, Pass } from './import.ts'
import { atLeast, atMost, type Column, fixed, megabytes, row, verdict } from './verdict.ts'

const titles: Record<AdminName, string> = {
  list_first: 'list users: first page',
  list_tenth: 'list users: tenth page',
  search_identifier: 'search by beginning of identifier',
  search_name: 'search by family name',
  find_identifier: 'find by whole identifier',
  of_status: 'list users of a status',
  of_group: 'list users of a group',
  get_user: 'read a user',
}

const columns: Column[] = [
  ['admin API', 36],
  ['few/s', 8],
  ['p50', 8],
  ['p99', 8],
  ['cpu', 8],
  ['+pg', 8],
  ['many/s', 8],
  ['p50', 8],
  ['p99', 8],
  ['cpu', 8],
  ['+pg', 8],
  ['ratio', 7],
  ['sql', 6],
  ['others', 8],
]

/** The heading of what operators ask; times are in milliseconds, processor time per request. */
export const adminHeading = (): string =>
  row(
    columns.map(([title]) => title),
    columns,
  )

export const adminLine = ({ name, few, many }: AdminFound): string => {
  const cells = [
    titles[name],
    ...cellsOf(few),
    ...cellsOf(many),
    fixed(costOf(many) / costOf(few), 2),
    fixed(many.statements, 1),
    `${fixed(100 * Math.max(few.disturbed, many.disturbed), 0)}%`,
  ]
  return row(cells, columns)
}

const cellsOf = ({ perSecond, p50, p99, cpu, databaseCpu }: Measured): string[] => [
  fixed(perSecond, 0),
  ...[p50, p99, cpu, databaseCpu].map((value) => fixed(value, 2)),
]

const costOf = ({ cpu, databaseCpu }: Measured): number => cpu + databaseCpu

/** One line a budget. */
export const adminVerdicts = ({ found, plans }: { found: AdminFound[]; plans: Plans }): string[] => [
  ...found.map(({ name, few, many }) =>
    atMost(`${titles[name]}, among many users: CPU`, costOf(many) / costOf(few), adminGrowth, 2),
  ),
  verdict(
    plans.scanned.length === 0 && plans.skipping === 0,
    'admin API: no large table is read whole, nothing is skipped',
    `${plans.statements} statements, whole: ${plans.scanned.join(' ') || 'none'}, with OFFSET: ${plans.skipping}`,
  ),
]

/** The same for what is brought in and out. */
export const importVerdicts = ({ before, passes, after }: Imported): string[] => [
  ...passes.map(passLine),
  ...passes.map(({ name, rows, seconds }) =>
    atLeast(`${name}: rows a second`, rows / seconds, importing.rowsPerSecond),
  ),
  ...passes.map(({ name, peak }) =>
    atMost(`${name}: memory at its peak, above before: MB`, (peak - before) / 2 ** 20, importing.memory / 2 ** 20, 0),
  ),
  `        memory before ${megabytes(before)} MB, after ${megabytes(after)} MB`,
]

const passLine = ({ name, rows, seconds, cpu, databaseCpu, peak }: Pass): string => {
  const each = `${fixed(cpu, 0)} ms of CPU, ${fixed(databaseCpu, 0)} ms of PostgreSQL's a thousand rows`
  return `        ${name} of ${rows} rows: ${fixed(seconds, 1)} s, ${each}, at most ${megabytes(peak)} MB`
}
