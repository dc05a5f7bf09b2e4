import { sql } from 'kysely'
import type { FileFault } from './file.ts'
import { look, type Tools } from './kind.ts'
import { inApplying, inPruning, kinds } from './kinds.ts'
import type { Planned } from './plan.ts'
import { readRecords, type WrittenFile } from './records.ts'
import type { Report } from './stage.ts'

/** What a file changes, or would change; with faults, nothing is changed. */
export interface Outcome {
  plan: Planned[]
  /** By line. */
  faults: FileFault[]
}

/**
 * Makes an installation as a file wishes, all of it in one transaction, or nothing. A dry run does the same and takes it
 * back, so that every rule and constraint has been asked.
 */
export const apply = async (tools: Tools, text: string, dryRun: boolean): Promise<Outcome> => {
  const file = readRecords(text, kinds)
  const report: Report = { plan: [], faults: [...file.faults], failed: new Set() }
  const work = tools.db.transaction().execute(async (db) => {
    await sql`select pg_advisory_xact_lock(hashtext('lido.apply'))`.execute(db)
    await applyAll({ ...tools, db }, file, report)
    if (dryRun || report.faults.length > 0) throw new TakenBack()
  })
  await work.catch((error) => {
    if (!(error instanceof TakenBack)) throw error
  })
  const faults = report.faults.toSorted((one, other) => one.line - other.line)
  return { plan: report.plan, faults }
}

/** Ends a transaction that is not to be kept. */
class TakenBack extends Error {}

const applyAll = async (tools: Tools, { records, prune, reach }: WrittenFile, report: Report): Promise<void> => {
  for (const kind of inPruning) {
    const line = prune.get(kind.name)
    if (line === undefined) continue
    await kind.prune(await look(tools, reach), records.get(kind.name) ?? [], line, report)
  }
  const pruned = report.plan.splice(0)
  for (const kind of inApplying) {
    const wished = records.get(kind.name) ?? []
    if (wished.length > 0) await kind.apply(await look(tools, reach), wished, report)
  }
  const order = new Map(kinds.map(({ noun }, index) => [noun, index]))
  const applied = report.plan.splice(0)
  const sorted = applied.toSorted((one, other) => (order.get(one.noun) ?? 0) - (order.get(other.noun) ?? 0))
  report.plan.push(...pruned, ...sorted)
}
