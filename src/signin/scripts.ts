import * as runs from '../directory/script-runs.ts'
import * as scripts from '../directory/scripts.ts'
import type { ConnectionScript } from '../directory/workspaces.ts'
import type { Outcome } from '../platform/sandbox.ts'
import type { Services } from '../services.ts'
import { checkOutput } from './script-points.ts'

/** Whom and what a run is about, for its record. */
interface About {
  trace: string | null
  userId: string | null
  clientId: string | null
}

/**
 * Runs a script of a workspace on an input that holds nothing secret. What it did is kept beside the request: nobody
 * waits for that, and where it cannot be kept the sign-in goes on.
 */
export const runScript = async (
  services: Services,
  script: ConnectionScript,
  input: unknown,
  about: About,
): Promise<Outcome> => {
  const { id, code, point, workspaceId } = script
  const turnsOf = `workspace ${workspaceId}`
  const call = scripts.functionOf[point]
  const outcome = await services.sandbox.run({ key: `script ${id}`, turnsOf, code, call, input })
  void keep(services, script, input, outcome, about)
  return outcome
}

/** How many runs are being kept at a time, at most: a flood of sign-ins costs records and never an answer. */
const mostFlying = 20
let flying = 0

const keep = async (
  { db, clock, log }: Services,
  script: ConnectionScript,
  input: unknown,
  outcome: Outcome,
  about: About,
): Promise<void> => {
  if (flying >= mostFlying) return
  flying += 1
  try {
    const at = clock.now()
    await runs.keepRun(db, script, { at, version: script.version, ...told(script, outcome), ...about })
    if (script.recordNext) await runs.recordSample(db, at, script, input)
  } catch (error) {
    log.warn({ err: error, trace: about.trace ?? undefined }, 'the run of a script could not be kept')
  } finally {
    flying -= 1
  }
}

const told = ({ point }: ConnectionScript, outcome: Outcome) => {
  const { logs, ms } = outcome
  if (!outcome.ok) return { ok: false, why: outcome.why, detail: clean(outcome.detail), ms, logs: clean(logs) }
  const checked = checkOutput(point, outcome.output)
  if (checked.ok) return { ok: true, why: null, detail: null, ms, logs: clean(logs) }
  const detail = checked.errors.map((error) => `${error.pointer} ${error.detail}`).join('; ')
  return { ok: false, why: 'bad_output', detail: clean(detail).slice(0, 1000), ms, logs: clean(logs) }
}

// PostgreSQL keeps no NUL in a text.
const clean = (text: string): string => text.replaceAll('\0', '').slice(0, 8192)
