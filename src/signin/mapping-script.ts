import * as scripts from '../directory/scripts.ts'
import type { Services } from '../services.ts'
import { checkBy, type MappingOutput, mappingOutput } from './script-points.ts'
import { runScript } from './scripts.ts'

/** What came of a mapping script; where it failed, what its operator wants then. */
export type Mapped =
  | { ok: true; mapped: MappingOutput }
  | {
      ok: false
      why: string
      onFailure: 'deny' | 'continue'
      script: { id: string; name: string; workspaceId: string }
    }

/** What a mapping script is about. */
interface About {
  trace: string | undefined
  userId?: string | undefined
}

/**
 * Lets a pool's mapping script have the last word on what an outside system tells of somebody. A script that is switched
 * off changes nothing; one that is gone, or whose workspace the pool is no longer connected to, fails and denies.
 */
export const runMapping = async (
  services: Services,
  place: { poolId: string; script: string },
  input: { claims: Record<string, unknown>; mapped: MappingOutput },
  { trace, userId }: About,
): Promise<Mapped> => {
  const script = await scripts.findMapping(services.db, place.poolId, place.script)
  const gone = { id: place.script, name: '', workspaceId: '' }
  if (!script) return { ok: false, why: 'not_found', onFailure: 'deny', script: gone }
  if (!script.enabled) return { ok: true, mapped: input.mapped }
  const about = { trace: trace ?? null, userId: userId ?? null, clientId: null }
  const outcome = await runScript(services, script, input, about)
  const { id, name, workspaceId, onFailure } = script
  if (!outcome.ok) return { ok: false, why: outcome.why, onFailure, script: { id, name, workspaceId } }
  const checked = checkBy(mappingOutput, outcome.output)
  if (checked.ok) return { ok: true, mapped: checked.output }
  return { ok: false, why: 'bad_output', onFailure, script: { id, name, workspaceId } }
}
