import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import * as scripts from '../../directory/scripts.ts'
import { Problem } from '../../platform/problem.ts'
import { patchedBy } from '../check.ts'
import { demandMapping } from '../giving.ts'
import { byId, listRoute } from '../list.ts'
import { checkMatch, etagOf, getChangeableWorkspace, getWorkspace } from '../reach.ts'
import { type Call, type Route, route } from '../route.ts'
import { inTransaction } from '../transaction.ts'

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

const inWorkspace = z.strictObject({ workspace: z.string().describe('Slug or id') })
const within = '/workspaces/{workspace}/scripts'

/** The parameters and the path of one script. */
export const oneScript = inWorkspace.extend({ id: z.uuid() })
export const scriptPath = `${within}/{id}` as const

export const scriptRoutes: Route[] = [
  listRoute({
    path: within,
    name: 'listScripts',
    summary: 'List the scripts of a workspace',
    scope: 'scripts:read',
    params: inWorkspace,
    items: answered,
    async open(call) {
      const { id } = await getWorkspace(call, call.params.workspace)
      const read = (page: Page) => scripts.list(call.services.db, id, page)
      return { list: `scripts:${id}`, read, position: byId, item: scriptOf }
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
      const { params, body } = call
      const workspace = await getChangeableWorkspace(call, params.workspace)
      const script = await inTransaction(call, (trx, at, by) => scripts.create(trx, at, workspace.id, body, by))
      const location = `/workspaces/${workspace.slug}/scripts/${script.id}`
      return { body: scriptOf(script), etag: etagOf(script), location }
    },
  }),
  route({
    method: 'GET',
    path: scriptPath,
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
    path: scriptPath,
    name: 'updateScript',
    summary: 'Change a script; other code is a new version, and runs from now on',
    scope: 'scripts:write',
    params: oneScript,
    body: settings,
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const before = await getChangeableScript(call)
      checkMatch(ifMatch, before)
      const { name, code, enabled, onFailure: on_failure, recordNext: record_next } = before
      const merged = patchedBy(settings, { name, code, enabled, on_failure, record_next }, body)
      const says = ({ code, enabled, on_failure }: typeof merged) => JSON.stringify([code, enabled, on_failure])
      if (says(merged) !== says({ ...merged, code, enabled, on_failure })) await demandMapping(call, before)
      const script = await inTransaction(call, (trx, at, by) => scripts.update(trx, at, before, merged, by))
      return { body: scriptOf(script), etag: etagOf(script) }
    },
  }),
  route({
    method: 'DELETE',
    path: scriptPath,
    name: 'deleteScript',
    summary: 'Delete a script with its versions, samples and runs; one that is in use stays',
    scope: 'scripts:write',
    params: oneScript,
    status: 204,
    async handle(call) {
      const script = await getChangeableScript(call)
      await inTransaction(call, (trx, at, by) => scripts.remove(trx, at, script, by))
    },
  }),
  route({
    method: 'GET',
    path: `${scriptPath}/versions`,
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
    path: `${scriptPath}/rollback`,
    name: 'rollBackScript',
    summary: 'Let an older version run again',
    scope: 'scripts:write',
    params: oneScript,
    body: z.strictObject({ version: z.int().min(1).describe('Number of the version to go back to') }),
    answer: answered,
    status: 200,
    async handle(call) {
      const { ifMatch, body } = call
      const before = await getChangeableScript(call)
      checkMatch(ifMatch, before)
      await demandMapping(call, before)
      const script = await inTransaction(call, (trx, at, by) => scripts.rollBack(trx, at, before, body.version, by))
      return { body: scriptOf(script), etag: etagOf(script) }
    },
  }),
]

type One = Pick<Call<z.output<typeof oneScript>, unknown, unknown>, 'services' | 'actor' | 'params'>

/** A script, if its workspace exists for this actor and has it. Throws `not_found`. */
export const getScript = async (call: One): Promise<scripts.Script> => {
  const workspace = await getWorkspace(call, call.params.workspace)
  const script = await scripts.find(call.services.db, workspace.id, call.params.id)
  if (!script) throw new Problem('not_found')
  return script
}

/** The same for a change, as for a workspace. Throws `forbidden` too where it speaks of people whom the actor does not see. */
const getChangeableScript = async (call: One): Promise<scripts.Script> => {
  const script = await getScript(call)
  await getChangeableWorkspace(call, call.params.workspace)
  if (!(await seesPeople(call, script)))
    throw new Problem('forbidden', {
      detail: 'People of pools that are not yours come by this script: it needs an operator who may see those pools.',
    })
  return script
}

/** Whether everybody whom a script is told of is of a pool that exists for this actor. */
export const seesPeople = async ({ services, actor }: One, script: scripts.Script): Promise<boolean> => {
  const { pools } = actor
  return !pools || (await scripts.poolsToldOf(services.db, script)).every((id) => pools.has(id))
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
