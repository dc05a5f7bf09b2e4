import { z } from 'zod'
import type { Db } from '../../db/connect.ts'
import * as events from '../../directory/events.ts'
import type { IdentifierKind } from '../../directory/identifiers.ts'
import * as pools from '../../directory/pools.ts'
import * as traces from '../../directory/traces.ts'
import * as users from '../../directory/users.ts'
import * as workspaces from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import { levels } from '../../signin/risk.ts'
import { type Trodden, trail as trailShape } from '../../signin/trail.ts'
import type { Actor } from '../access.ts'
import { type Route, route } from '../route.ts'
import { checksOf, type Stride, stridesOf } from '../xray.ts'
import { eventOf, answered as eventShape } from './events.ts'

const place = z.strictObject({ id: z.uuid(), slug: z.string() }).nullable()
const subject = z.enum(['user', 'inactive', 'stranger', 'new']).nullable()

const step = z.strictObject({
  at: z.iso.datetime(),
  trace: z.string().nullable().describe('The request that it happened in'),
  did: z.string().describe('What was answered, as `identify` or `prove:password`; `request:…` is one that was refused'),
  ok: z.boolean().describe('Whether it succeeded'),
  why: z.string().nullable().describe('What stood in the way, as `wrong_password`, `locked`, `code_expired`'),
  next: z.string().nullable().describe('What came next, as `prove:email_code` or `finish`'),
  sent: z.boolean().describe('Whether a code or link went out, or would have if anybody were there'),
  risk: z
    .strictObject({ level: z.enum(levels), reasons: z.array(z.string()) })
    .nullable()
    .describe('How the sign-in was judged by this answer (docs/risk.md)'),
  subject: subject.describe('Whom it was about, as far as that was known then'),
  user_id: z.uuid().nullable(),
})

const interaction = z
  .strictObject({
    id: z.string(),
    state: z.enum(['open', 'finished', 'over']).describe('Going on, done, or too late to go on'),
    began_at: z.iso.datetime().nullable().describe('When its first step was; null where no step is known'),
    expires_at: z.iso.datetime(),
    next: z.string().nullable().describe('What is asked next'),
    identifier_kind: z.string().nullable().describe('What kind of identifier was typed; null where none is kept'),
    subject: subject.describe('Whom it is about now'),
    user_id: z.uuid().nullable(),
  })
  .nullable()

const answered = z.strictObject({
  trace: z.string(),
  at: z.iso.datetime(),
  workspace: place.describe('The workspace that it happened in; null where none is known'),
  pool: place.describe('The pool that it was about; null where none is known'),
  client_id: z.string().nullable(),
  route: z.string().nullable().describe('Method and path of the refused request; null where none was refused'),
  status: z.int().nullable().describe('What the refused request was answered with; null where none was refused'),
  code: z.string().nullable().describe('Why it was refused or failed, in one word'),
  reason: z
    .string()
    .nullable()
    .describe('Why it was refused, closer than the code; null where there is no more to say'),
  interaction,
  steps: z.array(step).describe('The oldest first'),
  checks: z
    .array(
      z.strictObject({
        name: z.string().describe('What was looked at'),
        ok: z.boolean().describe('Whether it was as it should be'),
        detail: z.string().nullable().describe('What was found; null where there is no more to say'),
      }),
    )
    .describe('What was looked at, and how it was found'),
  events: z.array(eventShape).describe('The newest first'),
})

export const traceRoutes: Route[] = [
  route({
    method: 'GET',
    path: '/traces/{trace}',
    name: 'getTrace',
    summary: 'Tell what happened behind the reference of a page or an answer',
    scope: 'events:read',
    params: z.strictObject({ trace: z.string().max(64).describe('The reference of an error page, or an X-Trace-Id') }),
    answer: answered,
    status: 200,
    async handle({ services: { db }, actor, params: { trace }, at }) {
      const found = await find(db, actor, trace)
      if (!found) throw new Problem('not_found')
      return { body: await tell(db, found, trace, at) }
    },
  }),
]

interface Found {
  refusals: traces.Refusal[]
  story: traces.Story | undefined
  trail: Trodden[]
  events: events.EventRecord[]
  workspaceId: string | null
  poolId: string | null
}

/** Everything behind a trace, or undefined where there is nothing or it does not exist for this actor. */
const find = async (db: Db, actor: Actor, trace: string): Promise<Found | undefined> => {
  const name = traces.storyOf(trace)
  const everywhere = { workspaces: undefined, pools: undefined }
  const [refusals, story, happened] = await Promise.all([
    traces.list(db, trace),
    name === undefined ? undefined : traces.findStory(db, name),
    events.list(db, filterOf(trace, name), everywhere, { limit: 100, after: undefined }),
  ])
  const anchor = refusals.find((one) => one.trace === trace) ?? story ?? refusals[0] ?? happened[0]
  if (!anchor) return undefined
  // Anybody may ask one workspace for the sign-in of another: what is refused there is not of its story.
  const { workspaceId } = anchor
  const isHere = (one: { workspaceId: string | null }) => one.workspaceId === workspaceId
  const here = { refusals: refusals.filter(isHere), story: story && isHere(story) ? story : undefined }
  const told = happened.filter(isHere)
  const poolId = here.story?.poolId ?? told.find((one) => one.poolId !== null)?.poolId ?? null
  if (!exists(actor, { workspaceId, poolId })) return undefined
  const known = ({ poolId: of }: { poolId: string | null }) => of === null || mayKnow(actor, of)
  const trail = trailOf(here.story).filter(({ pool }) => known({ poolId: pool ?? null }))
  return { ...here, trail, events: told.filter(known), workspaceId, poolId }
}

const trailOf = (story: traces.Story | undefined): Trodden[] => trailShape.parse(story?.trail ?? [])

const filterOf = (trace: string, story: string | undefined): events.Filter => ({
  types: undefined,
  workspaceId: undefined,
  poolId: undefined,
  userId: undefined,
  clientId: undefined,
  since: undefined,
  until: undefined,
  ...(story === undefined ? { trace } : { story }),
})

/** What belongs to no workspace and pool of an operator's does not exist for one with limits. */
const exists = (actor: Actor, { workspaceId, poolId }: Pick<Found, 'workspaceId' | 'poolId'>): boolean => {
  const { workspaces: known, pools: own } = actor
  if (known && (workspaceId === null || !known.has(workspaceId))) return false
  return poolId === null ? !own || known !== undefined : mayKnow(actor, poolId)
}

const mayKnow = ({ pools: own }: Actor, poolId: string): boolean => !own || own.has(poolId)

const tell = async (db: Db, found: Found, trace: string, at: Date): Promise<z.input<typeof answered>> => {
  const { refusals, story, trail, workspaceId, poolId } = found
  const refusal = refusals.find((one) => one.trace === trace) ?? refusals.at(-1)
  const [workspace, pool, now] = await Promise.all([
    workspaceId ? workspaces.findById(db, workspaceId) : undefined,
    poolId ? pools.findById(db, poolId) : undefined,
    story && subjectOf(db, story, trail),
  ])
  const steps = stridesOf(trail, refusals, found.events)
  const failed = steps.findLast((one) => !one.ok && one.trace === trace) ?? steps.findLast((one) => !one.ok)
  const client = trail[0]?.client ?? found.events.find(({ clientId }) => clientId !== null)?.clientId
  return {
    trace,
    at: momentOf(trace, found, steps).toISOString(),
    workspace: workspace ? { id: workspace.id, slug: workspace.slug } : null,
    pool: pool ? { id: pool.id, slug: pool.slug } : null,
    client_id: refusal?.clientId ?? client ?? null,
    route: refusal?.route ?? null,
    status: refusal?.status ?? null,
    code: refusal?.code ?? failed?.why ?? null,
    reason: refusal?.reason ?? null,
    interaction: story ? { ...interactionOf(found, story, at), ...(now ?? stranger) } : null,
    steps,
    checks: checksOf(trail, refusal),
    events: found.events.map(eventOf),
  }
}

/** When the request of the trace was, else when the last thing happened that is known. */
const momentOf = (trace: string, { refusals, events: happened }: Found, steps: Stride[]): Date => {
  const own = refusals.find((one) => one.trace === trace) ?? happened.find((one) => one.trace === trace)
  const step = steps.find((one) => one.trace === trace) ?? steps.at(-1)
  return own?.at ?? (step ? new Date(step.at) : (happened[0]?.at ?? new Date(0)))
}

const interactionOf = (
  { events: happened, trail }: Found,
  { id, identifierKind, expiresAt }: traces.Story,
  at: Date,
) => {
  const finished = happened.some(({ type }) => type === 'sign_in.succeeded') || trail.at(-1)?.next === 'finish'
  const began = trail[0]?.at
  return {
    id,
    state: finished ? ('finished' as const) : expiresAt > at ? ('open' as const) : ('over' as const),
    began_at: began === undefined ? null : new Date(began).toISOString(),
    expires_at: expiresAt.toISOString(),
    next: trail.at(-1)?.next ?? null,
    identifier_kind: identifierKind,
  }
}

const stranger = { subject: null, user_id: null }

/** Whom the attempt is about: by what they go by as long as that is kept, else as its trail tells. */
const subjectOf = async (db: Db, story: traces.Story, trail: Trodden[]) => {
  const told = trail.findLast((one) => one.subject !== undefined)
  const { identifierKind, identifierValue, poolId } = story
  if (!poolId || !identifierKind || identifierValue === null)
    return { subject: told?.subject ?? null, user_id: told?.user ?? null }
  const identifier = { kind: identifierKind as IdentifierKind, value: identifierValue, typed: identifierValue }
  const user = await users.findByIdentifier(db, poolId, identifier)
  const is = user === undefined ? 'stranger' : user.status === 'active' ? 'user' : 'inactive'
  return { subject: is, user_id: user?.id ?? null } as const
}
