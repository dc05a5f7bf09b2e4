import { type RawBuilder, sql } from 'kysely'
import type { Db } from './connect.ts'

/** How long somebody may ask about a sign-in that did not go well, in days. */
const kept = 30

/**
 * Removes attempts that are over, but keeps the trail of those in which something was refused or that nobody finished:
 * those are asked about. Answers how many attempts went.
 */
export const removeAttempts = async (db: Db, at: Date, remove: RawBuilder<unknown>): Promise<number> => {
  const until = new Date(at.getTime() + kept * 86_400_000)
  const { rows } = await sql<{ removed: number }>`
    with gone as (${remove} returning workspace_id, id, pool_id, data, expires_at), left_behind as (
      insert into trails (workspace_id, id, pool_id, trail, ended_at, expires_at)
      select workspace_id, id, pool_id, data -> 'trail', expires_at, ${until} from gone
      where jsonb_path_exists(data, '$.trail[*].ok ? (@ == false)')
        or (jsonb_path_exists(data, '$.trail[0]') and data #>> '{trail,-1,next}' <> 'finish')
      on conflict do nothing
    ) select count(*)::int as removed from gone`.execute(db)
  return rows[0]?.removed ?? 0
}
