import type { Database } from './database.ts'
import type { Measured } from './driver.ts'
import type { OperationName } from './operations.ts'
import { addArtifacts, addUsers, type Seed } from './seed.ts'

/** What an operation costs among few users and among many. */
export interface Growth {
  name: OperationName
  few: Measured
  many: Measured
}

/** What is asked of both databases: whatever reads or writes more than the workspace itself. */
export const growing: OperationName[] = ['refresh', 'userinfo', 'introspection', 'page', 'sign_in_unhashed']

/** Fills a database up to so many users and, where asked, as many artifacts that are alive. */
export const grow = async (
  database: Database,
  seed: Seed,
  { from, to, artifacts }: { from: number; to: number; artifacts: boolean },
): Promise<void> => {
  const step = 50_000
  for (let first = from; first < to; first += step) {
    const end = Math.min(to, first + step)
    await addUsers(database, seed, first, end)
    if (artifacts) await addArtifacts(database, seed, first, end)
  }
  await database.pool.query('vacuum analyze')
  await database.pool.query('checkpoint')
}
