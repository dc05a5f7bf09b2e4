import { type Kysely, sql } from 'kysely'

/** Operators' visits to the console. A visit ends with the era it began in, as everything of a user does. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table console_sessions (
      id text primary key,
      pool_id uuid not null,
      user_id uuid not null,
      era integer not null,
      id_token_sealed text,
      proved_at timestamptz not null,
      seen_at timestamptz not null,
      created_at timestamptz not null,
      expires_at timestamptz not null,
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index console_sessions_user on console_sessions (pool_id, user_id);
    create index console_sessions_expiry on console_sessions (expires_at);
  `.execute(db)
}
