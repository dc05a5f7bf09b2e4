import { LRUCache } from 'lru-cache'
import { openSettings } from '../../directory/pool-secrets.ts'
import type { PoolUpstream } from '../../directory/pool-upstream.ts'
import type { Pool } from '../../directory/pools.ts'
import { sha256 } from '../../platform/secrets.ts'
import type { Services } from '../../services.ts'
import { storableOutsider } from '../outsider.ts'
import { getUpstream } from '../upstreams/index.ts'
import type { Arrived, NotArrived, OpenUpstream } from '../upstreams/upstream.ts'
import { local } from './local.ts'
import type { AwayPool } from './pool.ts'
import { welcome } from './welcome.ts'

/** Whether a pool's people prove who they are elsewhere. */
export const isAway = ({ kind }: Pick<Pool, 'kind'>): boolean => kind === 'federated'

/** A pool whose people prove who they are at an upstream, and come back. Whatever is asked of them besides is asked here. */
export const federated = (pool: Pool, services: Services): AwayPool => {
  const upstream = upstreamOf(pool)
  const open = openUpstream(pool, services)
  return {
    ...local(pool, services),
    at: 'away',
    upstream,
    // Nobody has a password here.
    checkPassword: async () => ({ is: 'wrong' }),
    ...open,
    arrive: async (...brought) => keepable(await open.arrive(...brought)),
    renew: async (renewal) => {
      const renewed = open.renew ? await open.renew(renewal) : misconfigured
      return renewed.is === 'ended' ? renewed : keepable(renewed)
    },
    welcome: (outsider) => welcome(services, pool, upstream, outsider),
  }
}

/** The most characters of a subject (OpenID Connect Core 1.0 section 2). */
const longestName = 255

/** With only what can be kept of whom it tells of; a name that cannot be kept is nobody's, and not cut to another's. */
const keepable = <Fault extends NotArrived>(outcome: Arrived | Fault): Arrived | Fault | NotArrived => {
  if (outcome.is !== 'ok') return outcome
  const user = outcome.user.externalId.length <= longestName ? storableOutsider(outcome.user) : undefined
  return user ? { ...outcome, user } : { is: 'refused', detail: 'What it tells of somebody cannot be kept.' }
}

const upstreamOf = ({ upstream }: Pool): PoolUpstream => {
  if (!upstream) throw new Error('A federated pool has an upstream.')
  return upstream
}

/** What upstreams have learnt of the other side, such as its keys, is kept while their settings stay as they are. */
const opened = new LRUCache<string, { services: Services; upstream: OpenUpstream }>({ max: 500 })

/** A pool's upstream with its settings. One that cannot be opened answers so, as one that does not answer would. */
export const openUpstream = (pool: Pool, services: Services): OpenUpstream => {
  const { type, settings } = upstreamOf(pool)
  const key = JSON.stringify([pool.id, type, settings])
  const known = opened.get(key)
  if (known?.services.db === services.db) return known.upstream
  const kind = getUpstream(type)
  const read = kind?.settings.safeParse(unsealed(pool, services, settings))
  if (!kind || !read?.success) return closed
  const { fetch, clock, config } = services
  const once = (name: string, until: Date) => services.hot.first(sha256(`${pool.id} ${name}`), until)
  const upstream = kind.open(read.data, { fetch, clock, config, once })
  opened.set(key, { services, upstream })
  return upstream
}

const unsealed = (pool: Pool, { keyring, log }: Services, settings: PoolUpstream['settings']): unknown => {
  try {
    return openSettings(keyring, { pool: pool.id, field: 'upstream' }, settings)
  } catch (error) {
    log.error({ err: error, pool: pool.id }, 'the secrets of an upstream could not be opened')
    return undefined
  }
}

const misconfigured: NotArrived = { is: 'misconfigured', detail: 'The settings of the upstream cannot be read.' }

const closed: OpenUpstream = {
  depart: async () => misconfigured,
  arrive: async () => misconfigured,
  test: async () => [{ name: 'Settings', ok: false, detail: misconfigured.detail }],
}
