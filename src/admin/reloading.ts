import type { Pool } from '../directory/pools.ts'
import { getUpstream } from '../signin/upstreams/index.ts'

/** What is wrong with reloading claims at each refresh for the people of a pool: their upstream cannot be asked again. */
export const reloadFaults = (
  { kind, upstream }: Pick<Pool, 'kind' | 'upstream'>,
  wished: boolean | undefined,
): { pointer: string; detail: string }[] =>
  wished !== true || kind !== 'federated' || getUpstream(upstream?.type ?? '')?.renews
    ? []
    : [{ pointer: '/reload_claims_at_refresh', detail }]

const detail =
  'People of this pool come by an upstream that cannot be asked again between two sign-ins; OpenID Connect can'
