import * as departures from '../directory/departures.ts'
import type { Connection } from '../directory/workspaces.ts'
import { randomToken } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { Word } from './form.ts'
import { storableOutsider } from './outsider.ts'
import { federated } from './pools/federated.ts'
import type { AwayPool } from './pools/pool.ts'
import type { Arrived, Departing, NotArrived, Returned } from './upstreams/upstream.ts'

/** Where an upstream sends people of a connection back to: each has an address of its own (RFC 9700 section 2.1). */
export const callbackOf = ({ config }: Pick<Services, 'config'>, connectionId: string): string =>
  `${config.publicUrl}/callback/${connectionId}`

interface Leaving {
  workspaceId: string
  connection: Connection
  boundTo: string
  /** The path that goes on. */
  back: string
  wanted: Omit<Departing, 'callback' | 'state'>
}

/** Begins a way to a connection's upstream. */
export const leave = async (
  services: Services,
  { workspaceId, connection, boundTo, back, wanted }: Leaving,
): Promise<{ to: URL } | { alert: Word }> => {
  const state = randomToken()
  const away = federated(connection.pool, services)
  const left = await away.depart({ ...wanted, callback: callbackOf(services, connection.id), state })
  if (left.is !== 'ok') {
    report(services, connection, left)
    return { alert: alertOf(left, connection) }
  }
  const departure = { workspaceId, connectionId: connection.id, boundTo, back, kept: left.keep }
  await departures.begin(services.db, { keyring: services.keyring, at: services.clock.now() }, departure, state)
  return { to: left.to }
}

/** Somebody who is back: with what their upstream says, or with why it says nothing. */
export interface Back {
  connection: Connection
  away: AwayPool
  outcome: Arrived | NotArrived
}

/**
 * Takes somebody back in the browser that left. `none` where there is nothing to take, or it was taken; `closed` where
 * the connection is not open any more.
 */
export const takeBack = async (
  services: Services,
  connections: readonly Connection[],
  wanted: { workspaceId: string; boundTo: string; handle: string },
): Promise<Back | 'none' | 'closed'> => {
  const { db, keyring, clock } = services
  const returned = await departures.consume(db, { keyring, at: clock.now() }, wanted)
  if (!returned) return 'none'
  const connection = connections.find(({ id, pool }) => id === returned.connectionId && pool.upstream)
  if (!connection) return 'closed'
  const away = federated(connection.pool, services)
  const { state, kept, answer } = returned
  const at = { callback: callbackOf(services, connection.id), state }
  const outcome = keepable(await away.arrive(answer as Returned, kept, at))
  if (outcome.is !== 'ok') report(services, connection, outcome)
  return { connection, away, outcome }
}

/** The same with only what can be kept of whoever arrived. */
const keepable = (outcome: Arrived | NotArrived): Arrived | NotArrived => {
  if (outcome.is !== 'ok') return outcome
  const user = storableOutsider(outcome.user)
  return user ? { ...outcome, user } : { is: 'refused', detail: 'Its name for somebody has characters of no name.' }
}

/** What somebody is told whom an upstream did not let in. */
export const alertOf = ({ is }: NotArrived, { name }: Pick<Connection, 'name'>): Word => {
  if (is === 'denied') return { key: 'alert.upstream_denied', values: { name } }
  return { key: is === 'refused' ? 'alert.upstream_refused' : 'alert.upstream_unavailable', values: { name } }
}

const report = ({ log, metrics }: Services, { id, pool }: Connection, { is, detail }: NotArrived): void => {
  metrics.signIn(is, 'upstream')
  log[is === 'denied' ? 'info' : 'warn']({ connection: id, pool: pool.id, is, detail }, 'an upstream let nobody in')
}
