import type { AdminFound, Plans } from './admin.ts'
import { adminVerdicts, importVerdicts } from './admin-report.ts'
import { budgets, growth, memory, readyWithin, signInsPerVerify, underStorm } from './budgets.ts'
import type { Verifies } from './channel.ts'
import type { ManyClients } from './clients.ts'
import type { Measured } from './driver.ts'
import type { Growth } from './growth.ts'
import type { Imported } from './import.ts'
import { type MigrationFound, migrationLines } from './migration.ts'
import type { OperationName } from './operations.ts'
import type { SandboxFound } from './sandbox.ts'
import type { Startup } from './startup.ts'
import type { Storm } from './storm.ts'
import { atLeast, atMost, type Column, fixed, megabytes, row } from './verdict.ts'
import type { ManyWorkspaces } from './workspaces.ts'

/** Everything that a run found out; what was not asked for is empty. */
export interface Findings {
  operations: { name: OperationName; atOnce: number; lido: Measured; bare: Measured | undefined }[]
  verifies: Verifies | undefined
  storms: Storm[]
  startup: Startup | undefined
  workspaces: ManyWorkspaces | undefined
  clients: ManyClients | undefined
  growth: Growth[]
  users: number
  admin: { found: AdminFound[]; plans: Plans } | undefined
  imported: Imported | undefined
  sandbox: SandboxFound | undefined
  migration: MigrationFound | undefined
}

const columns: Column[] = [
  ['operation', 32],
  ['at once', 8],
  ['bare/s', 9],
  ['lido/s', 9],
  ['ratio', 7],
  ['p50', 8],
  ['p95', 8],
  ['p99', 8],
  ['bare p50', 9],
  ['p99', 8],
  ['cpu bare', 9],
  ['lido', 7],
  ['+pg', 7],
  ['ratio', 7],
  ['sql', 7],
  ['MB', 6],
  ['others', 7],
]

/** The table's heading; times are in milliseconds, processor time per operation. */
export const heading = (): string =>
  row(
    columns.map(([title]) => title),
    columns,
  )

export const operationLine = ({ name, atOnce, lido, bare }: Findings['operations'][number]): string => {
  const cells = [
    titleOf(name),
    String(atOnce),
    bare ? fixed(bare.perSecond, 0) : '',
    fixed(lido.perSecond, 0),
    bare ? fixed(lido.perSecond / bare.perSecond, 2) : '',
    ...[lido.p50, lido.p95, lido.p99].map((value) => fixed(value, 2)),
    ...(bare ? [bare.p50, bare.p99].map((value) => fixed(value, 2)) : ['', '']),
    bare ? fixed(bare.cpu, 3) : '',
    fixed(lido.cpu, 3),
    fixed(lido.databaseCpu, 3),
    bare ? fixed(bare.cpu / (lido.cpu + lido.databaseCpu), 2) : '',
    fixed(lido.statements, 2),
    megabytes(lido.rss),
    `${fixed(100 * Math.max(lido.disturbed, bare?.disturbed ?? 0), 0)}%`,
  ]
  return row(cells, columns)
}

/** One line a budget: what was found, what it may be, met or missed. */
export const verdicts = (found: Findings): string[] => [
  ...found.operations.flatMap(operationVerdicts),
  ...signInVerdicts(found),
  ...besidePassword(found, 'sign_in_code'),
  ...besidePassword(found, 'sign_in_passkey'),
  ...found.storms.flatMap(stormVerdicts),
  ...memoryVerdicts(found),
  ...found.growth.flatMap(({ name, few, many }) => growthVerdicts(name, few, many)),
  ...(found.admin ? adminVerdicts(found.admin) : []),
  ...(found.imported ? importVerdicts(found.imported) : []),
  ...(found.sandbox ? sandboxVerdicts(found.sandbox) : []),
  ...(found.migration ? migrationLines(found.migration) : []),
]

const operationVerdicts = ({ name, atOnce, lido, bare }: Findings['operations'][number]): string[] => {
  const { ratio, statements } = budgets.find((budget) => budget.name === name) ?? {}
  if (atOnce === 1 && statements !== undefined)
    return [atMost(`${titleOf(name)}: statements`, lido.statements, statements, 2)]
  if (atOnce !== 32 || !bare || ratio === undefined) return []
  return [atLeast(`${titleOf(name)}: throughput against bare`, lido.perSecond / bare.perSecond, ratio)]
}

const signInVerdicts = ({ operations, verifies }: Findings): string[] => {
  const busy = operations.find(({ name, atOnce }) => name === 'sign_in' && atOnce === 32)?.lido
  if (!busy || !verifies) return []
  const cost = (busy.cpu + busy.databaseCpu) / verifies.cpuEach
  return [
    atLeast('whole sign-in: part of the verifies', busy.perSecond / verifies.perSecond, signInsPerVerify),
    `        argon2id: ${fixed(verifies.perSecond, 1)} verifies a second, ${fixed(verifies.cpuEach, 2)} ms each; a sign-in costs ${fixed(cost, 2)} of them`,
  ]
}

/** What another sign-in costs beside those by a password, in processor time of the server and PostgreSQL. */
const besidePassword = ({ operations }: Findings, other: OperationName): string[] => {
  const most = Math.max(...operations.map(({ atOnce }) => atOnce))
  const costOf = (wanted: OperationName) => {
    const found = operations.find(({ name, atOnce }) => name === wanted && atOnce === most)?.lido
    return found ? found.cpu + found.databaseCpu : Number.NaN
  }
  const cost = costOf(other)
  if (!Number.isFinite(cost)) return []
  const beside = (['sign_in', 'sign_in_unhashed'] as const).flatMap((name) =>
    Number.isFinite(costOf(name)) ? [`${fixed(cost / costOf(name), 2)} of a ${titleOf(name)}`] : [],
  )
  return [`        ${titleOf(other)}: ${[`${fixed(cost, 1)} ms of CPU`, ...beside].join(', ')}`]
}

const stormVerdicts = ({ name, p50, p99, signInsPerSecond }: Storm): string[] => [
  atMost(`${titleOf(name)} under ${fixed(signInsPerSecond, 0)} sign-ins/s: p50 ms`, p50, underStorm.p50, 2),
  atMost(`${titleOf(name)} under ${fixed(signInsPerSecond, 0)} sign-ins/s: p99 ms`, p99, underStorm.p99, 2),
]

const memoryVerdicts = ({ operations, startup, workspaces, clients }: Findings): string[] => {
  const busy = Math.max(0, ...operations.filter(({ atOnce }) => atOnce === 32).map(({ lido }) => lido.rss))
  const inMegabytes = (name: string, bytes: number, most: number) => atMost(name, bytes / 2 ** 20, most / 2 ** 20, 0)
  return [
    ...(startup ? [atMost('ready: ms', startup.ready, readyWithin, 0)] : []),
    ...(startup ? [inMegabytes('memory idle: MB', startup.idle, memory.idle)] : []),
    ...(busy ? [inMegabytes('memory at 32 at once: MB', busy, memory.busy)] : []),
    ...(workspaces
      ? [
          inMegabytes(
            `memory of ${workspaces.count} workspaces more than one: MB`,
            workspaces.many - workspaces.one,
            memory.manyWorkspaces,
          ),
        ]
      : []),
    ...(clients
      ? [
          inMegabytes(
            `memory of ${clients.count} clients more than one: MB`,
            clients.many - clients.one,
            memory.manyClients,
          ),
        ]
      : []),
  ]
}

const growthVerdicts = (name: OperationName, few: Measured, many: Measured): string[] => [
  atMost(
    `${titleOf(name)} among many users: CPU`,
    (many.cpu + many.databaseCpu) / (few.cpu + few.databaseCpu),
    growth,
    2,
  ),
  atMost(`${titleOf(name)} among many users: statements`, many.statements / few.statements, growth, 2),
  atMost(`${titleOf(name)} among many users: memory`, many.rss / few.rss, growth, 2),
]

const titleOf = (name: OperationName): string => budgets.find((budget) => budget.name === name)?.title ?? name

/** Milliseconds of a run for which a process waits; bytes of that process. */
const scripts = { p50: 25, p95: 60, cold: 600, rss: 90 * 2 ** 20 }

const sandboxVerdicts = ({ cold, warm, perSecond, rss }: SandboxFound): string[] => [
  atMost('a script, its process warm: p50, ms', at(warm, 0.5), scripts.p50, 1),
  atMost('a script, its process warm: p95, ms', at(warm, 0.95), scripts.p95, 1),
  atMost('a script, its process cold: p50, ms', at(cold, 0.5), scripts.cold, 0),
  atMost('a process that waits for a script, MB', rss / 2 ** 20, scripts.rss / 2 ** 20, 0),
  `        ${'scripts a second, each in a process of its own'.padEnd(58)} ${fixed(perSecond, 1)}`,
]

const at = (figures: number[], share: number): number => figures[Math.floor((figures.length - 1) * share)] ?? Number.NaN
