import type { Db } from '../db/connect.ts'
import type { By } from '../directory/audit.ts'
import { byOf } from './access.ts'
import type { Call } from './route.ts'

/** Does what a call changes in one transaction; it is handed when that is, and who did it as its events tell. */
export const inTransaction = <Result>(
  { services, actor, at }: Pick<Call<unknown, unknown, unknown>, 'services' | 'actor' | 'at'>,
  change: (trx: Db, at: Date, by: By) => Promise<Result>,
): Promise<Result> => services.db.transaction().execute((trx) => change(trx, at, byOf(actor)))
