import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { enqueue } from '../platform/jobs.ts'
import { type Keyring, uuidv7 } from '../platform/secrets.ts'
import type * as audit from './audit.ts'
import { refuseSecond } from './taken.ts'

export const task = 'migration_round'

/** Somebody whom a round has still to write to; `externalId` and `address` are unknown of whom an operator named. */
export const waiting = z.object({
  kind: z.enum(['email', 'mobile', 'username']),
  value: z.string(),
  typed: z.string(),
  externalId: z.string().optional(),
  address: z.string().optional(),
})
export type Waiting = z.infer<typeof waiting>

/** A way through everybody at a pool's source: to count who has not come over, or to write to them. */
export interface Round {
  poolId: string
  id: string
  kind: 'count' | 'mail'
  state: 'running' | 'done' | 'failed' | 'stopped'
  workspaceId: string | null
  /** Mails a minute, and for how many days each link works. */
  perMinute: number
  days: number
  waitingSealed: string | null
  cursor: string | null
  /** Whether the source's last page was read. */
  atEnd: boolean
  seen: number
  missing: number
  sent: number
  skipped: number
  /** Answers in a row that told nothing; `why` is the last one's. */
  faults: number
  why: string | null
  /** Grows with each step, so that a step that runs twice counts once. */
  step: number
  createdAt: Date
  finishedAt: Date | null
}

/** How a round is to be done. */
export interface NewRound {
  kind: Round['kind']
  workspaceId: string | null
  perMinute: number
  days: number
  /** The only ones to write to; everybody where it is undefined. */
  only: Waiting[] | undefined
}

const keptDays = 90

/** Starts a round. Throws `conflict` while one of its kind is running. */
export const start = async (
  db: Db,
  { keyring, at }: { keyring: Keyring; at: Date },
  poolId: string,
  { only, ...wanted }: NewRound,
  by: audit.By,
): Promise<Round> => {
  const id = uuidv7(at)
  const row = {
    ...{ poolId, id, state: 'running' as const, ...wanted, startedBy: JSON.stringify(by), createdAt: at },
    waitingSealed: only ? seal(keyring, poolId, only) : null,
    atEnd: only !== undefined,
    missing: only?.length ?? 0,
    expiresAt: new Date(at.getTime() + keptDays * 86_400_000),
  } as const
  const made = await db
    .insertInto('migrationRounds')
    .values(row)
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch(refuseSecond('One is running already.'))
  await enqueue(db, task, { pool: poolId, id })
  return made
}

/** The latest round of each kind. */
export const latest = async (db: Db, poolId: string): Promise<Partial<Record<Round['kind'], Round>>> => {
  const rows = await db
    .selectFrom('migrationRounds')
    .selectAll()
    .distinctOn('kind')
    .where('poolId', '=', poolId)
    .orderBy('kind')
    .orderBy('id', 'desc')
    .execute()
  return Object.fromEntries(rows.map((row) => [row.kind, row]))
}

export const find = async (db: Db, poolId: string, id: string): Promise<Round | undefined> =>
  db
    .selectFrom('migrationRounds')
    .selectAll()
    .where('poolId', '=', poolId)
    .where('id', '=', id)
    .where('state', '=', 'running')
    .executeTakeFirst()

type Progress = Partial<
  Pick<
    Round,
    'state' | 'waitingSealed' | 'cursor' | 'atEnd' | 'seen' | 'missing' | 'sent' | 'skipped' | 'faults' | 'why'
  >
>

/** Writes how far a round is; false where this step was done before, or somebody stopped it. Then nothing is written. */
export const advance = async (db: Db, at: Date, round: Round, progress: Progress): Promise<boolean> => {
  const over = progress.state !== undefined && progress.state !== 'running'
  const { numUpdatedRows } = await db
    .updateTable('migrationRounds')
    .set({ ...progress, step: round.step + 1, ...(over ? { finishedAt: at, waitingSealed: null, cursor: null } : {}) })
    .where('poolId', '=', round.poolId)
    .where('id', '=', round.id)
    .where('state', '=', 'running')
    .where('step', '=', round.step)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Ends what is running; answers how many rounds that were. */
export const stop = async (db: Db, at: Date, poolId: string): Promise<number> => {
  const { numUpdatedRows } = await db
    .updateTable('migrationRounds')
    .set({ state: 'stopped', finishedAt: at, waitingSealed: null, cursor: null })
    .where('poolId', '=', poolId)
    .where('state', '=', 'running')
    .executeTakeFirst()
  return Number(numUpdatedRows)
}

/** Who waits is kept sealed: it is people's addresses, and a queue is nobody's to read. */
export const seal = (keyring: Keyring, poolId: string, people: readonly Waiting[]): string =>
  keyring.seal(JSON.stringify(people), `migration round ${poolId}`)

export const unseal = (keyring: Keyring, { poolId, waitingSealed }: Round): Waiting[] =>
  waitingSealed === null
    ? []
    : z.array(waiting).parse(JSON.parse(keyring.open(waitingSealed, `migration round ${poolId}`)))
