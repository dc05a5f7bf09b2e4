import { z } from 'zod'
import type { AttemptRow } from '../db/work.ts'

const identifier = z.object({ kind: z.enum(['email', 'mobile', 'username']), value: z.string(), typed: z.string() })

const factor = z.enum(['knowledge', 'possession', 'inherence'])
export type Factor = z.infer<typeof factor>

const proof = z.object({ method: z.string(), amr: z.string(), factors: z.array(factor), at: z.number() })

const word = z.object({ key: z.string(), values: z.record(z.string(), z.union([z.string(), z.number()])).optional() })

const data = z.object({
  identifier: identifier.optional(),
  proofs: z.array(proof).default([]),
  /** The method the person chose, and what it keeps until the answer comes. */
  method: z.string().optional(),
  pending: z.unknown().optional(),
  /** A newer hash of the password that was just proven, for `admit` to keep; or that it must give way to a new one. */
  evidence: z.object({ passwordHash: z.string().optional(), mustChange: z.boolean().optional() }).default({}),
  registration: z
    .object({
      identifier,
      profile: z.record(z.string(), z.unknown()),
      passwordHash: z.string().optional(),
      /** Absent where somebody owns the address already: the page is the same, no code ever fits. */
      userId: z.string().optional(),
      challenge: z.string(),
    })
    .optional(),
  recovery: z.object({ identifier, challenge: z.string() }).optional(),
  /** A form that has to be shown again: what was typed (never a password) and what is wrong with it. */
  draft: z
    .object({
      view: z.enum(['identify', 'register', 'recover', 'reset', 'change']),
      values: z.record(z.string(), z.string()),
      errors: z.record(z.string(), word),
    })
    .optional(),
  notice: word.optional(),
  alert: word.optional(),
})

/** One person's way through sign-in, kept between requests. It belongs to one interaction, and so to one browser. */
export type Attempt = z.infer<typeof data> & {
  workspaceId: string
  id: string
  version: number
  pool?: string | undefined
  expiresAt: Date
}

/** The attempt of an interaction nobody has answered yet; it is stored with the first answer. */
export const beginAttempt = (at: Pick<Attempt, 'workspaceId' | 'id' | 'expiresAt'>): Attempt => ({
  ...data.parse({}),
  ...at,
  version: 0,
})

export const attemptFrom = (row: AttemptRow): Attempt => ({
  ...data.parse(row.data),
  workspaceId: row.workspaceId,
  id: row.id,
  version: row.version,
  pool: row.poolId,
  expiresAt: row.expiresAt,
})

/** The row of an attempt's next version; it is refused where the attempt has moved on meanwhile. */
export const attemptRow = (attempt: Attempt): AttemptRow => ({
  workspaceId: attempt.workspaceId,
  id: attempt.id,
  version: attempt.version + 1,
  poolId: attempt.pool,
  identifierKind: attempt.identifier?.kind,
  identifierValue: attempt.identifier?.value,
  data: data.parse(attempt),
  expiresAt: attempt.expiresAt,
})
