import { z } from 'zod'
import * as audit from '../../directory/audit.ts'
import { emitterNames, emitters } from '../../directory/emitters/index.ts'
import { poolSlug } from '../../directory/operators.ts'
import { Problem } from '../../platform/problem.ts'
import { byOf, demand } from '../access.ts'
import { exportTypes, fileNameOf, writeUsers } from '../export-body.ts'
import { getPool } from '../reach.ts'
import { type Route, route } from '../route.ts'

/** What password hashes need: whoever holds an owner's can guess their password undisturbed. */
export const hashScopes = ({ slug }: { slug: string }): string[] =>
  slug === poolSlug ? ['exports:write', 'operators:write'] : ['exports:write']

export const exportRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/pools/{pool}/exports',
    name: 'exportUsers',
    summary:
      'Export every user as CSV or NDJSON, or as another system imports them; password hashes need `exports:write`, operators’ own `operators:write`',
    scope: 'exports:read',
    params: z.strictObject({ pool: z.string().describe('Slug or id') }),
    query: z.strictObject({
      format: z
        .enum(emitterNames)
        .default('ndjson')
        .describe('`ndjson` and `csv` are for an import here, the others are what these systems import'),
      hashes: z
        .enum(['true', 'false'])
        .default('false')
        .describe('Whether password hashes go along; `cognito` has no place for them'),
    }),
    download: [...Object.values(exportTypes), 'application/json'],
    status: 200,
    async handle(call) {
      const { services, actor, at, query } = call
      const pool = await getPool(call, call.params.pool)
      const withHashes = query.hashes === 'true'
      if (withHashes) for (const scope of hashScopes(pool)) demand(actor, scope)
      const emitter = emitters[query.format]
      if (withHashes && !emitter.hashes) throw withoutHashes()
      const data = { by: byOf(actor), format: query.format, hashes: withHashes }
      await audit.record(services.db, at, { poolId: pool.id }, { type: 'export.started', data })
      const stream = writeUsers(services.db, pool, emitter, withHashes)
      return { type: emitter.type, filename: fileNameOf(pool, emitter), stream }
    },
  }),
]

const withoutHashes = () =>
  new Problem('unprocessable', {
    errors: [{ pointer: '/hashes', detail: 'This format has no place for password hashes' }],
  })
