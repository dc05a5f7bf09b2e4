import { z } from 'zod'
import type { Page } from '../../db/page.ts'
import { columnMapping } from '../../directory/import-columns.ts'
import * as imports from '../../directory/imports.ts'
import { findPreset, presetNames } from '../../directory/presets/index.ts'
import { Problem } from '../../platform/problem.ts'
import { type Actor, byOf, may } from '../access.ts'
import { importTypes, readRows } from '../import-body.ts'
import { byId, listRoute } from '../list.ts'
import { getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'

const progress = z.strictObject({
  id: z.uuid(),
  state: z.enum(['receiving', 'running', 'done']).describe('Rows still arrive, are worked on, or are all done'),
  dry_run: z.boolean(),
  on_duplicate: z.enum(['skip', 'update', 'fail']),
  preset: z.enum(presetNames).nullable().describe('The system that wrote the file; null where it is written for Lido'),
  rows: z.int().describe('How many there are'),
  position: z.int().describe('How many of them are done'),
  created: z.int(),
  updated: z.int(),
  skipped: z.int(),
  failed: z.int(),
  warned: z.int().describe('How many of those who were made or changed came in without something'),
  created_at: z.iso.datetime(),
  finished_at: z.iso.datetime().nullable(),
})
const told = z.array(z.strictObject({ row: z.int(), reasons: z.array(z.string()) }))
const answered = progress.extend({
  errors: told.describe('Why rows failed, the first thousand; the first row after a header is 1'),
  warnings: told.describe('Without what rows came in, such as a password, the first thousand'),
  left_out: z
    .array(
      z.strictObject({
        field: z.string().describe('As the other system calls it, and as `columns` may name it'),
        rows: z.int().describe('How many rows have it'),
      }),
    )
    .describe('With a preset: fields that are neither a column nor a property of the pool’s schemas'),
})

const ofPool = z.strictObject({ pool: z.string().describe('Slug or id') })
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

const mapping = z
  .string()
  .max(16_000)
  .default('{}')
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: 'This is no JSON', input: text })
      return z.NEVER
    }
  })
  .pipe(columnMapping)
  .describe(
    'How the columns of the file are called here, as a JSON object: `{"E-Mail":"email"}`; null leaves one out. With a preset, fields: `{"app_metadata.plan":"metadata.plan"}`',
  )

export const importRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/pools/{pool}/imports',
    name: 'createImport',
    summary:
      'Import users from CSV or NDJSON, or from another system’s file; groups, roles and tenants need `groups:write`, `roles:write`, `tenants:write` too',
    scope: 'imports:write',
    params: ofPool,
    query: z.strictObject({
      dry_run: flag.describe('Check and count everything, and change nothing'),
      on_duplicate: z.enum(['skip', 'update', 'fail']).default('skip').describe('What becomes of users who are there'),
      preset: z
        .enum(presetNames)
        .optional()
        .describe('The system that wrote the file, where it is not written for Lido; its JSON is taken too'),
      columns: mapping,
    }),
    upload: importTypes,
    answer: answered,
    status: 201,
    async handle(call) {
      const { services, actor, query, upload } = call
      const pool = await getPool(call, call.params.pool)
      const type = importTypes.find((one) => one === upload.type)
      if (!type) throw new Problem('unsupported_type', { detail: `Send ${importTypes.join(' or ')}.` })
      const preset = findPreset(query.preset)
      const wanted = { dryRun: query.dry_run, onDuplicate: query.on_duplicate, preset: preset?.name ?? null }
      const options = { ...wanted, ...reachOf(actor) }
      const rows = readRows(upload.stream, type, { preset, mapping: query.columns, pool })
      const begun = await imports.start(services, pool.id, options, rows, byOf(actor))
      return { body: importOf(begun), location: `/pools/${pool.slug}/imports/${begun.id}` }
    },
  }),
  listRoute({
    path: '/pools/{pool}/imports',
    name: 'listImports',
    summary: 'List imports, the newest first; they are kept for a month',
    scope: 'imports:read',
    params: ofPool,
    items: progress,
    async open(call) {
      const { id } = await getPool(call, call.params.pool)
      const read = ({ limit, after }: Page) => imports.list(call.services.db, id, { limit, before: after })
      return { list: `imports:${id}`, read, position: byId, item: progressOf }
    },
  }),
  route({
    method: 'GET',
    path: '/pools/{pool}/imports/{id}',
    name: 'getImport',
    summary: 'Read how far an import is, and why rows failed',
    scope: 'imports:read',
    params: z.strictObject({ ...ofPool.shape, id: z.uuid() }),
    answer: answered,
    status: 200,
    async handle(call) {
      const pool = await getPool(call, call.params.pool)
      return { body: importOf(await imports.get(call.services.db, pool.id, call.params.id)) }
    },
  }),
]

/** What whoever imports may give to users, by the rules of those resources. */
const reachOf = (actor: Actor) => ({
  withGroups: may(actor, 'groups:write'),
  withRoles: may(actor, 'roles:write'),
  withTenants: may(actor, 'tenants:write'),
  ofPoolOnly: actor.pools !== undefined,
})

const progressOf = (one: imports.Import): z.input<typeof progress> => ({
  id: one.id,
  state: one.state,
  dry_run: one.dryRun,
  on_duplicate: one.onDuplicate,
  preset: one.preset,
  rows: one.rows,
  position: one.position,
  created: one.created,
  updated: one.updated,
  skipped: one.skipped,
  failed: one.failed,
  warned: one.warned,
  created_at: one.createdAt.toISOString(),
  finished_at: one.finishedAt?.toISOString() ?? null,
})

const importOf = (one: imports.Import): z.input<typeof answered> => ({
  ...progressOf(one),
  errors: one.errors,
  warnings: one.warnings,
  left_out: one.leftOut,
})
