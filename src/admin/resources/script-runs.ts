import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as runs from '../../directory/script-runs.ts'
import * as scripts from '../../directory/scripts.ts'
import { Problem } from '../../platform/problem.ts'
import { checkOutput, inputOf } from '../../signin/script-points.ts'
import { byId, listRoute } from '../list.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'
import { getScript, oneScript, scriptPath, seesPeople } from './scripts.ts'

const input = z.record(z.string(), z.unknown()).describe('What the function is called with, as its point gives it')
const sample = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  input,
  recorded: z.boolean().describe('Whether it comes from a real run'),
  created_at: z.iso.datetime(),
})

const run = z.strictObject({
  id: z.uuid(),
  at: z.iso.datetime(),
  version: z.int().describe('Number of the version that ran'),
  ok: z.boolean().describe('Whether it came to an answer that could be used'),
  why: z.string().nullable().describe('What went wrong, in a word; null where nothing did'),
  detail: z
    .string()
    .nullable()
    .describe('What went wrong, as the script or the sandbox says it; null where nothing did'),
  ms: z.number().describe('How many milliseconds it took'),
  logs: z.string().describe('What it printed, 8 KB at most'),
  trace: z.string().nullable().describe('The reference of the request that it ran in'),
  user_id: z.uuid().nullable(),
  client_id: z.string().nullable(),
})

const outcome = z.strictObject({
  ok: z.boolean().describe('Whether the script came to an answer that could be used'),
  why: z
    .enum(['threw', 'timeout', 'memory', 'too_large', 'bad_output', 'busy', 'crashed'])
    .nullable()
    .describe('What went wrong; null where nothing did'),
  detail: z.string().nullable().describe('What went wrong in words; null where nothing did'),
  output: z.unknown().describe('What it gave back, as it would be used; null where it failed'),
  errors: z
    .array(
      z.strictObject({
        pointer: z.string().describe('JSON pointer into the output (RFC 6901)'),
        detail: z.string().describe('What does not fit'),
      }),
    )
    .describe('What of its output does not fit its point'),
  logs: z.string().describe('What it printed, 8 KB at most'),
  ms: z.number().describe('How many milliseconds it took'),
})

/** One that is kept is no larger than the sandbox takes it. */
const keptInput = input.refine(
  (value) => Buffer.byteLength(JSON.stringify(value)) <= 32_768,
  'This is longer than 32 KB',
)

export const scriptRunRoutes: Route[] = [
  route({
    method: 'POST',
    path: `${scriptPath}/test`,
    name: 'testScript',
    summary: 'Run a script in the sandbox on an input or a sample; nobody is signed in or refused by it',
    scope: 'scripts:write',
    params: oneScript,
    body: z
      .strictObject({
        input: input.optional(),
        sample: z.uuid().optional().describe('Id of a sample of the script, instead of an input'),
        code: scripts.scriptSettings.shape.code.optional().describe('Code to run instead of what is saved'),
      })
      .refine((body) => (body.input === undefined) !== (body.sample === undefined), 'Send `input` or `sample`'),
    answer: outcome,
    status: 200,
    async handle(call) {
      const { services, body } = call
      const script = await getScript(call)
      const found = body.sample && (await samplesOf(call, script)).find(({ id }) => id === body.sample)
      if (body.sample && !found) throw new Problem('not_found')
      const given = found ? found.input : body.input
      const code = body.code ?? script.code
      const turnsOf = `workspace ${script.workspaceId}`
      const run = { key: `test ${script.id}`, turnsOf, code, call: scripts.functionOf[script.point], input: given }
      const told = await services.sandbox.run(run)
      return { body: outcomeOf(script.point, told) }
    },
  }),
  route({
    method: 'GET',
    path: `${scriptPath}/samples`,
    name: 'listScriptSamples',
    summary: 'List the inputs that a script can be tried on',
    scope: 'scripts:read',
    params: oneScript,
    answer: z.strictObject({
      items: z.array(sample),
      next_cursor: z.null(),
      example: input.describe('An input as the point of the script gives it, of nobody'),
    }),
    status: 200,
    async handle(call) {
      const script = await getScript(call)
      const rows = await samplesOf(call, script)
      return { body: { items: rows.map(sampleOf), next_cursor: null, example: inputOf[script.point] } }
    },
  }),
  route({
    method: 'POST',
    path: `${scriptPath}/samples`,
    name: 'createScriptSample',
    summary: 'Keep an input to try a script on',
    scope: 'scripts:write',
    params: oneScript,
    body: z.strictObject({ name: z.string().min(1).max(200).describe('Name for operators'), input: keptInput }),
    answer: sample,
    status: 201,
    async handle(call) {
      const { body, params } = call
      const script = await getScript(call)
      const kept = await inTransaction(call, (trx, at) => runs.addSample(trx, at, script, body))
      return { body: sampleOf(kept), location: `/workspaces/${params.workspace}/scripts/${script.id}/samples` }
    },
  }),
  route({
    method: 'DELETE',
    path: `${scriptPath}/samples/{sample}`,
    name: 'deleteScriptSample',
    summary: 'Delete a sample of a script',
    scope: 'scripts:write',
    params: oneScript.extend({ sample: z.uuid().describe('Id of the sample') }),
    status: 204,
    async handle(call) {
      const script = await getScript(call)
      await runs.removeSample(call.services.db, script, call.params.sample)
    },
  }),
  listRoute({
    path: `${scriptPath}/runs`,
    name: 'listScriptRuns',
    summary: 'List the last runs of a script, the latest first; they are kept for a week',
    scope: 'scripts:read',
    params: oneScript,
    items: run,
    async open(call) {
      const script = await getScript(call)
      const sees = await seesPeople(call, script)
      const read = async (page: Page) => (sees ? runs.listRuns(call.services.db, script, page) : [])
      return { list: `script-runs:${script.id}`, read, position: byId, item: runOf }
    },
  }),
]

/** The samples of a script but for what was recorded of people whom the actor does not see. */
const samplesOf = async (call: Parameters<typeof seesPeople>[0], script: scripts.Script): Promise<runs.Sample[]> => {
  const rows = await runs.listSamples(call.services.db, script)
  return (await seesPeople(call, script)) ? rows : rows.filter(({ recorded }) => !recorded)
}

const sampleOf = ({ createdAt, ...rest }: runs.Sample): z.input<typeof sample> => ({
  ...rest,
  created_at: createdAt.toISOString(),
})

const runOf = ({ at, userId, clientId, ...rest }: runs.RunRecord): z.input<typeof run> => ({
  ...rest,
  at: at.toISOString(),
  user_id: userId,
  client_id: clientId,
})

type Told = Awaited<ReturnType<Call<unknown, unknown, unknown>['services']['sandbox']['run']>>

const outcomeOf = (point: scripts.Point, told: Told): z.input<typeof outcome> => {
  const { logs, ms } = told
  if (!told.ok)
    return { ok: false, why: told.why, detail: told.detail.slice(0, 1000), output: null, errors: [], logs, ms }
  const checked = checkOutput(point, told.output)
  if (checked.ok) return { ok: true, why: null, detail: null, output: checked.output, errors: [], logs, ms }
  const detail = 'The output does not fit.'
  return { ok: false, why: 'bad_output', detail, output: null, errors: checked.errors, logs, ms }
}
