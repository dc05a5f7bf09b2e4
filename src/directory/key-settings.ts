import { z } from 'zod'
import type { Db } from '../db/connect.ts'
import { Problem } from '../platform/problem.ts'

/** What a workspace can sign by. */
export const algorithms = ['RS256', 'ES256', 'EdDSA', 'PS256'] as const
export type Algorithm = (typeof algorithms)[number]

/** How a workspace keeps its signing keys; times in days. */
export const keySettings = z.strictObject({
  rotate_after_days: z
    .int()
    .min(0)
    .max(730)
    .refine((days) => days === 0 || days >= 7, 'Give 7 days or more, or 0')
    .default(90)
    .describe('A key that has signed for so many days is changed over to a new one; 0 to leave that to operators'),
  algorithms: z
    .array(z.enum(algorithms))
    .refine((all) => new Set(all).size === all.length, 'An algorithm is named twice')
    .refine((all) => all.includes('RS256'), 'OpenID Connect needs RS256')
    .default([...algorithms])
    .describe('What it has a key for; RS256 always'),
})
export type KeySettings = z.infer<typeof keySettings>

/** The fields of a client that name what this workspace signs by for it. */
const signedFields = [
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'introspection_signed_response_alg',
  'authorization_signed_response_alg',
] as const

type Signed = Partial<Record<(typeof signedFields)[number] | 'signing_alg', string | undefined>>

/** Throws `unprocessable` where a client or a resource wants an algorithm that its workspace has no key for. */
export const refuseUnsignable = (settings: KeySettings, wanted: Signed): void => {
  const signs: readonly (string | undefined)[] = [undefined, ...settings.algorithms]
  const errors = ([...signedFields, 'signing_alg'] as const)
    .filter((field) => !signs.includes(wanted[field]))
    .map((field) => ({ pointer: `/${field}`, detail: 'The workspace has no key for this algorithm' }))
  if (errors.length > 0) throw new Problem('unprocessable', { errors })
}

/** Throws `conflict` while a client or a resource of a workspace needs something else than these algorithms. */
export const refuseWhileNeeded = async (db: Db, workspaceId: string, kept: readonly Algorithm[]): Promise<void> => {
  const gone = algorithms.filter((alg) => !kept.includes(alg))
  if (gone.length === 0) return
  const client = await db
    .selectFrom('clients')
    .select('id')
    .where('workspaceId', '=', workspaceId)
    .where((eb) => eb.or(signedFields.map((field) => eb(eb.ref('metadata', '->>').key(field), 'in', gone))))
    .executeTakeFirst()
  if (client) throw new Problem('conflict', { detail: `The client "${client.id}" needs ${gone.join(' or ')}.` })
  const resource = await db
    .selectFrom('resources')
    .select('identifier')
    .where('workspaceId', '=', workspaceId)
    .where((eb) => eb(eb.ref('settings', '->>').key('signing_alg'), 'in', gone))
    .executeTakeFirst()
  if (resource)
    throw new Problem('conflict', { detail: `The resource "${resource.identifier}" needs ${gone.join(' or ')}.` })
}
