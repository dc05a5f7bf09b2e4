import { z } from 'zod'
import type { Attempt } from './attempt.ts'
import { levels } from './risk.ts'
import type { Action, Stage } from './stage.ts'
import type { Step } from './step.ts'

const subject = z.enum(['user', 'inactive', 'stranger', 'new'])
const entry = z.object({
  /** Milliseconds. */
  at: z.number(),
  trace: z.string().optional(),
  did: z.string(),
  ok: z.boolean(),
  why: z.string().optional(),
  next: z.string(),
  /** Whether a code or link went out, or would have if anybody were there. */
  sent: z.boolean().optional(),
  /** How the sign-in was judged by this answer. */
  risk: z.object({ level: z.enum(levels), reasons: z.array(z.string()) }).optional(),
  /** Who they turned out to be, which the pages never tell: only operators read this. */
  subject: subject.optional(),
  user: z.string().optional(),
  pool: z.string().optional(),
  client: z.string().optional(),
})
export type Trodden = z.infer<typeof entry>

/** What each answer did, in order. Never a password, a code or what somebody goes by. */
export const trail = z.array(entry)

/** How many answers an attempt remembers: its first, and the latest. */
const most = 40

/** The attempt with one more answer in its trail: what it did, what stood in the way, and what comes next. */
export const trod = (stage: Stage, step: Step, action: Action, attempt: Attempt, next: Step): Attempt => {
  const { scene } = stage
  const risk = attempt.risk === stage.attempt.risk ? undefined : attempt.risk
  const why = risk?.does === 'refuse' ? 'risk' : whyOf(attempt)
  const told: Trodden = {
    at: scene.services.clock.now().getTime(),
    trace: scene.work.trace,
    did: didOf(step, action),
    ok: why === undefined,
    why,
    next: nameOf(next),
    ...(isSent(stage.attempt, attempt) ? { sent: true } : {}),
    ...(risk ? { risk: { level: risk.level, reasons: risk.reasons } } : {}),
    ...whoOf(stage, attempt),
    ...(attempt.trail.length === 0 ? { client: scene.client?.id } : {}),
  }
  return { ...attempt, trail: bounded([...attempt.trail, told]) }
}

const bounded = (all: Trodden[]): Trodden[] =>
  all.length <= most ? all : [...all.slice(0, 1), ...all.slice(all.length - most + 1)]

const nameOf = (step: Step): string => ('method' in step && step.method ? `${step.do}:${step.method}` : step.do)

const didOf = (step: Step, { action }: Action): string => {
  if (action === 'resend') return 'send_again'
  if (action === 'correct') return 'correct'
  return step.do === 'another' ? 'switch_method' : nameOf(step)
}

/** What kept the answer from being taken, without anything that was typed. */
const whyOf = ({ alert, draft }: Attempt): string | undefined => {
  const faults = Object.entries(draft?.errors ?? {}).map(([field, { key }]) => `${field}: ${key.replace('error.', '')}`)
  if (faults.length > 0) return faults.join(', ').slice(0, 200)
  return alert && (whys[alert.key] ?? alert.key.replace('alert.', ''))
}

const whys: Record<string, string> = {
  'alert.credentials': 'wrong_password',
  'alert.code_wrong': 'wrong_code',
  'alert.code_expired': 'code_expired',
  'alert.too_many': 'locked',
  'alert.resend_wait': 'too_many_sent',
  'alert.answers': 'not_valid',
}

const isSent = (before: Attempt, after: Attempt): boolean => {
  const sent = sentOf(after)
  return sent !== undefined && sent !== sentOf(before)
}

const sentOf = ({ pending, registration, recovery }: Attempt): unknown =>
  registration?.challenge ?? recovery?.challenge ?? (pending as { challenge?: unknown } | undefined)?.challenge

/** Who the answer was about, where that is known by now. */
const whoOf = ({ attempt: before, found }: Stage, { registration, pool }: Attempt): Partial<Trodden> => {
  const under = registration ?? before.registration
  if (under) return { subject: under.userId ? 'new' : 'user', user: under.userId, pool: pool ?? before.pool }
  if (!before.identifier || !before.pool) return {}
  const is = found === undefined ? 'stranger' : found.status === 'active' ? 'user' : 'inactive'
  return { subject: is, user: found?.id, pool: before.pool }
}
