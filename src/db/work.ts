import { AsyncLocalStorage } from 'node:async_hooks'

/** One of the engine's records as it is stored; `id` is the hash of what its holder presents. */
export interface Artifact {
  workspaceId: string
  id: string
  kind: string
  payload: Record<string, unknown>
  grantId?: string | undefined
  uid?: string | undefined
  sessionUid?: string | undefined
  poolId?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
  expiresAt: Date
  /** The era of its user that its making began in; what is older than the user's own is never read again. */
  era?: number | undefined
  /** The MAC of the code that a person types for a device; kept from the first write on. */
  userCode?: string | undefined
  /** The record that it goes on from; where that is gone, the whole work is refused, so that nothing comes back. */
  continues?: string | undefined
}

/** A record that may be used once; the whole work is refused where somebody else was first. */
export interface Consumption {
  workspaceId: string
  id: string
  at: Date
  successor?: string | undefined
}

/** A sign-in attempt as it is stored; a save wins only over the version it was read at. */
export interface AttemptRow {
  workspaceId: string
  id: string
  version: number
  poolId?: string | undefined
  identifierKind?: string | undefined
  identifierValue?: string | undefined
  data: Record<string, unknown>
  expiresAt: Date
}

/** A line of the audit log as it is stored. */
export interface EventRow {
  id: string
  type: string
  workspaceId?: string | undefined
  poolId?: string | undefined
  userId?: string | undefined
  clientId?: string | undefined
  data: Record<string, unknown>
  /** The trace of the request that it was written in. */
  trace?: string | undefined
  at: Date
}

/** A failed try to be counted; the count starts anew once `resetsAt` has passed. */
export interface Charge {
  key: string
  at: Date
  resetsAt: Date
}

/** Where somebody signed in from, as it is stored. */
export interface PlaceRow {
  poolId: string
  userId: string
  network: string
  country: string | undefined
  latitude: number | undefined
  longitude: number | undefined
  at: Date
  expiresAt: Date
}

/** Everything that one request writes on the hot path, kept until it ends and committed as one. */
export interface Work {
  /** When the request came, to tell two requests at once from a replay. */
  began: Date
  /** What people are shown as the reference of this request. */
  trace: string | undefined
  /** How the browser describes itself; a session is known to its owner by it. */
  agent?: string
  puts: Map<string, Artifact>
  drops: Map<string, { workspaceId: string; id: string }>
  consumptions: Map<string, Consumption>
  attempts: Map<string, AttemptRow>
  events: EventRow[]
  signedIn: { poolId: string; userId: string; at: Date }[]
  /** At most one of each user, who is among `signedIn`. */
  places: PlaceRow[]
  /** Keys of try limits that a success forgives. */
  forgiven: string[]
  charges: Charge[]
  /** What broke below the engine, which turns every error into its own words. */
  failure?: unknown
}

export const emptyWork = (began: Date, trace?: string): Work => ({
  began,
  trace,
  puts: new Map(),
  drops: new Map(),
  consumptions: new Map(),
  attempts: new Map(),
  events: [],
  signedIn: [],
  places: [],
  forgiven: [],
  charges: [],
})

/** Moves everything out of a work, so that what is committed is never committed twice. */
export const takeWork = (work: Work): Work => {
  const taken = { ...work }
  Object.assign(work, emptyWork(work.began, work.trace))
  return taken
}

export const isEmpty = (work: Work): boolean =>
  work.puts.size === 0 &&
  work.drops.size === 0 &&
  work.consumptions.size === 0 &&
  work.attempts.size === 0 &&
  work.events.length === 0 &&
  work.signedIn.length === 0 &&
  work.places.length === 0 &&
  work.forgiven.length === 0 &&
  work.charges.length === 0

export const put = (work: Work, artifact: Artifact): void => {
  work.drops.delete(keyOf(artifact))
  work.puts.set(keyOf(artifact), artifact)
}

export const drop = (work: Work, record: { workspaceId: string; id: string }): void => {
  work.puts.delete(keyOf(record))
  work.consumptions.delete(keyOf(record))
  work.drops.set(keyOf(record), record)
}

export const keyOf = ({ workspaceId, id }: { workspaceId: string; id: string }): string => `${workspaceId}:${id}`

const storage = new AsyncLocalStorage<Work>()

/** The work of the request that is under way here, if any. */
export const currentWork = (): Work | undefined => storage.getStore()

export const withWork = <Result>(work: Work, run: () => Promise<Result>): Promise<Result> => storage.run(work, run)
