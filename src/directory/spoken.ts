import { sql } from 'kysely'
import type { Db } from '../db/connect.ts'

/** What the clients of a workspace are set to do, all together. */
export interface Spoken {
  grantTypes: ReadonlySet<string>
  responseTypes: ReadonlySet<string>
  /** How clients learn of answers from elsewhere (CIBA Core 1.0 section 5). */
  deliveryModes: ReadonlySet<string>
}

/** Looks through the clients of a workspace that are on. */
export const spokenIn = async (db: Db, workspaceId: string): Promise<Spoken> => {
  const { rows } = await sql<{ what: keyof Spoken; value: string }>`
    with own as materialized (select metadata from clients where workspace_id = ${workspaceId} and status = 'active')
    select 'grantTypes' as what, jsonb_array_elements_text(metadata -> 'grant_types') as value from own
    union
    select 'responseTypes', jsonb_array_elements_text(metadata -> 'response_types') from own
      where metadata -> 'grant_types' ? 'authorization_code'
    union
    select 'deliveryModes', metadata ->> 'backchannel_token_delivery_mode' from own
      where metadata ? 'backchannel_token_delivery_mode'`.execute(db)
  const of = (wanted: keyof Spoken) => new Set(rows.filter(({ what }) => what === wanted).map(({ value }) => value))
  return { grantTypes: of('grantTypes'), responseTypes: of('responseTypes'), deliveryModes: of('deliveryModes') }
}
