import { sql } from 'kysely'
import type { z } from 'zod'
import { Problem } from '../../platform/problem.ts'
import { faultsOf } from '../check.ts'
import type { FileFault } from './file.ts'
import type { Change, Fault, Kind, Remarks, Scene } from './kind.ts'
import { differenceLine, differencesOf, type Planned } from './plan.ts'
import type { WrittenRecord } from './records.ts'

/** What has been planned and done so far, and everything that was wrong. */
export interface Report {
  plan: Planned[]
  faults: FileFault[]
  /** The records that could not be as the file wishes, by noun and key. */
  failed: Set<string>
}

/** One kind of record at work, whatever its fields are. */
export interface Stage extends Pick<Kind<object, unknown>, 'name' | 'noun' | 'naming' | 'keyOf'> {
  /** Makes what the file names as it wishes. */
  apply(scene: Scene, records: readonly WrittenRecord[], report: Report): Promise<void>
  /** Deletes what the file does not name, in its reach; `line` is the one that says so. */
  prune(scene: Scene, records: readonly WrittenRecord[], line: number, report: Report): Promise<void>
  /** All there are, in the words of a file, by name. */
  write(scene: Scene): Promise<object[]>
}

/** Puts a kind to work. */
export const stage = <Fields extends object, Row>(kind: Kind<Fields, Row>): Stage => {
  const keyOfRow = (scene: Scene, row: Row) => kind.keyOf(kind.naming.parse(kind.tell(scene, row)))
  return {
    name: kind.name,
    noun: kind.noun,
    naming: kind.naming,
    keyOf: kind.keyOf,
    async apply(scene, records, report) {
      if (records.length === 0) return
      const rows = await kind.list(scene)
      const present = new Map(rows.map((row) => [keyOfRow(scene, row), row]))
      for (const record of inOrder(kind, records)) await applyOne(kind, scene, present.get(record.key), record, report)
    },
    async prune(scene, records, line, report) {
      const kept = new Set(inOrder(kind, records).map(({ key }) => key))
      for (const row of await kind.list(scene)) {
        const key = keyOfRow(scene, row)
        if (kept.has(key) || !kind.mayPrune(scene, row)) continue
        await removeOne(kind, scene, { row, key, line }, report)
      }
    },
    async write(scene) {
      const rows = await kind.list(scene)
      const named = rows.map((row) => ({ row, key: keyOfRow(scene, row) })).toSorted(byKey)
      const sorted = named.map(({ row }) => row)
      return sorted.map((row) => {
        const fields = kind.write?.(scene, row, sorted) ?? kind.tell(scene, row)
        return { ...kind.naming.parse(fields), ...fields }
      })
    },
  }
}

const byKey = (one: { key: string }, other: { key: string }): number => (one.key < other.key ? -1 : 1)

/** The records of a file with those that they stand on, each after what it stands on. */
const inOrder = <Fields extends object, Row>(
  kind: Kind<Fields, Row>,
  records: readonly WrittenRecord[],
): readonly WrittenRecord[] => {
  const byName = new Map(records.map((record) => [record.key, record]))
  for (const { naming, lineOf } of records)
    for (const implied of kind.implied?.(naming) ?? []) {
      const key = kind.keyOf(implied)
      if (!byName.has(key)) byName.set(key, { key, naming: implied, fields: implied, lineOf: () => lineOf('') })
    }
  const order = kind.order?.bind(kind)
  return order ? [...byName.values()].toSorted((one, other) => order(one.naming, other.naming)) : [...byName.values()]
}

const applyOne = async <Fields extends object, Row>(
  kind: Kind<Fields, Row>,
  scene: Scene,
  row: Row | undefined,
  record: WrittenRecord,
  report: Report,
): Promise<void> => {
  const refuse = (faults: readonly Fault[]) => fail(kind.noun, record, faults, report)
  const before = row === undefined ? undefined : kind.tell(scene, row)
  const loaded = await kind.load?.(scene, record.fields)
  if (loaded?.faults.length) return refuse(loaded.faults)
  const read = readFields(kind.schema, { ...before, ...(loaded?.fields ?? record.fields) })
  if (!read.success) return refuse(read.error.issues.flatMap(faultsOf))
  const wished = read.data
  const remarks = kind.remark?.(scene, row, wished) ?? {}
  if (remarks.faults?.length) return refuse(remarks.faults)
  const { planned, change, changed } = compare(kind, { row, before, wished, remarks })
  const line: Planned = { ...planned, noun: kind.noun, key: record.key, users: undefined }
  if (change) {
    line.users = await kind.touched(scene, change)
    const conflicts: Fault[] = []
    const problem = await attempt(scene, async () => {
      conflicts.push(...((await kind.conflicts?.(scene, change)) ?? []))
      if (conflicts.length > 0 && !scene.acceptConflicts) return
      await (row === undefined ? kind.create(scene, wished) : kind.update(scene, row, wished, changed))
    })
    if (problem) return refuse(problem.errors ?? [{ pointer: '', detail: problem.detail ?? problem.title }])
    if (conflicts.length > 0 && !scene.acceptConflicts) return refuse(conflicts.map(acceptable))
    line.details.push(...conflicts.map(({ detail }) => `conflict: ${detail}`))
  }
  report.plan.push(line)
}

const acceptable = ({ pointer, detail }: Fault): Fault => ({
  pointer,
  detail: `${detail}; to change it all the same, add --accept-conflicts`,
})

interface Compared<Fields, Row> {
  row: Row | undefined
  before: Fields | undefined
  wished: Fields
  remarks: Remarks
}

const compare = <Fields extends object, Row>(
  { aside = [], ordered }: Kind<Fields, Row>,
  { row, before, wished, remarks: { changes = [], notes = [] } }: Compared<Fields, Row>,
): {
  planned: Pick<Planned, 'is' | 'details'>
  change: Change<Fields, Row> | undefined
  changed: ReadonlySet<string>
} => {
  const none: ReadonlySet<string> = new Set()
  if (row === undefined || before === undefined)
    return {
      planned: { is: 'create', details: [...changes, ...notes] },
      change: { is: 'create', wished },
      changed: none,
    }
  const differences = differencesOf(without(before, aside), without(wished, aside), ordered)
  const changed = new Set(differences.map(({ field }) => field.split('.')[0] ?? field))
  const details = [...differences.map(differenceLine), ...changes, ...notes]
  if (changed.size === 0 && changes.length === 0)
    return { planned: { is: 'unchanged', details }, change: undefined, changed }
  const touching = new Set([...changed, ...(changes.length > 0 ? aside : [])])
  const change = { is: 'update' as const, row, before, wished, changed: touching }
  return { planned: { is: 'update', details }, change, changed }
}

const removeOne = async <Fields extends object, Row>(
  kind: Kind<Fields, Row>,
  scene: Scene,
  { row, key, line }: { row: Row; key: string; line: number },
  report: Report,
): Promise<void> => {
  const users = await kind.touched(scene, { is: 'delete', row })
  const problem = await attempt(scene, () => kind.remove(scene, row))
  const detail = problem && (problem.detail ?? problem.title)
  if (detail) report.faults.push({ line, detail: `${kind.noun} ${key} cannot be deleted: ${detail}` })
  else report.plan.push({ is: 'delete', noun: kind.noun, key, details: [], users })
}

/** Checks a record; null stands for the default of a field that cannot be null itself. */
const readFields = <Fields>(schema: z.ZodType<Fields>, fields: Record<string, unknown>) => {
  const read = schema.safeParse(fields)
  const names = read.success ? [] : read.error.issues.map(({ path }) => (path.length === 1 ? String(path[0]) : ''))
  const nulls = names.filter((name) => fields[name] === null)
  return nulls.length > 0 ? schema.safeParse(without(fields, nulls)) : read
}

const without = (fields: object, aside: readonly string[]): object =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !aside.includes(name)))

const fail = (noun: string, { key, lineOf }: WrittenRecord, faults: readonly Fault[], report: Report): void => {
  report.failed.add(`${noun} ${key}`)
  const own = faults.filter(({ follows }) => follows === undefined || !report.failed.has(follows))
  for (const { pointer, detail } of own) {
    const field = pointer.slice(1).replaceAll('/', '.')
    report.faults.push({ line: lineOf(pointer), detail: `${noun} ${key}: ${field ? `${field}: ` : ''}${detail}` })
  }
}

/** What a rule or a constraint refuses leaves no trace, so that the rest can still be looked at. */
const attempt = async ({ db }: Scene, work: () => Promise<void>): Promise<Problem | undefined> => {
  await sql`savepoint record`.execute(db)
  try {
    await work()
    await sql`release savepoint record`.execute(db)
    return undefined
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    await sql`rollback to savepoint record`.execute(db)
    return error
  }
}
