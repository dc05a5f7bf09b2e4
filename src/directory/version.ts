import { type RawBuilder, sql } from 'kysely'
import { Problem } from '../platform/problem.ts'

interface Versioned {
  updatedAt: Date
}

/** When a record is changed now: always later than before, for that time is what tells its versions apart. */
export const nextVersion = (at: Date, { updatedAt }: Versioned): Date =>
  new Date(Math.max(at.getTime(), updatedAt.getTime() + 1))

/** Whether a row is still the version that was read; rows may have microseconds, dates have none. */
export const isVersion = ({ updatedAt }: Versioned): RawBuilder<boolean> =>
  sql<boolean>`date_trunc('milliseconds', updated_at) = ${updatedAt}`

/** What a change ends with that somebody else was quicker than. */
export const overtaken = (): Problem =>
  new Problem('conflict', { detail: 'It was changed or deleted at the same moment. Read it again.' })
