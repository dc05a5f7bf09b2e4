import { z } from 'zod'
import { acrValues } from '../directory/acr.ts'
import { reservedClaims } from '../directory/connections.ts'
import type { Point } from '../directory/scripts.ts'

const identifier = z.strictObject({
  kind: z.enum(['email', 'mobile', 'username']),
  value: z.string(),
  verified: z.boolean(),
})
const thing = z.record(z.string(), z.unknown())

/** What `postAuthentication` is called with: nothing secret, and no token. */
export const postAuthenticationInput = z.strictObject({
  user: z.strictObject({
    id: z.string(),
    status: z.string(),
    identifiers: z.array(identifier),
    profile: thing,
    metadata: thing,
    groups: z.array(z.string()),
    roles: z.array(z.string()),
    tenant_id: z.string().nullable(),
  }),
  client: z.strictObject({ id: z.string(), name: z.string() }),
  workspace: z.strictObject({ slug: z.string() }),
  pool: z.strictObject({ slug: z.string() }),
  connection: z.strictObject({ id: z.string(), name: z.string() }),
  request: z.strictObject({
    grant_type: z.enum(['authorization_code', 'password']),
    scopes: z.array(z.string()),
    acr_values: z.array(z.string()),
    ip: z.string(),
    user_agent: z.string(),
    locale: z.string(),
    resource: z.array(z.string()),
  }),
  proofs: z.array(z.strictObject({ method: z.string(), amr: z.array(z.string()), at: z.string() })),
})
export type PostAuthenticationInput = z.infer<typeof postAuthenticationInput>

const dangerous = new Set(['__proto__', 'constructor', 'prototype'])

/** Whether a name stands anywhere in a value that means something to every object. */
const isHarmless = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => !dangerous.has(name) && isHarmless(inner))
}

/** Claims that a script or an application may add to what tokens tell. */
export const addedClaims = z
  .record(z.string().regex(/^[\w:./-]{1,100}$/, 'This is no name of a claim'), z.json())
  .superRefine((claims, context) => {
    for (const name of Object.keys(claims).filter((one) => reservedClaims.has(one)))
      context.addIssue({ code: 'custom', path: [name], message: 'This claim is reserved', input: claims })
    if (Object.keys(claims).length > 50)
      context.addIssue({ code: 'custom', message: 'There are more than 50 claims', input: claims })
    if (!isHarmless(claims)) context.addIssue({ code: 'custom', message: 'This name is refused', input: claims })
    if (Buffer.byteLength(JSON.stringify(claims)) > 8192)
      context.addIssue({ code: 'custom', message: 'This is longer than 8 KB', input: claims })
  })

/** Why somebody is refused, as they are shown it. */
const denial = z.strictObject({ reason: z.string().trim().min(1).max(500) })

/** What `postAuthentication` may give back; nothing at all lets the sign-in go on. */
export const postAuthenticationOutput = z.strictObject({
  claims: addedClaims.optional(),
  deny: denial.optional(),
  require_second_factor: z.boolean().optional(),
  redirect: z.boolean().optional(),
})
export type PostAuthenticationOutput = z.infer<typeof postAuthenticationOutput>

/** What `mapping` may give back, in the place of what the settings made. */
export const mappingOutput = z
  .strictObject({
    profile: thing.optional(),
    metadata: thing.optional(),
    roles: z.array(z.string().min(1).max(200)).max(200).optional(),
    groups: z.array(z.string().min(1).max(1000)).max(200).optional(),
    tenant: z.string().min(1).max(200).nullable().optional(),
  })
  .refine(isHarmless, 'This name is refused')
export type MappingOutput = z.infer<typeof mappingOutput>

type Checked<Output> = { ok: true; output: Output } | { ok: false; errors: { pointer: string; detail: string }[] }

/** What a function gave back, by the schema of its point. Nothing given back counts as nothing wanted. */
export const checkOutput = (point: Point, output: unknown): Checked<PostAuthenticationOutput | MappingOutput> =>
  point === 'mapping'
    ? checkBy(mappingOutput, output)
    : checkBy(postAuthenticationOutput, output === undefined || output === null ? {} : output)

export const checkBy = <Schema extends z.ZodType>(schema: Schema, output: unknown): Checked<z.output<Schema>> => {
  const read = schema.safeParse(output)
  if (read.success) return { ok: true, output: read.data }
  const errors = read.error.issues.map(({ path, message }) => ({
    pointer: path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    detail: message,
  }))
  return { ok: false, errors }
}

/** An input of each point, of nobody, to begin a sample with. */
export const inputOf: Record<Point, Record<string, unknown>> = {
  post_authentication: {
    user: {
      id: '019caddc-0e40-7b1f-9c3a-5d2e8f6a1b47',
      status: 'active',
      identifiers: [{ kind: 'email', value: 'ada@example.org', verified: true }],
      profile: { given_name: 'Ada', family_name: 'Lovelace' },
      metadata: { plan: 'gold' },
      groups: ['/Staff'],
      roles: ['editor'],
      tenant_id: null,
    },
    client: { id: 'shop', name: 'Shop' },
    workspace: { slug: 'acme' },
    pool: { slug: 'customers' },
    connection: { id: '019caddc-0e46-7f06-8e3d-4c97a2b5f018', name: 'Customers' },
    request: {
      grant_type: 'authorization_code',
      scopes: ['openid', 'profile'],
      acr_values: [acrValues[0] ?? ''],
      ip: '203.0.113.7',
      user_agent: 'Mozilla/5.0',
      locale: 'en',
      resource: [],
    },
    proofs: [{ method: 'password', amr: ['pwd'], at: '2026-03-02T09:30:00.000Z' }],
  } satisfies PostAuthenticationInput,
  mapping: {
    claims: { email: 'ada@example.org', department: 'Analysis' },
    mapped: { profile: { given_name: 'Ada' }, metadata: {}, roles: [], groups: [], tenant: null },
  },
}
