import type { Context, Next } from 'koa'
import type { Lost } from '../db/hot.ts'
import { currentWork, takeWork, type Work } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import { post } from '../directory/outbox.ts'
import * as users from '../directory/users.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { openUnder, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { successorOf } from './adapter.ts'
import { type Seen, seenBy } from './seen.ts'

interface Wiring {
  services: Services
  workspace: Workspace
}

/**
 * Runs around the engine and writes what it decided, all or nothing, before anything is answered. Where somebody else
 * was first (one code, twenty requests) the answer becomes the refusal that the engine alone would not give.
 */
export const settle = (wiring: Wiring) => async (ctx: Context, next: Next) => {
  const work = currentWork()
  await next()
  if (!work) return
  if (work.failure) throw work.failure
  const seen = seenBy(work)
  if (seen.successor) answerWith(ctx, seen.successor)
  if (seen.reused) await tellOfReuse(wiring, work, seen)
  const { rotating } = seen
  const lost = await commitOrFollow(wiring, ctx, work, rotating)
  if (lost) refuse(ctx)
}

/** Commits; a refresh that lost within the grace goes on with the winner's successor instead of its own. */
const commitOrFollow = async (wiring: Wiring, ctx: Context, work: Work, rotating: Seen['rotating']): Promise<Lost> => {
  const taken = takeWork(work)
  const lost = await wiring.services.hot.commit(taken)
  if (!lost || !rotating) return lost
  const winner = await wiring.services.hot.load(wiring.workspace.id, sha256(rotating.value))
  const successor = winner && (await successorOf(wiring, rotating.value, winner))
  if (!successor) return lost
  const ours = openUnder(rotating.value, taken.consumptions.get(rotating.key)?.successor ?? '')
  taken.consumptions.clear()
  if (ours) taken.puts.delete(`${wiring.workspace.id}:${sha256(ours)}`)
  answerWith(ctx, successor)
  return wiring.services.hot.commit(taken)
}

const answerWith = (ctx: Context, refreshToken: string): void => {
  const body = ctx.body as { refresh_token?: string } | undefined
  if (ctx.status === 200 && body?.refresh_token) body.refresh_token = refreshToken
}

// RFC 6749 section 5.2.
const refuse = (ctx: Context): void => {
  ctx.status = 400
  ctx.body = { error: 'invalid_grant', error_description: 'grant request is invalid' }
}

/** A used refresh token came again: the engine has ended its family, and its owner is told (security.md, decision 7). */
const tellOfReuse = async ({ services, workspace }: Wiring, work: Work, { reused, user }: Seen): Promise<void> => {
  const about = { workspaceId: workspace.id, poolId: user?.poolId, userId: user?.id }
  const type = reused === 'code' ? 'code.reused' : 'refresh_token.reused'
  work.events.push(audit.event(services.clock.now(), about, { type, data: {} }))
  const owner = user && type === 'refresh_token.reused' ? await users.findById(services.db, user.id) : undefined
  const address = owner?.identifiers.find(({ kind, verified }) => kind === 'email' && verified)
  if (!address) return
  const note = { to: address.value, channel: 'email', template: 'refresh-reuse', values: {} } as const
  await post(services.db, { services, workspace, lang: 'en' }, note)
}
