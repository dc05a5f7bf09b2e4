import { type Kysely, sql } from 'kysely'

/**
 * What a domain's DNS has to say, so that nobody claims a host by its leading here. Domains that are active stay so; what
 * they were proven by was not kept. The default is for nodes of the version before, which name domains without it.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table domains
      add column challenge text not null
        default replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''),
      add column proof text check (proof in ('dns', 'operator')),
      add column proven_at timestamptz,
      add constraint domains_proof check ((proof is null) = (proven_at is null));
  `.execute(db)
}
