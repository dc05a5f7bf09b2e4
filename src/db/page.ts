import { type SelectQueryBuilder, sql } from 'kysely'

/** How much of a list is asked for: so many rows, from the one after `after`. */
export interface Page {
  limit: number
  after: string | undefined
}

/** For `$call`: has a query read a page in the order of a column that tells its rows apart. */
export const pageBy =
  (column: string, { limit, after }: Page) =>
  <DB, TB extends keyof DB, Row>(query: SelectQueryBuilder<DB, TB, Row>): SelectQueryBuilder<DB, TB, Row> =>
    (after === undefined ? query : query.where(sql.ref(column), '>', after)).orderBy(sql.ref(column)).limit(limit)
