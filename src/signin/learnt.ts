import { fitting, type Learnt, namesUpstream, sizeOf } from '../directory/contexts.ts'
import type { Connection } from '../directory/workspaces.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { Attempt } from './attempt.ts'

/** The most bytes of what an upstream is asked again with, as JSON; where it is more, it is not asked again. */
const mostBytes = 16 * 1024

type Keeping = Pick<Connection, 'id' | 'mapping' | 'reloadClaimsAtRefresh' | 'contextCacheSeconds'>

/** Whether a connection asks an upstream again while its people are signed in. */
export const asksAgain = ({ reloadClaimsAtRefresh, contextCacheSeconds }: Omit<Keeping, 'id' | 'mapping'>): boolean =>
  reloadClaimsAtRefresh && contextCacheSeconds !== 0

/**
 * What a connection keeps of what was told outside of somebody: the claims where its mapping names any, and what the
 * upstream is asked again with. Undefined where it keeps nothing.
 */
export const learntFrom = (
  connection: Keeping,
  now: Date,
  { claims, renewal }: { claims: Record<string, unknown>; renewal?: unknown },
): Learnt | undefined => {
  const { id, mapping, contextCacheSeconds } = connection
  const isNamed = namesUpstream(mapping)
  const isAsked = asksAgain(connection) && renewal !== undefined && sizeOf(renewal) <= mostBytes
  if (contextCacheSeconds === 0 || (!isNamed && !isAsked)) return undefined
  const told = isNamed ? fitting(claims, mapping) : {}
  return { connection: id, claims: told, at: now.getTime(), ...(isAsked ? { renewal } : {}) }
}

/** What was learnt, as it is kept with an attempt until the person is let in; it opens for no other attempt. */
export const sealLearnt = (keyring: Keyring, { id }: Pick<Attempt, 'id'>, learnt: Learnt | undefined) =>
  learnt && keyring.seal(JSON.stringify(learnt), contextOf(id))

/** What an attempt has learnt of whoever is let in by a connection; undefined where that is another's. */
export const learntIn = (keyring: Keyring, { id, learnt }: Attempt, connection: { id: string }): Learnt | undefined => {
  const told = learnt === undefined ? undefined : (JSON.parse(keyring.open(learnt, contextOf(id))) as Learnt)
  return told?.connection === connection.id ? told : undefined
}

const contextOf = (attempt: string) => `learnt in ${attempt}`
