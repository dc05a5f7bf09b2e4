import { currentWork } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import type { OutsideMapping } from '../directory/outside-mapping.ts'
import type { Pool } from '../directory/pools.ts'
import type { Services } from '../services.ts'
import { fitMapped, type Mapped, mapOutsider } from './mapping.ts'
import { runMapping } from './mapping-script.ts'
import { type Outsider, storable } from './outsider.ts'
import type { MappingOutput } from './script-points.ts'

/**
 * What an outsider becomes here: by the pool's mapping, and then by its script where it has one. What that gives back has
 * to fit the pool as anything else. Undefined where the script refuses to say, and its operator wants nobody in then.
 */
export const mapWithScript = async (
  services: Services,
  pool: Pool,
  mapping: OutsideMapping,
  outsider: Outsider,
): Promise<Mapped | undefined> => {
  const mapped = await mapOutsider(mapping, outsider, pool.settings)
  if (mapping.script === null) return mapped
  const { profile, metadata, roles, groups, tenant } = mapped
  const input = { claims: outsider.claims, mapped: { profile, metadata, roles, groups, tenant: tenant ?? null } }
  const place = { poolId: pool.id, script: mapping.script }
  const outcome = await runMapping(services, place, input, { trace: currentWork()?.trace })
  if (outcome.ok) return fitMapped(pool.settings, { ...mapped, ...givenBy(storable(outcome.mapped)) })
  const { id: script, name, workspaceId } = outcome.script
  const data = { script, name, why: outcome.why, on_failure: outcome.onFailure }
  const about = { poolId: pool.id, workspaceId: workspaceId || undefined }
  currentWork()?.events.push(audit.event(services.clock.now(), about, { type: 'script.failed', data }))
  return outcome.onFailure === 'continue' ? mapped : undefined
}

/** Whatever of it the script says; nothing said leaves what the settings made. */
const givenBy = ({ tenant, ...rest }: MappingOutput): Partial<Mapped> => ({
  ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
  ...(tenant === undefined ? {} : { tenant: tenant ?? undefined }),
})
