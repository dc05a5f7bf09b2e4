import type { Account, Loaded } from '../db/hot.ts'
import { type Artifact, currentWork, type Work } from '../db/work.ts'
import type { Context } from '../directory/contexts.ts'

/** What a request has read so far, so that nothing is read twice and the engine sees what it has just written. */
export interface Seen {
  loads: Map<string, Promise<Loaded | undefined>>
  written: Map<string, Artifact>
  sessionsByUid: Map<string, Loaded | Artifact>
  accounts: Map<string, Account>
  /** Who was brought up to date, as they are since. */
  reloaded: Map<string, Account>
  /** What sign-ins have learnt outside, by the uids of their sessions. */
  contexts: Map<string, Promise<Context | undefined>>
  /** What the session of this browser is stored under. */
  session?: string
  /** The refresh token being rotated: its successor is sealed under its own value. */
  rotating?: { value: string; key: string }
  /** The successor of a refresh token that was used a moment ago (security.md, decision 7). */
  successor?: string
  /** Grants that came along with a token. */
  grants: Map<string, Loaded['grant']>
  reused?: Reused
}

/** Something that was used before has been read; it is a replay only if the engine ends its grant for it. */
export interface Reused {
  what: 'refresh_token' | 'code'
  /** The hash that the grant is stored under. */
  grant: string
  clientId: string | undefined
  user: { id: string; poolId: string } | undefined
}

const seen = new WeakMap<Work, Seen>()

/** What the request around this call has seen. Outside of a request every call sees anew. */
export const seenHere = (): { work: Work; seen: Seen } | undefined => {
  const work = currentWork()
  return work && { work, seen: seenBy(work) }
}

export const seenBy = (work: Work): Seen => {
  const known = seen.get(work)
  if (known) return known
  const made: Seen = {
    loads: new Map(),
    written: new Map(),
    sessionsByUid: new Map(),
    accounts: new Map(),
    contexts: new Map(),
    reloaded: new Map(),
    grants: new Map(),
  }
  seen.set(work, made)
  return made
}

/** Remembers a user as they were first read: what a request makes belongs to the era that it began in. */
export const seeAccount = ({ accounts }: Seen, account: Account): void => {
  if (!accounts.has(account.id)) accounts.set(account.id, account)
}
