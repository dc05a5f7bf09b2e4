import { type Kysely, sql } from 'kysely'

/** What people let a client know claim by claim, besides what the scopes carry that they agreed to. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table consents add column claims text[] not null default '{}'`.execute(db)
  // Discovery tells what operators' clients use. Whoever registers by itself gets nothing that is not told before.
  await sql`
    create trigger announce_new after insert on clients for each row when (new.registered_by = 'operator')
      execute function lido_announce()`.execute(db)
}
