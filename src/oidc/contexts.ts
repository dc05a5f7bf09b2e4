import { drop, put } from '../db/work.ts'
import type { Context, Learnt } from '../directory/contexts.ts'
import { contextKind, idOf, isTold, payloadOf, read } from '../directory/contexts.ts'
import type { User } from '../directory/users.ts'
import type { Connection, Workspace } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'
import { seenHere } from './seen.ts'

interface Here {
  services: Pick<Services, 'keyring' | 'clock' | 'hot'>
  workspace: Workspace
}

/** Seals what was learnt at a sign-in for its person, until the engine goes on from it. */
export const sealLearnt = (keyring: Keyring, userId: string, learnt: Learnt): string =>
  keyring.seal(JSON.stringify(learnt), waitingOf(userId))

const waitingOf = (userId: string) => `learnt of ${userId}`

/** Keeps with the session what was learnt at the sign-in that the engine goes on from. */
export const keepLearnt = ({ services, workspace }: Here, { oidc }: KoaContextWithOIDC): void => {
  const { result, session, account } = oidc
  const { learnt: sealed, consent } = (result ?? {}) as { learnt?: string; consent?: unknown }
  const here = seenHere()
  // What comes back with an agreement was kept before it was asked for.
  if (sealed === undefined || consent !== undefined || !session || !account || !here) return
  const user = here.seen.accounts.get(account.accountId)
  if (!user) return
  const { keyring, clock } = services
  const learnt = JSON.parse(keyring.open(sealed, waitingOf(user.id))) as Learnt
  const place = { workspaceId: workspace.id, id: idOf(session.uid), userId: user.id }
  const connection = workspace.connections.find(({ id }) => id === learnt.connection)
  const { poolId, era } = user
  // A number of its own: whoever is asking again for the sign-in before stores nothing over this one.
  const version = clock.now().getTime()
  put(here.work, {
    ...{ ...place, kind: contextKind, sessionUid: session.uid, poolId, era },
    payload: { ...payloadOf(keyring, place, learnt, version) },
    expiresAt: endOf(workspace, learnt, connection?.contextCacheSeconds ?? null, clock.now()),
  })
  here.seen.contexts.set(session.uid, Promise.resolve({ ...place, version, learnt }))
}

/** What can be learnt anew lasts as long as a session can; what cannot ends with the time it is told for. */
const endOf = (
  { settings: { lifetimes } }: Workspace,
  { at, renewal }: Learnt,
  seconds: number | null,
  now: Date,
): Date => {
  const last = now.getTime() + lifetimes.session_absolute * 1000
  return new Date(seconds === null || renewal !== undefined ? last : Math.min(last, at + seconds * 1000))
}

/** What the sign-in behind a session has learnt of somebody by a connection; read once a request. */
export const findContext = (
  here: Here,
  user: Pick<User, 'id'>,
  connection: Pick<Connection, 'id'>,
  sessionUid: string | undefined,
): Promise<Context | undefined> => {
  if (sessionUid === undefined) return Promise.resolve(undefined)
  const contexts = seenHere()?.seen.contexts
  const known = contexts?.get(sessionUid) ?? load(here, user, sessionUid)
  contexts?.set(sessionUid, known)
  return known.then((context) =>
    context?.userId === user.id && context.learnt.connection === connection.id ? context : undefined,
  )
}

const load = async (
  { services: { hot, keyring, clock }, workspace }: Here,
  { id: userId }: Pick<User, 'id'>,
  sessionUid: string,
): Promise<Context | undefined> => {
  const place = { workspaceId: workspace.id, id: idOf(sessionUid), userId }
  const loaded = await hot.load(workspace.id, place.id)
  const now = clock.now()
  if (loaded?.kind !== contextKind || loaded.expiresAt <= now || loaded.account?.id !== userId) return undefined
  const { session } = loaded
  if (!session || session.expiresAt <= now || session.payload.accountId !== userId) return undefined
  const stored = read(keyring, place, loaded.payload)
  return stored && { ...place, ...stored }
}

/** The claims of a context that a connection tells on now. */
export const toldIn = (
  { clock }: Pick<Services, 'clock'>,
  context: Context | undefined,
  { contextCacheSeconds }: Pick<Connection, 'contextCacheSeconds'>,
): Record<string, unknown> =>
  context && isTold(context.learnt, contextCacheSeconds, clock.now()) ? context.learnt.claims : {}

/** What the tokens of a request hang on: the session, by the uid that they remember it by. */
export const sessionBehind = ({ oidc: { entities, session } }: KoaContextWithOIDC): string | undefined => {
  const { RefreshToken, AuthorizationCode, DeviceCode, AccessToken } = entities
  const token = RefreshToken ?? AuthorizationCode ?? DeviceCode ?? AccessToken
  return token ? (token as { sessionUid?: string }).sessionUid : session?.uid
}

/** What a session has learnt is gone with it. */
export const endContexts = ({ Session }: Provider, { id: workspaceId }: Workspace): void => {
  const { destroy } = Session.prototype
  Session.prototype.destroy = async function () {
    await destroy.call(this)
    const here = seenHere()
    if (!here) return
    drop(here.work, { workspaceId, id: idOf(this.uid) })
    here.seen.contexts.delete(this.uid)
  }
}
