import { z } from 'zod'
import * as audit from '../directory/audit.ts'
import * as workspaces from '../directory/workspaces.ts'
import { enqueue } from '../platform/jobs.ts'
import type { Services } from '../services.ts'
import type { Provider } from './engine.ts'
import type { Issuers } from './providers.ts'

/** The job that tells a client that a session has ended; the database puts it in as it ends (migrations: sessions). */
export const task = 'tell_of_logout'

const ended = z.object({
  workspaceId: z.string(),
  clientId: z.string(),
  poolId: z.string(),
  userId: z.string(),
  sid: z.string(),
  /** The domain that the session was at; null below PUBLIC_URL. */
  origin: z.string().nullable().default(null),
  attempt: z.int().default(1),
})
type Ended = z.infer<typeof ended>

/** Milliseconds before the second and the third try; after that it is given up. */
const pauses = [5_000, 30_000]

/** Tells one client's people's session off, by its sid (OpenID Connect Back-Channel Logout 1.0 section 2.5). */
export type TellOfLogout = (clientId: string, userId: string, sid: string) => Promise<void>

/**
 * Takes the sending of logout tokens away from the engine, which would do it while a person waits, once, and only where
 * they sign out by themselves. What comes back sends one; it throws where the client cannot be told, and does nothing
 * where there is no such client any more.
 */
export const tellByOutbox = ({ Client }: Provider): TellOfLogout => {
  const { prototype } = Client as unknown as {
    prototype: { backchannelLogout: (sub: string, sid: string) => Promise<void> }
  }
  const send = prototype.backchannelLogout
  prototype.backchannelLogout = async () => {}
  return async (clientId, userId, sid) => {
    const client = await Client.find(clientId)
    if (client?.backchannelLogoutUri) await send.call(client as never, userId, sid)
  }
}

/** Sends a logout token, and tries again where the client did not take it: three times in all. */
export const tellOfLogout =
  (services: Services, issuers: Issuers) =>
  async (payload: unknown): Promise<void> => {
    const told = ended.parse(payload)
    const workspace = await workspaces.findById(services.db, told.workspaceId)
    const issuer = workspace?.status === 'active' ? await issuers.find(workspace.slug, told.origin) : undefined
    if (!issuer) return
    const failure = await issuer.tellOfLogout(told.clientId, told.userId, told.sid).then(
      () => undefined,
      (error: Error) => error,
    )
    if (failure) services.log.warn({ err: failure, client: told.clientId }, 'a client could not be told of a logout')
    await note(services, told, failure === undefined)
  }

const note = (services: Services, told: Ended, taken: boolean): Promise<void> =>
  services.db.transaction().execute(async (trx) => {
    const { attempt, sid: _sid, origin: _origin, ...about } = told
    const at = services.clock.now()
    const pause = taken ? undefined : pauses[attempt - 1]
    if (pause !== undefined)
      return enqueue(trx, task, { ...told, attempt: attempt + 1 }, { runAt: new Date(at.getTime() + pause) })
    const type = taken ? 'logout.sent' : 'logout.failed'
    await audit.record(trx, at, about, { type, data: { attempts: attempt } })
  })
