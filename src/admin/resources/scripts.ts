import { z } from 'zod'
import * as scripts from '../../directory/scripts.ts'
import { Problem } from '../../platform/problem.ts'
import { checkOutput, inputOf } from '../../signin/script-points.ts'
import { byOf } from '../access.ts'
import { patchedBy } from '../check.ts'
import { pageOf, readCursor } from '../list.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Call, listOf, listQuery, type Route, route } from '../route.ts'

const settings = scripts.scriptSettings

const answered = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  point: z.enum(scripts.points).describe('Where it runs'),
  enabled: z.boolean().describe('Switched off, sign-ins go on as if there were no script'),
  on_failure: z.enum(['deny', 'continue']).describe('What becomes of a sign-in where the script fails'),
  record_next: z.boolean().describe('Whether the input of the next real run is kept as a sample'),
  version: z.int().describe('Number of the version that runs'),
  code: z.string().describe('JavaScript of the version that runs'),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

const version = z.strictObject({
  number: z.int().describe('Counts the saves'),
  current: z.boolean().describe('Whether it is the one that runs'),
  code: z.string().describe('JavaScript, as it was saved'),
  written_by: z
    .strictObject({
      kind: z.enum(['operator', 'client', 'system', 'person']).describe('What saved it'),
      id: z.string().optional().describe('Id of the operator or client that saved it'),
    })
    .describe('Who saved it'),
  created_at: z.iso.datetime(),
})

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

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const oneScript = inWorkspace.extend({ id: z.uuid() })
const within = '/workspaces/{workspace}/scripts'
const one = `${within}/{id}`

export const scriptRoutes: Route[] = [
  route({
    method: 'GET',
    path: within,
    name: 'listScripts',
    summary: 'List the scripts of a workspace',
    scope: 'scripts:read',
    params: inWorkspace,
    query: listQuery({}),
    answer: listOf(answered),
    status: 200,
    async handle(call) {
      const { services, params, query } = call
      const { db, keyring } = services
      const workspace = await getWorkspace(call, params.workspace)
      const list = `scripts:${workspace.id}`
      const [after] = readCursor(keyring, list, query.cursor) ?? []
      const rows = await scripts.list(db, workspace.id, { limit: query.limit + 1, after })
      return { body: pageOf(rows, { limit: query.limit, keyring, list, position: ({ id }) => [id], item: scriptOf }) }
    },
  }),
  route({
    method: 'POST',
    path: within,
    name: 'createScript',
    summary: 'Make a script; it runs where a connection or a mapping names it',
    scope: 'scripts:write',
    params: inWorkspace,
    body: scripts.newScript,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, at, params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const script = await services.db
        .transaction()
        .execute((trx) => scripts.create(trx, at, workspace.id, body, byOf(actor)))
      const location = `/workspaces/${workspace.slug}/scripts/${script.id}`
      return { body: scriptOf(script), etag: etagOf(script), location }
    },
  }),
  route({
    method: 'GET',
    path: one,
    name: 'getScript',
    summary: 'Read a script',
    scope: 'scripts:read',
    params: oneScript,
    answer: answered,
    status: 200,
    async handle(call) {
      const script = await getScript(call)
      return { body: scriptOf(script), etag: etagOf(script) }
    },
  }),
  route({
    method: 'PATCH',
    path: one,
    name: 'updateScript',
    summary: 'Change a script; other code is a new version, and runs from now on',
    scope: 'scripts:write',
    params: oneScript,
    body: settings,
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, body } = call
      const before = await getScript(call)
      checkMatch(ifMatch, before)
      const { name, code, enabled, onFailure: on_failure, recordNext: record_next } = before
      const merged = patchedBy(settings, { name, code, enabled, on_failure, record_next }, body)
      const script = await services.db
        .transaction()
        .execute((trx) => scripts.update(trx, at, before, merged, byOf(actor)))
      return { body: scriptOf(script), etag: etagOf(script) }
    },
  }),
  route({
    method: 'DELETE',
    path: one,
    name: 'deleteScript',
    summary: 'Delete a script with its versions, samples and runs; one that is in use stays',
    scope: 'scripts:write',
    params: oneScript,
    status: 204,
    async handle(call) {
      const { services, actor, at } = call
      const script = await getScript(call)
      await services.db.transaction().execute((trx) => scripts.remove(trx, at, script, byOf(actor)))
      return { body: undefined }
    },
  }),
  route({
    method: 'GET',
    path: `${one}/versions`,
    name: 'listScriptVersions',
    summary: 'List the versions of a script that are kept, the newest first',
    scope: 'scripts:read',
    params: oneScript,
    answer: z.strictObject({ items: z.array(version), next_cursor: z.null() }),
    status: 200,
    async handle(call) {
      const script = await getScript(call)
      const rows = await scripts.listVersions(call.services.db, script)
      return { body: { items: rows.map((row) => versionOf(row, script)), next_cursor: null } }
    },
  }),
  route({
    method: 'POST',
    path: `${one}/rollback`,
    name: 'rollBackScript',
    summary: 'Let an older version run again',
    scope: 'scripts:write',
    params: oneScript,
    body: z.strictObject({ version: z.int().min(1).describe('Number of the version to go back to') }),
    answer: answered,
    status: 200,
    async handle(call) {
      const { services, actor, at, ifMatch, body } = call
      const before = await getScript(call)
      checkMatch(ifMatch, before)
      const script = await services.db
        .transaction()
        .execute((trx) => scripts.rollBack(trx, at, before, body.version, byOf(actor)))
      return { body: scriptOf(script), etag: etagOf(script) }
    },
  }),
  route({
    method: 'POST',
    path: `${one}/test`,
    name: 'testScript',
    summary: 'Run a script in the sandbox on an input or a sample; nobody is signed in or refused by it',
    scope: 'scripts:write',
    params: oneScript,
    body: z
      .strictObject({
        input: input.optional(),
        sample: z.uuid().optional().describe('Id of a sample of the script, instead of an input'),
        code: settings.shape.code.optional().describe('Code to run instead of what is saved'),
      })
      .refine((body) => (body.input === undefined) !== (body.sample === undefined), 'Send `input` or `sample`'),
    answer: outcome,
    status: 200,
    async handle(call) {
      const { services, body } = call
      const script = await getScript(call)
      const found = body.sample && (await scripts.listSamples(services.db, script)).find(({ id }) => id === body.sample)
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
    path: `${one}/samples`,
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
      const rows = await scripts.listSamples(call.services.db, script)
      return { body: { items: rows.map(sampleOf), next_cursor: null, example: inputOf[script.point] } }
    },
  }),
  route({
    method: 'POST',
    path: `${one}/samples`,
    name: 'createScriptSample',
    summary: 'Keep an input to try a script on',
    scope: 'scripts:write',
    params: oneScript,
    body: z.strictObject({ name: z.string().min(1).max(200).describe('Name for operators'), input: inputOfSize() }),
    answer: sample,
    status: 201,
    async handle(call) {
      const { services, at, body, params } = call
      const script = await getScript(call)
      const kept = await services.db.transaction().execute((trx) => scripts.addSample(trx, at, script, body))
      return { body: sampleOf(kept), location: `/workspaces/${params.workspace}/scripts/${script.id}/samples` }
    },
  }),
  route({
    method: 'DELETE',
    path: `${one}/samples/{sample}`,
    name: 'deleteScriptSample',
    summary: 'Delete a sample of a script',
    scope: 'scripts:write',
    params: oneScript.extend({ sample: z.uuid().describe('Id of the sample') }),
    status: 204,
    async handle(call) {
      const script = await getScript(call)
      await scripts.removeSample(call.services.db, script, call.params.sample)
      return { body: undefined }
    },
  }),
  route({
    method: 'GET',
    path: `${one}/runs`,
    name: 'listScriptRuns',
    summary: 'List the last runs of a script, the latest first; they are kept for a week',
    scope: 'scripts:read',
    params: oneScript,
    query: listQuery({}),
    answer: listOf(run),
    status: 200,
    async handle(call) {
      const { services, query } = call
      const { db, keyring } = services
      const script = await getScript(call)
      const list = `script-runs:${script.id}`
      const [after] = readCursor(keyring, list, query.cursor) ?? []
      const rows = await scripts.listRuns(db, script, { limit: query.limit + 1, after })
      return { body: pageOf(rows, { limit: query.limit, keyring, list, position: ({ id }) => [id], item: runOf }) }
    },
  }),
]

/** An input may be as large as the sandbox takes it. */
function inputOfSize() {
  return input.refine((value) => Buffer.byteLength(JSON.stringify(value)) <= 32_768, 'This is longer than 32 KB')
}

type One = Pick<Call<z.output<typeof oneScript>, unknown, unknown>, 'services' | 'actor' | 'params'>

/** A script, if its workspace exists for this actor and has it. Throws `not_found`. */
const getScript = async (call: One): Promise<scripts.Script> => {
  const workspace = await getWorkspace(call, call.params.workspace)
  const script = await scripts.find(call.services.db, workspace.id, call.params.id)
  if (!script) throw new Problem('not_found')
  return script
}

const scriptOf = ({
  id,
  name,
  point,
  enabled,
  onFailure,
  recordNext,
  version: number,
  code,
  createdAt,
  updatedAt,
}: scripts.Script): z.input<typeof answered> => ({
  ...{ id, name, point, enabled, code, on_failure: onFailure, record_next: recordNext, version: number },
  created_at: createdAt.toISOString(),
  updated_at: updatedAt.toISOString(),
})

const versionOf = (
  { number, code, writtenBy, createdAt }: scripts.Version,
  script: scripts.Script,
): z.input<typeof version> => ({
  number,
  current: number === script.version,
  code,
  written_by: writtenBy as z.input<typeof version>['written_by'],
  created_at: createdAt.toISOString(),
})

const sampleOf = ({ createdAt, ...rest }: scripts.Sample): z.input<typeof sample> => ({
  ...rest,
  created_at: createdAt.toISOString(),
})

const runOf = ({ at, userId, clientId, ...rest }: scripts.RunRecord): z.input<typeof run> => ({
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
