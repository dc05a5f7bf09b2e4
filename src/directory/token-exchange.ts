import { z } from 'zod'

/** What a client may get for tokens of people (RFC 8693); only operators say so. */
export const tokenExchange = z
  .strictObject({
    resources: z
      .array(z.url())
      .max(100)
      .default([])
      .describe('Resources, among those of `resources`, that it may get tokens for'),
    subjects: z
      .enum(['own', 'any'])
      .default('own')
      .describe(
        'Whose tokens it may exchange: those that were given to itself, or those of any client of the workspace',
      ),
    impersonation: z.boolean().default(false).describe('It may get tokens that do not say that somebody acts'),
    delegation: z.boolean().default(true).describe('It may get tokens that say in `act` who acts, by an actor_token'),
    wider_scopes: z
      .boolean()
      .default(false)
      .describe('It may get all that it may have at a resource; else only what the exchanged token may do'),
  })
  .nullable()

export type TokenExchange = NonNullable<z.infer<typeof tokenExchange>>
