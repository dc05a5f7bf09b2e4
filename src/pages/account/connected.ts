import * as links from '../../directory/links.ts'
import { isKeptElsewhere } from '../../directory/pools.ts'
import type { Connection } from '../../directory/workspaces.ts'
import { Problem } from '../../platform/problem.ts'
import { linkTo } from '../../signin/arrive.ts'
import { alertOf, leave, takeBack } from '../../signin/departing.ts'
import type { Word } from '../../signin/form.ts'
import { tellOwner } from '../../signin/notices.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { hasOwnWay } from '../../signin/ways.ts'
import { show } from '../page.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  addressOf,
  byOf,
  draw,
  formOf,
  itemOf,
  seeOther,
  timeOf,
} from './visit.ts'

/** Accounts elsewhere that let a person in as the user they are here. */
export const connected: AccountSection = {
  name: 'connected',
  offered: (visit) => connectable(visit).length > 0,
  pages: [
    { path: 'connected', get: (visit) => list(visit) },
    {
      path: 'connected/:part',
      sensitive: true,
      get: (visit, part) => open(visit, getConnection(visit, part)),
      post: (visit, answer, part) => apply(visit, getConnection(visit, part), answer),
    },
  ],
}

/**
 * Connections to upstreams that a person of another pool may link, in the workspace's order; none for whoever stays at a
 * source, which alone lets them in.
 */
const connectable = ({ issuer, pool: own, user }: AccountVisit): Connection[] =>
  issuer.workspace.connections.filter(
    ({ enabled, pool }) =>
      enabled &&
      pool.status === 'active' &&
      pool.id !== user.poolId &&
      !isKeptElsewhere(own, user) &&
      pool.upstream &&
      pool.upstream.linking !== 'off',
  )

const getConnection = (visit: AccountVisit, id: string): Connection => {
  const connection = connectable(visit).find((one) => one.id === id)
  if (!connection) throw new Problem('not_found')
  return connection
}

const listLinks = ({ desk, user }: AccountVisit) => links.list(desk.services.db, user.poolId, user.id)

const list = async (visit: AccountVisit): Promise<void> => {
  const { words } = visit
  const held = await listLinks(visit)
  const items = connectable(visit).map(({ id, name, pool }) => {
    const link = held.find(({ poolId }) => poolId === pool.id)
    const label = words.t(link ? 'button.disconnect' : 'button.connect')
    return itemOf(name, {
      lines: link ? linesOf(visit, link) : [],
      link: { href: addressOf(visit, `connected/${id}`), label },
    })
  })
  const lead = words.t('account.connected.text')
  draw(visit, 'account/list', { heading: words.t('account.connected.title'), lead, items })
}

type Held = Awaited<ReturnType<typeof listLinks>>[number]

const linesOf = (visit: AccountVisit, { label, linkedAt }: Held) => [
  ...(label === '' ? [] : [{ text: label, at: null }]),
  { text: visit.words.t('account.connected.since', { time: timeOf(visit, linkedAt) }), at: null },
]

const open = (visit: AccountVisit, connection: Connection): Promise<void> => {
  const { arrived } = visit.ctx.query
  return typeof arrived === 'string' ? comeBack(visit, connection, arrived) : page(visit, connection)
}

const page = async (visit: AccountVisit, connection: Connection, alert?: Word): Promise<void> => {
  const { words } = visit
  const { id, name, pool } = connection
  const link = (await listLinks(visit)).find(({ poolId }) => poolId === pool.id)
  const hidden = [{ name: 'action', value: link ? 'disconnect' : 'connect' }]
  const form = { fields: [], submit: link ? 'button.disconnect' : 'button.connect' }
  const facts = link ? linesOf(visit, link).map(({ text }) => ({ name: '', value: text })) : []
  draw(visit, 'account/form', {
    heading: link ? name : words.t('account.connected.connect', { name }),
    lead: words.t('account.connected.text'),
    facts,
    form: formOf(visit, form, { path: `connected/${id}`, hidden, alert }),
    back: 'connected',
  })
}

const apply = (visit: AccountVisit, connection: Connection, { action }: Answer): Promise<void> => {
  if (action === 'connect') return connect(visit, connection)
  if (action === 'disconnect') return disconnect(visit, connection)
  throw new Problem('invalid_request')
}

/** What a way to an upstream and back belongs to: this session of this person. */
const boundTo = ({ session, user }: AccountVisit): string => `account ${session.stored} ${user.id}`

const connect = async (visit: AccountVisit, connection: Connection): Promise<void> => {
  const { ctx, desk, issuer, words, scene } = visit
  const { id, name } = connection
  const left = await leave(desk.services, {
    workspaceId: issuer.workspace.id,
    connection,
    boundTo: boundTo(visit),
    back: addressOf(visit, `connected/${id}`),
    wanted: { lang: scene.lang },
  })
  if ('alert' in left) return page(visit, connection, left.alert)
  // A form leads to no other origin (CSP3 form-action): the page goes on by itself.
  const next = left.to.href
  ctx.set('Refresh', `0; url=${next}`)
  const values = { name, next, alert: null, links: {} }
  show(ctx, desk, { workspace: issuer.workspace, words }, 'signin/depart', values)
}

const comeBack = async (visit: AccountVisit, connection: Connection, handle: string): Promise<void> => {
  const { desk, issuer, scene, user } = visit
  const wanted = { workspaceId: issuer.workspace.id, boundTo: boundTo(visit), handle }
  const back = await takeBack(desk.services, [connection], wanted)
  if (back === 'none') return seeOther(visit, `connected/${connection.id}`)
  if (back === 'closed') throw new Problem('forbidden', { key: 'connection_closed' })
  const { outcome } = back
  if (outcome.is !== 'ok') return page(visit, connection, alertOf(outcome, connection))
  const done = await linkTo(scene, connection, outcome.user, user)
  if (done === 'linked') return seeOther(visit, 'connected', 'added')
  return page(visit, connection, { key: `alert.link_${done}`, values: { name: connection.name } })
}

const disconnect = async (visit: AccountVisit, connection: Connection): Promise<void> => {
  const { desk, user, scene, at } = visit
  const { pool, name } = connection
  const outcome = await changeOwn(desk.services, user, async (trx) => {
    const others = (await links.list(trx, user.poolId, user.id)).filter(({ poolId }) => poolId !== pool.id)
    if (!hasWay(visit, others)) return 'last_way'
    const link = { homePoolId: user.poolId, userId: user.id, poolId: pool.id }
    if (!(await links.remove(trx, at, link, { name, by: byOf(visit) }))) return 'absent'
    await tellOwner(trx, scene, user, 'factor-removed')
    return 'removed'
  })
  if (outcome === 'absent') throw new Problem('not_found')
  if (outcome === 'last_way') return page(visit, connection, { key: 'alert.last_way' })
  seeOther(visit, 'connected', 'removed')
}

/** Whether somebody could still come in by something else. */
const hasWay = (visit: AccountVisit, others: readonly Pick<Held, 'poolId'>[]): boolean => {
  const { pool, user, scene } = visit
  const open = connectable(visit)
  return others.some(({ poolId }) => open.some((one) => one.pool.id === poolId)) || hasOwnWay(scene, pool, user)
}
