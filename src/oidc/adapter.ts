import type { Adapter, AdapterPayload } from 'oidc-provider'
import { isConnectionFailure } from '../db/connect.ts'
import type { Loaded } from '../db/hot.ts'
import { type Artifact, drop, emptyWork, keyOf, put, type Work } from '../db/work.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { openUnder, sealUnder, sha256 } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { firstAnswer, isAnswered, isAwaited, mark, referenceOf, referredTo, withoutSecrets } from './awaited.ts'
import { errors } from './engine.ts'
import { type Seen, seeAccount, seenBy, seenHere } from './seen.ts'

interface Wiring {
  services: Services
  workspace: Workspace
  findClient(id: string): Promise<AdapterPayload | undefined>
}

/**
 * The engine's storage: one table, read by gathered statements, written when the request ends (see settle.ts). What a
 * holder presents (a code, a token, a session id) is stored as its SHA-256 only.
 */
export const openAdapter = (wiring: Wiring) => (kind: string) =>
  kind === 'Client' ? clientAdapter(wiring) : artifactAdapter(wiring, kind)

const clientAdapter = ({ findClient }: Wiring): Adapter => ({ ...refusing, find: findClient })

const artifactAdapter = (wiring: Wiring, kind: string): Adapter => ({
  ...refusing,
  upsert: (id, payload, expiresIn) => inWork(wiring, (here) => write(wiring, here, kind, id, payload, expiresIn)),
  find: (id) => inWork(wiring, (here) => find(wiring, here, kind, id)),
  findByUserCode: (userCode) => inWork(wiring, (here) => findByUserCode(wiring, here, userCode)),
  findByUid: (uid) => inWork(wiring, (here) => findByUid(wiring, here, uid)),
  destroy: (id) => inWork(wiring, async ({ work }) => drop(work, addressOf(wiring, id, kind))),
  consume: (id) => inWork(wiring, (here) => consume(wiring, here, kind, id)),
  // Codes and tokens live and die with their grant, which the engine removes itself: nothing else is left to do.
  revokeByGrantId: async () => {},
})

interface Here {
  work: Work
  seen: Seen
}

/** Runs within the request's work, or, outside of any request, within one that is committed at once. */
const inWork = async <Result>({ services }: Wiring, run: (here: Here) => Promise<Result>): Promise<Result> => {
  const here = seenHere()
  if (here) {
    return run(here).catch((error: unknown) => {
      if (isConnectionFailure(error)) here.work.failure = error
      throw error
    })
  }
  const work = emptyWork(services.clock.now())
  const result = await run({ work, seen: seenBy(work) })
  await services.hot.commit(work)
  return result
}

const write = async (
  wiring: Wiring,
  { work, seen }: Here,
  kind: string,
  id: string,
  payload: AdapterPayload,
  expiresIn: number | undefined,
): Promise<void> => {
  const { services } = wiring
  const address = addressOf(wiring, id, kind)
  if (isAwaited(kind) && seen.loads.has(address.id)) {
    // That somebody looks at a code is no answer to it, and the first answer is the only one.
    if (!isAnswered(kind, payload)) return
    await firstAnswer(services, address, payload)
  }
  const userId = payload.accountId ?? loginOf(payload)
  const artifact: Artifact = {
    ...address,
    kind,
    payload: {
      ...withoutSecrets(stored(payload)),
      ...(kind === 'Session' ? { ...seenAt(work), ...begunAt(wiring) } : {}),
    },
    grantId: payload.grantId && kind !== 'Interaction' ? sha256(payload.grantId) : undefined,
    uid: payload.uid,
    sessionUid: payload.expiresWithSession ? payload.sessionUid : undefined,
    userId: kind === 'Interaction' ? loginOf(payload) : userId,
    poolId: poolOf(seen, kind === 'Interaction' ? loginOf(payload) : userId),
    clientId: payload.clientId,
    expiresAt: new Date(services.clock.now().getTime() + ((expiresIn ?? 0) + keptLonger(wiring, kind)) * 1000),
    userCode: payload.userCode === undefined ? undefined : mark(services.keyring, payload.userCode),
  }
  if (artifact.poolId === undefined) artifact.userId = undefined
  if (artifact.userId) artifact.era = seen.accounts.get(artifact.userId)?.era
  if (kind === 'Session') artifact.continues = seen.session
  if (kind === 'RefreshToken' && seen.rotating) keepSuccessor(work, seen.rotating, id)
  seen.written.set(artifact.id, artifact)
  if (artifact.uid) seen.sessionsByUid.set(artifact.uid, artifact)
  put(work, artifact)
}

// Whoever came in time may take as long over the sign-in as anybody, and only one of them uses the request up.
const keptLonger = ({ workspace }: Wiring, kind: string): number =>
  kind === 'PushedAuthorizationRequest' ? workspace.settings.lifetimes.interaction : 0

/** What a session is known by to its owner: the browser that showed it last, and when. */
const seenAt = ({ agent, began }: Work) => ({ ...(agent ? { agent } : {}), seen: Math.floor(began.getTime() / 1000) })

/** A session belongs to one address of its workspace: where it ends, clients are told by the issuer that they know. */
const begunAt = ({ workspace: { origin } }: Wiring) => (origin === null ? {} : { at: origin })

const keepSuccessor = (work: Work, { value, key }: { value: string; key: string }, successor: string): void => {
  const consumption = work.consumptions.get(key)
  if (consumption) consumption.successor = sealUnder(value, successor)
}

const find = async (wiring: Wiring, here: Here, kind: string, id: string): Promise<AdapterPayload | undefined> => {
  const { work, seen } = here
  const address = addressOf(wiring, id, kind)
  if (work.drops.has(keyOf(address))) return undefined
  const written = seen.written.get(address.id)
  if (written) return written.kind === kind ? presented(written, id) : undefined
  if (kind === 'Grant' && seen.grants.has(address.id)) {
    const grant = seen.grants.get(address.id)
    return grant && { ...grant.payload, jti: id, kind }
  }
  const loaded = await load(wiring, seen, kind, address.id)
  if (!loaded || loaded.kind !== kind) return undefined
  if (kind === 'Session') seen.session = address.id
  return loaded.consumedAt ? consumedPayload(wiring, here, id, loaded) : presented(loaded, id)
}

/** Reads an artifact once a request, with the grant, session and person that come along. */
const load = (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  seen: Seen,
  kind: string,
  id: string,
) => {
  const known = seen.loads.get(id)
  if (known) return known
  const read = kind === 'Interaction' ? services.hot.loadInteraction : services.hot.load
  const reading = read(workspace.id, id).then((loaded) => {
    if (loaded) remember(seen, loaded)
    return loaded
  })
  seen.loads.set(id, reading)
  return reading
}

const remember = (seen: Seen, loaded: Loaded): void => {
  const { account, grant, session, payload } = loaded
  if (account) seeAccount(seen, account)
  if (typeof payload.grantId === 'string' && loaded.kind !== 'Interaction')
    seen.grants.set(sha256(payload.grantId), grant)
  if (session && typeof session.payload.uid === 'string') {
    seen.sessionsByUid.set(session.payload.uid, { ...loaded, kind: 'Session', ...session })
  }
}

const findByUid = async (wiring: Wiring, { work, seen }: Here, uid: string): Promise<AdapterPayload | undefined> => {
  const known = seen.sessionsByUid.get(uid)
  if (known) return presented(known, undefined)
  const loaded = await wiring.services.hot.loadByUid(wiring.workspace.id, uid)
  if (!loaded || work.drops.has(keyOf({ workspaceId: wiring.workspace.id, id: loaded.id }))) return undefined
  remember(seen, loaded)
  return presented(loaded, undefined)
}

/** A device's record by the code that a person types. It goes by a reference then, for its own value is known to the device only. */
const findByUserCode = async (wiring: Wiring, here: Here, userCode: string): Promise<AdapterPayload | undefined> => {
  const { services, workspace } = wiring
  const row = await services.db
    .selectFrom('artifacts')
    .select('id')
    .where('workspaceId', '=', workspace.id)
    .where('userCode', 'in', services.keyring.hmacs('user code', userCode))
    .orderBy('expiresAt', 'desc')
    .limit(1)
    .executeTakeFirst()
  const payload = row && (await find(wiring, here, 'DeviceCode', referenceOf(row.id)))
  return payload && { ...payload, userCode }
}

const consume = async (wiring: Wiring, { work, seen }: Here, kind: string, id: string): Promise<void> => {
  const address = addressOf(wiring, id, kind)
  work.consumptions.set(keyOf(address), { ...address, at: wiring.services.clock.now() })
  if (kind === 'RefreshToken') seen.rotating = { value: id, key: keyOf(address) }
}

/** For how many milliseconds a poll that comes second is no theft. */
const pollOverlap = 10_000

/** What the engine is told of something that was used before: nothing special within the grace, a replay after it. */
const consumedPayload = async (
  wiring: Wiring,
  { work, seen }: Here,
  id: string,
  loaded: Loaded,
): Promise<AdapterPayload> => {
  const consumedAt = loaded.consumedAt?.getTime() ?? 0
  const payload = presented(loaded, id)
  // Nothing was given for it yet: what is left is to refuse it.
  if (loaded.kind === 'PushedAuthorizationRequest') return { ...payload, consumed: Math.floor(consumedAt / 1000) }
  // Two requests at once with one code are one redemption and one refusal; only what comes later is a replay that
  // takes back what was issued (RFC 9700 section 2.1.1).
  // Whoever polls may have several requests under way for longer.
  const overlap = isAwaited(loaded.kind) ? pollOverlap : 0
  if (loaded.kind !== 'RefreshToken' && consumedAt + overlap > work.began.getTime())
    throw new errors.InvalidGrant('used at the same time')
  const successor = loaded.kind === 'RefreshToken' ? await successorOf(wiring, id, loaded) : undefined
  if (successor) {
    seen.successor = successor
    return payload
  }
  seen.reused = {
    what: loaded.kind === 'RefreshToken' ? 'refresh_token' : 'code',
    grant: sha256(payload.grantId ?? ''),
    clientId: payload.clientId,
    user: loaded.account && { id: loaded.account.id, poolId: loaded.account.poolId },
  }
  return { ...payload, consumed: Math.floor(consumedAt / 1000) }
}

/** The token that followed a used one, while the grace lasts and nobody has used that one in turn. */
export const successorOf = async (
  { services, workspace }: Pick<Wiring, 'services' | 'workspace'>,
  id: string,
  { consumedAt, successor }: Pick<Loaded, 'consumedAt' | 'successor'>,
): Promise<string | undefined> => {
  const grace = workspace.settings.refresh_grace_seconds * 1000
  if (!consumedAt || !successor || services.clock.now().getTime() - consumedAt.getTime() >= grace) return undefined
  const value = openUnder(id, successor)
  const next = value && (await services.hot.load(workspace.id, sha256(value)))
  return next && !next.consumedAt ? value : undefined
}

const addressOf = ({ workspace }: Wiring, id: string, kind: string) => ({
  workspaceId: workspace.id,
  id: (isAwaited(kind) ? referredTo(id) : undefined) ?? sha256(id),
})

const presented = ({ kind, payload }: { kind: string; payload: Record<string, unknown> }, id: string | undefined) =>
  ({ ...payload, kind, jti: id ?? 'known-by-uid' }) as AdapterPayload

/** A payload without what only its holder may know: its own value, and the session's in an interaction. */
const stored = ({ jti: _jti, kind: _kind, session, ...payload }: AdapterPayload): Record<string, unknown> => {
  if (!session) return payload
  const { cookie: _cookie, ...known } = session as Record<string, unknown>
  return { ...payload, session: known }
}

const loginOf = (payload: AdapterPayload): string | undefined => {
  const result = payload.result as { login?: { accountId?: string } } | undefined
  return result?.login?.accountId
}

const poolOf = (seen: Seen, userId: string | undefined): string | undefined =>
  userId === undefined ? undefined : seen.accounts.get(userId)?.poolId

const refuse = (): Promise<never> =>
  Promise.reject(new Error('The engine asked for something that is not stored here.'))
const refusing: Adapter = {
  upsert: refuse,
  find: refuse,
  findByUserCode: refuse,
  findByUid: refuse,
  consume: refuse,
  destroy: refuse,
  revokeByGrantId: refuse,
}
