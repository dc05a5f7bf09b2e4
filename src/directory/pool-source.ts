import { z } from 'zod'
import { outsideMapping } from './outside-mapping.ts'

/** Where an external pool's users live, as it is stored: `settings` is checked by its type, its secrets are sealed. */
export const poolSource = z.strictObject({
  type: z.string().min(1).max(50),
  mode: z
    .enum(['migrate', 'sync'])
    .describe('`migrate`: people move over as they sign in, for good; `sync`: they stay, and a copy is kept fresh'),
  settings: z.record(z.string(), z.unknown()).describe('What its type needs; secrets are kept sealed'),
  observe: z.boolean().default(false).describe('Everything is tried and reported, and nothing is written'),
  paused: z.boolean().default(false).describe('Nothing is asked of the source any more, until this is false again'),
  frozen: z
    .boolean()
    .default(false)
    .describe('With `migrate`: nobody comes over by signing in any more, only by the link of a mail'),
  second_factor_there: z
    .enum(['require_ours', 'refuse', 'accept_password'])
    .default('require_ours')
    .describe('For whom the source asks for a second factor: one is got here before they come in, or they may not'),
  weak_passwords: z
    .enum(['change', 'accept'])
    .default('change')
    .describe('A password that this pool would refuse lets somebody in once, and then has to be changed'),
  mapping: outsideMapping.prefault({}),
})
export type PoolSource = z.infer<typeof poolSource>
