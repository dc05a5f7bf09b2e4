import { isDeepStrictEqual } from 'node:util'
import * as links from '../directory/links.ts'
import type { OutsideMapping } from '../directory/outside-mapping.ts'
import type { Pool } from '../directory/pools.ts'
import * as scripts from '../directory/scripts.ts'
import { Problem } from '../platform/problem.ts'
import type { Services } from '../services.ts'
import { type Actor, demand } from './access.ts'
import { clearSettings } from './pool-outside.ts'

/** Whether there are workspaces or pools that do not exist for this actor. */
export const isLimited = ({ workspaces, pools }: Actor): boolean => workspaces !== undefined || pools !== undefined

type Tools = Pick<Services, 'keyring'>
type Outside = Pick<Pool, 'source' | 'upstream'>

/**
 * Throws `forbidden` where a change lets people from outside be given what the operator may not give. Whoever says where
 * they come from says what they are called there, and so has as much to say as the mapping.
 */
export const demandGiving = (
  tools: Tools,
  actor: Actor,
  before: (Outside & Pick<Pool, 'id'>) | undefined,
  after: Outside,
): void => {
  const mapping = (after.source ?? after.upstream)?.mapping
  if (!mapping || (before && isDeepStrictEqual(saidOf(tools, before.id, before), saidOf(tools, before.id, after))))
    return
  const { roles, groups, tenants } = givenBy(mapping)
  if (roles) demand(actor, 'roles:write')
  if (groups) demand(actor, 'groups:write')
  if (tenants) demand(actor, 'tenants:write')
  if ((roles || tenants) && mapping.reach === 'everything' && isLimited(actor))
    throw new Problem('forbidden', {
      detail:
        'This could give people roles and tenants that are not of this pool, which needs an operator without limits. To give only those of this pool, set the mapping’s reach to "pool".',
      errors: [
        { pointer: `/${after.source ? 'source' : 'upstream'}/mapping/reach`, detail: 'It has to be "pool" for you' },
      ],
    })
}

/**
 * Throws `forbidden` where a change of an upstream lets it speak otherwise for people of pools that do not exist for this
 * actor, who have linked its identities: whoever sets its keys, or what its word is worth, could come in as them.
 */
export const demandSpeaking = async (
  { db, keyring }: Pick<Services, 'db' | 'keyring'>,
  { pools }: Actor,
  before: Pick<Pool, 'id' | 'upstream'>,
  { upstream }: Pick<Pool, 'upstream'>,
): Promise<void> => {
  if (!pools || !before.upstream || !upstream) return
  const wordOf = (said: NonNullable<Pool['upstream']>) => {
    const { type, trust, linking } = said
    return { type, trust, linking, settings: clearSettings(keyring, 'upstream', before.id, said) }
  }
  if (isDeepStrictEqual(wordOf(before.upstream), wordOf(upstream))) return
  if (await links.leadBeyond(db, before.id, [...pools]))
    throw new Problem('forbidden', {
      detail:
        'People of pools that are not yours have linked an identity of this upstream: what speaks for them needs an operator who may see those pools.',
    })
}

/** The same as `demandGiving` for whoever changes what a script says, where a pool's mapping leaves it the last word. */
export const demandMapping = async (
  { services, actor }: { services: Pick<Services, 'db'>; actor: Actor },
  { id, point }: Pick<scripts.Script, 'id' | 'point'>,
): Promise<void> => {
  const mapped = point === 'mapping' ? await scripts.poolsMappedBy(services.db, id) : []
  if (mapped.length === 0) return
  for (const scope of ['roles:write', 'groups:write', 'tenants:write']) demand(actor, scope)
  const beyond = ({ id: pool, reach }: (typeof mapped)[number]) => reach !== 'pool' || actor.pools?.has(pool) === false
  if (isLimited(actor) && mapped.some(beyond))
    throw new Problem('forbidden', {
      detail:
        'A pool’s mapping uses this script, and what it says could give people roles and tenants that are not yours to give: it needs an operator without limits.',
    })
}

/** Whether a mapping gives anything. */
const givenBy = ({ roles, groups, tenant }: OutsideMapping) => ({
  roles: roles.taken !== 'none',
  groups: groups.taken !== 'none',
  tenants: tenant.mode === 'new' || (tenant.mode !== 'none' && tenant.taken !== 'none'),
})

/** What says who somebody is and what they are given: all of it but for the switches. */
const saidOf = ({ keyring }: Tools, pool: string, { source, upstream }: Outside): unknown => {
  const outside = source ?? upstream
  if (!outside) return undefined
  const { type, mapping } = outside
  return { type, mapping, settings: clearSettings(keyring, source ? 'source' : 'upstream', pool, outside) }
}
