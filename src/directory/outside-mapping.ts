import { z } from 'zod'

/** A way into what an outside system tells of somebody, such as `address.country` or `custom:plan`. */
const path = z.string().regex(/^[^\s]{1,200}$/)

/** A pattern of names in which `*` stands for anything. */
const pattern = z.string().min(1).max(100)

/** When what comes from outside is taken over: never, at somebody's first sign-in, at each, or only what is new. */
const takings = ['none', 'first_sign_in', 'every_sign_in', 'add_only'] as const
const taking = z.enum(takings)

/** How what an outside system tells of somebody becomes what a pool knows of them. */
export const outsideMapping = z.strictObject({
  when: z
    .enum(['first_sign_in', 'every_sign_in'])
    .default('first_sign_in')
    .describe('When the profile and metadata are taken over; a source with mode `sync` does it at every sign-in'),
  profile: z
    .record(z.string().regex(/^[^.\s]{1,100}$/), path)
    .default({})
    .describe('Profile field to what it is read from; the standard claims that the schema knows come by themselves'),
  metadata: z
    .record(z.string().regex(/^[^.\s]{1,100}$/), path)
    .default({})
    .describe('Metadata field to what it is read from'),
  roles: z
    .strictObject({
      from: path.nullable().default(null).describe('Where the names of roles are; null for what its type says'),
      taken: taking.default('first_sign_in').describe('A role is given by its key; what no role is called is counted'),
      ignore: z.array(pattern).max(100).default([]).describe('Names that are neither given nor counted'),
    })
    .prefault({}),
  groups: z
    .strictObject({
      from: path.nullable().default(null).describe('Where the names of groups are; null for what its type says'),
      taken: taking.default('none').describe('When groups are joined; what no group is called is counted'),
      ignore: z.array(pattern).max(100).default([]).describe('Names that are neither joined nor counted'),
      names: z
        .record(z.string().min(1).max(200), z.string().min(1).max(1000))
        .default({})
        .describe('Name outside to the path of a group here; others are joined where a path is called the same'),
    })
    .prefault({}),
  tenant: z
    .strictObject({
      mode: z
        .enum(['none', 'dynamic', 'static', 'new'])
        .default('dynamic')
        .describe('`dynamic`: the field `tenant_id_field` names it; `static`: `id`; `new`: one is made per user'),
      id: z.string().min(1).max(100).nullable().default(null).describe('The tenant of everybody, with `static`'),
      taken: taking
        .default('add_only')
        .describe('With `every_sign_in` somebody also leaves the tenants that are not told of any more'),
      ignore: z.array(pattern).max(100).default([]).describe('Tenants, by slug, that are neither joined nor left'),
    })
    .prefault({}),
  reach: z
    .enum(['everything', 'pool'])
    .default('everything')
    .describe('`pool`: only tenants of this pool and their roles are given; `everything`: global ones, too'),
  script: z.uuid().nullable().default(null).describe('A script with the point `mapping` that has the last word'),
})
/** The same of an upstream: who runs it says who somebody is, and gives no role here unless that is asked for. */
export const upstreamMapping = outsideMapping.extend({
  roles: outsideMapping.shape.roles
    .unwrap()
    .extend({
      taken: taking.default('none').describe('A role is given by its key; what no role is called is counted'),
    })
    .prefault({}),
})

export type OutsideMapping = z.infer<typeof outsideMapping>

/** A claim by its whole name, as namespaced ones have dots of their own, else by the way into what it holds. */
export const readPath = (claims: Record<string, unknown>, path: string): unknown => {
  if (Object.hasOwn(claims, path)) return claims[path]
  return path
    .split('.')
    .reduce<unknown>((held, name) => (isRecord(held) && Object.hasOwn(held, name) ? held[name] : undefined), claims)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
