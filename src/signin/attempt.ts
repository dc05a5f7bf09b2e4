import { z } from 'zod'
import type { AttemptRow } from '../db/work.ts'
import { outsider } from './outsider.ts'
import { levels } from './risk.ts'
import { trail } from './trail.ts'

export const identifier = z.object({
  kind: z.enum(['email', 'mobile', 'username']),
  value: z.string(),
  typed: z.string(),
})

/** A mailbox is a factor of its own; but it opens whatever a mail can reset, so it never makes two with a password. */
const factor = z.enum(['knowledge', 'possession', 'inherence', 'mailbox'])
export type Factor = z.infer<typeof factor>

const proof = z.object({
  method: z.string(),
  amr: z.array(z.string()),
  factors: z.array(factor),
  phishingResistant: z.boolean().default(false),
  at: z.number(),
  /** Whose proof it is, and in which era of theirs it was made: it is worth nothing in the next. */
  user: z.string(),
  era: z.number(),
})
export type Proof = z.infer<typeof proof>

const word = z.object({ key: z.string(), values: z.record(z.string(), z.union([z.string(), z.number()])).optional() })

const data = z.object({
  identifier: identifier.optional(),
  // Proofs that cannot be read were made by an older program: they are asked for again.
  proofs: z.array(proof).catch([]),
  /** The method the person chose, and what it keeps until the answer comes. */
  method: z.string().optional(),
  pending: z.unknown().optional(),
  /** The method that the person is getting, and what its enrolment keeps until it is complete. */
  enrolment: z.object({ method: z.string(), begun: z.unknown() }).optional(),
  /** Recovery codes that have to be shown, sealed; and how few are left after one was used. */
  codes: z.string().optional(),
  codesLeft: z.number().optional(),
  /** Whether the browser can make passkeys, as its script says, until its owner does not want to now. */
  passkeys: z.enum(['able', 'later']).optional(),
  /** Whether the owner was told in this attempt that only the second factor is missing. */
  warned: z.boolean().optional(),
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
      /** Whom the pool's source knows by the address: they become a user with the code, and not before. */
      guest: outsider.optional(),
    })
    .optional(),
  recovery: z.object({ identifier, challenge: z.string() }).optional(),
  /** Whom the pool's source knows by the identifier: they become a user with their first proof. */
  guest: outsider.optional(),
  /** Whom an upstream named, by their id: they may go by nothing here. */
  person: z.string().optional(),
  /** Who came from an upstream and may have an account here already; `linking` once they want to prove that it is theirs. */
  arrival: z
    .object({
      connection: z.string(),
      outsider,
      linking: z.boolean().default(false),
      worth: z.object({
        amr: z.array(z.string()),
        factors: z.array(factor),
        phishingResistant: z.boolean(),
        at: z.number(),
      }),
      learnt: z.string().optional(),
    })
    .optional(),
  /** What was learnt outside of whoever the attempt is about, sealed; it goes on with their session. */
  learnt: z.string().optional(),
  /** Whether a proof made or changed the user whom the attempt is about since it was read. */
  settled: z.boolean().optional(),
  /** A form that has to be shown again: what was typed (never a password) and what is wrong with it. */
  draft: z
    .object({
      view: z.enum(['identify', 'register', 'recover', 'reset', 'change']),
      values: z.record(z.string(), z.string()),
      errors: z.record(z.string(), word),
    })
    .optional(),
  /** How the sign-in was judged at its first proof, and what its pool makes of that. */
  risk: z
    .object({
      level: z.enum(levels),
      reasons: z.array(z.string()),
      does: z.enum(['allow', 'notice', 'second_factor', 'refuse']),
    })
    .optional(),
  /** What the operator's script made of the sign-in, once everything that was asked was proven; claims are sealed. */
  script: z
    .discriminatedUnion('is', [
      z.object({ is: z.literal('passed'), second: z.boolean(), redirect: z.boolean(), claims: z.string().optional() }),
      z.object({ is: z.literal('denied'), reason: z.string().optional() }),
    ])
    .optional(),
  /** The operator's application: whether the person is there, until when, and what it said of them. */
  application: z
    .discriminatedUnion('is', [
      z.object({ is: z.literal('open'), jti: z.string(), until: z.number() }),
      z.object({ is: z.literal('passed'), claims: z.string() }),
      z.object({ is: z.literal('denied'), cancelled: z.boolean(), reason: z.string().optional() }),
    ])
    .optional(),
  notice: word.optional(),
  alert: word.optional(),
  trail: trail.default([]),
})

/** One person's way through sign-in, kept between requests. It belongs to one interaction, and so to one browser. */
export type Attempt = z.infer<typeof data> & {
  workspaceId: string
  id: string
  version: number
  pool?: string | undefined
  expiresAt: Date
}

/** The attempt as if nothing had been proven, begun or typed; only the pool stays. */
export const restart = (attempt: Attempt): Attempt => ({
  ...attempt,
  identifier: undefined,
  proofs: [],
  method: undefined,
  pending: undefined,
  evidence: {},
  enrolment: undefined,
  codes: undefined,
  codesLeft: undefined,
  warned: undefined,
  risk: undefined,
  script: undefined,
  application: undefined,
  registration: undefined,
  recovery: undefined,
  guest: undefined,
  settled: undefined,
  person: undefined,
  arrival: undefined,
  learnt: undefined,
})

/**
 * The attempt as far as it still counts: what somebody proved before everything of theirs was ended (a reset password, a
 * sign-out everywhere), or what another user of the same name proved, is worth nothing.
 */
export const stillGood = (attempt: Attempt, found: { id: string; era: number } | undefined): Attempt => {
  const good = attempt.proofs.every(({ user, era }) => user === found?.id && era === found.era)
  return good ? attempt : { ...restart(attempt), identifier: attempt.identifier, alert: { key: 'alert.proof_ended' } }
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
