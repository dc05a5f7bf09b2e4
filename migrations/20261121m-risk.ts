import { type Kysely, sql } from 'kysely'

/** The networks that people have signed in from, as far as their pool judges sign-ins; never a whole address. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table places (
      pool_id uuid not null,
      user_id uuid not null,
      network text not null,
      country text,
      latitude real,
      longitude real,
      at timestamptz not null,
      expires_at timestamptz not null,
      primary key (pool_id, user_id, network),
      foreign key (pool_id, user_id) references users on delete cascade
    );
    create index places_expiry on places (expires_at);
  `.execute(db)
}
