import type { Context, Next } from 'koa'
import type { Lost } from '../db/commit.ts'
import { currentWork, keyOf, takeWork, type Work } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import { languageOf, post } from '../directory/outbox.ts'
import * as users from '../directory/users.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { Problem } from '../platform/problem.ts'
import { openUnder, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { successorOf } from './adapter.ts'
import { noteLost } from './refusals.ts'
import { type Reused, type Seen, seenBy } from './seen.ts'
import { endOldest, justSignedIn } from './session-limit.ts'

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
  if (seen.reused && ctx.status === 400 && work.drops.has(keyOf(grantOf(wiring, seen.reused))))
    await tellOfReuse(wiring, seen.reused)
  const { rotating } = seen
  const person = justSignedIn(ctx, work, wiring.workspace)
  const lost = await commitOrFollow(wiring, ctx, work, rotating)
  if (lost === 'gone' && ctx.method === 'GET') askAgain(ctx)
  else if (lost && ctx.path.startsWith('/authorize')) throw new Problem('expired')
  else if (lost) refuse(ctx)
  else if (person) await endOldest(wiring.services, wiring.workspace, person)
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

// The session ended while this was under way: the browser asks again, without it.
const askAgain = (ctx: Context): void => {
  ctx.remove('Set-Cookie')
  ctx.status = 303
  ctx.redirect(ctx.originalUrl)
}

// RFC 6749 section 5.2.
const refuse = (ctx: Context): void => {
  ctx.status = 400
  noteLost(ctx)
  ctx.body = { error: 'invalid_grant', error_description: 'grant request is invalid' }
}

const grantOf = ({ workspace }: Wiring, { grant }: Reused) => ({ workspaceId: workspace.id, id: grant })

/**
 * Something came again, and the engine has ended its family: its owner is told (security.md, decision 7). Twenty replays
 * at once end one family, and tell of it once.
 */
const tellOfReuse = (wiring: Wiring, reused: Reused): Promise<void> =>
  wiring.services.db.transaction().execute(async (trx) => {
    const { services, workspace } = wiring
    const { workspaceId, id } = grantOf(wiring, reused)
    const { numDeletedRows } = await trx
      .deleteFrom('artifacts')
      .where('workspaceId', '=', workspaceId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (numDeletedRows === 0n) return
    const { what, clientId, user } = reused
    const type = what === 'code' ? 'code.reused' : 'refresh_token.reused'
    const about = { workspaceId, poolId: user?.poolId, userId: user?.id, clientId }
    await audit.record(trx, services.clock.now(), about, { type, data: {} })
    const owner = user && what === 'refresh_token' ? await users.findById(trx, user.id) : undefined
    const address = owner?.identifiers.find(({ kind, verified }) => kind === 'email' && verified)
    if (!owner || !address) return
    const note = { to: address.value, channel: 'email', template: 'refresh-reuse', values: {} } as const
    await post(trx, { services, workspace, lang: languageOf(owner.profile, workspace) }, note)
  })
