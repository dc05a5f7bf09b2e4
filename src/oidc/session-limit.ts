import type { Context } from 'koa'
import type { Work } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import * as sessions from '../directory/sessions.ts'
import type { Workspace } from '../directory/workspaces.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import { seenBy } from './seen.ts'

/** Whoever has just signed in here; undefined where nobody has, or where nobody counts sessions. */
export const justSignedIn = (ctx: Context, work: Work, { settings }: Workspace): Person | undefined => {
  if (settings.max_sessions === null) return undefined
  const { session, result } = (ctx as KoaContextWithOIDC).oidc ?? {}
  const user = result?.login && session?.accountId ? seenBy(work).accounts.get(session.accountId) : undefined
  return user && { id: user.id, poolId: user.poolId }
}

interface Person {
  id: string
  poolId: string
}

/** Ends the oldest sessions of somebody in a workspace, as far as there are more than it allows. */
export const endOldest = (
  { db, clock }: Services,
  { id: workspaceId, settings }: Workspace,
  { id, poolId }: Person,
): Promise<void> =>
  db.transaction().execute(async (trx) => {
    const at = clock.now()
    const open = await sessions.list(trx, at, poolId, id, [workspaceId])
    // Of those of one second everybody who counts has to end the same ones.
    const newest = open.sort((one, other) => age(other) - age(one) || (one.id < other.id ? -1 : 1))
    const ending = newest.slice(settings.max_sessions ?? newest.length)
    if (ending.length === 0) return
    await sessions.end(trx, ending)
    const about = { workspaceId, poolId, userId: id }
    await audit.record(trx, at, about, { type: 'user.sessions_ended', data: { by: audit.system } })
  })

const age = ({ authenticatedAt }: sessions.Session): number => authenticatedAt.getTime()
