import { z } from 'zod'
import * as groups from '../../directory/groups.ts'
import { outsideMapping } from '../../directory/outside-mapping.ts'
import { Problem } from '../../platform/problem.ts'
import { mapWithScript } from '../../signin/last-word.ts'
import { outsiderOf } from '../../signin/mapping-sample.ts'
import { findRoles, findTenant } from '../../signin/pools/placing.ts'
import { isLimited } from '../giving.ts'
import { getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'

const names = z.array(z.string().max(500)).max(200)
const anything = z.record(z.string(), z.unknown())

export const mappingRoutes: Route[] = [
  route({
    method: 'POST',
    path: '/pools/{pool}/mapping/preview',
    name: 'previewMapping',
    summary: 'Show what somebody from outside would become here, and change nothing',
    scope: 'pools:write',
    params: z.strictObject({ pool: z.string().describe('Slug or id') }),
    body: z.strictObject({
      sample: z.strictObject({
        claims: anything.describe('What is told of somebody, as the outside system names it'),
        roles: names.optional().describe('Names of roles; those in `claims` if absent'),
        groups: names.optional().describe('Names of groups; those in `claims` if absent'),
        tenant: z.string().max(500).nullable().optional().describe('The tenant; the field `tenant_id_field` if absent'),
      }),
      mapping: outsideMapping.optional().describe('In the place of the pool’s own, to try it before it is saved'),
    }),
    answer: z.strictObject({
      profile: anything,
      metadata: anything,
      roles: z.array(z.strictObject({ name: z.string(), known: z.boolean().describe('Whether a role has this key') })),
      groups: z.array(z.strictObject({ path: z.string(), known: z.boolean().describe('Whether a group is here') })),
      tenant: z
        .strictObject({ name: z.string(), known: z.boolean().describe('Whether a tenant is called that') })
        .nullable(),
      dropped: z.int().describe('How many values fit no schema of the pool, and would be left out'),
    }),
    status: 200,
    async handle(call) {
      const { services, body } = call
      const { db } = services
      const pool = await getPool(call, call.params.pool)
      const outside = pool.source ?? pool.upstream
      if (!outside) throw new Problem('conflict', { detail: 'Nobody comes to this pool from outside.' })
      const mapping = body.mapping ?? outside.mapping
      const outsider = outsiderOf(body.sample, outside.settings.tenant_id_field)
      const mapped = await mapWithScript(services, pool, mapping, outsider)
      if (!mapped) throw new Problem('conflict', { detail: 'The mapping script failed, and nobody would come in.' })
      const told = mapping.tenant.mode === 'static' ? (mapping.tenant.id ?? undefined) : mapped.tenant
      const tenant = mapping.tenant.mode === 'dynamic' || mapping.tenant.mode === 'static' ? told : undefined
      // What is there beyond their pools is not told to operators with limits.
      const reach = isLimited(call.actor) ? 'pool' : mapping.reach
      const [roles, paths, place] = await Promise.all([
        findRoles(db, pool.id, mapped.roles, reach),
        groups.listByPath(db, pool.id, mapped.groups),
        tenant === undefined ? undefined : findTenant(db, pool.id, tenant, reach),
      ])
      const { profile, metadata, dropped } = mapped
      return {
        body: {
          ...{ profile, metadata, dropped },
          roles: mapped.roles.map((name) => ({ name, known: roles.some(({ key }) => key === name) })),
          groups: mapped.groups.map((path) => ({ path, known: paths.some((group) => group.path === path) })),
          tenant: tenant === undefined ? null : { name: tenant, known: place !== undefined },
        },
      }
    },
  }),
]
