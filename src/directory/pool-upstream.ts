import { z } from 'zod'
import { upstreamMapping } from './outside-mapping.ts'

/** Where a federated pool's users prove who they are, as it is stored: `settings` is checked by its type. */
export const poolUpstream = z.strictObject({
  type: z.string().min(1).max(50),
  settings: z.record(z.string(), z.unknown()).describe('What its type needs; secrets are kept sealed'),
  mapping: upstreamMapping.prefault({}),
  trust: z
    .strictObject({
      acr: z.boolean().default(false).describe('Whether its word on how surely somebody is known counts here'),
      auth_time: z.boolean().default(false).describe('Whether tokens say when somebody proved themselves there'),
    })
    .prefault({})
    .describe('What of its word on a sign-in is passed on'),
  new_users: z
    .enum(['create', 'refuse'])
    .default('create')
    .describe('Whether somebody who never came before is made a user'),
  linking: z
    .enum(['account', 'offer', 'off'])
    .default('account')
    .describe('`account`: people link it on their account page; `offer`: also at sign-in, with proof on both sides'),
  logout: z.boolean().default(false).describe('Whether signing out here goes on to sign out there'),
})
export type PoolUpstream = z.infer<typeof poolUpstream>
