import type { Json } from '../../openapi.ts'
import { tabsOf } from '../inside.ts'
import { allows, type ConsolePage, call, type Visit } from '../page.ts'
import { type Conflict, pagesOf, type Section } from '../section.ts'
import { poolFacts, poolWording } from './pool-words.ts'
import { poolPreviews, poolSamples } from './preview.ts'

const pools: Section = {
  path: '/pools',
  param: 'pool',
  one: 'pool',
  many: 'Pools',
  about: 'A pool is a directory of users with its own identifiers, ways to sign in, rules and profile.',
  routes: {
    list: 'listPools',
    get: 'getPool',
    create: 'createPool',
    update: 'updatePool',
    remove: 'deletePool',
  },
  id: ({ slug }) => String(slug),
  name: ({ name }) => String(name),
  columns: [
    { title: 'Name', text: ({ name }) => String(name) },
    { title: 'Slug', text: ({ slug }) => String(slug), as: 'code' },
    { title: 'Status', text: ({ status }) => String(status), as: 'badge' },
    { title: 'Changed', text: ({ updated_at }) => String(updated_at), as: 'time' },
  ],
  wording: () => poolWording,
  facts: poolFacts,
  tabs: (visit, item) => (visit.params.pool ? tabsOf(`/console${poolPath(visit)}`, visit, undefined, item) : []),
  detail: {
    view: 'console/pool',
    load: async (visit, item) => ({
      preview: `/console${poolPath(visit)}/~preview`,
      outside: allows(visit, 'updatePool') ? `/console${poolPath(visit)}/~outside` : null,
      kind: item.kind,
    }),
  },
  preview: poolSamples,
  conflicts: (visit, patch) => conflictsOf(visit, patch),
  loss: ({ name }) => `Everybody in ${name} goes with it.`,
}

const poolPath = ({ params }: Visit): string => `/pools/${encodeURIComponent(params.pool ?? '')}`

/** What `checkPool` reports of a change, with links to some of those whom it would hurt. */
const conflictsOf = async (visit: Visit, body: Json): Promise<Conflict[]> => {
  const { body: report } = await call(visit, 'checkPool', { body })
  const { conflicts } = report as {
    conflicts: { detail: string; count: number; sample: { user: string; reason: string }[] }[]
  }
  return conflicts.map(({ detail, count, sample }) => ({
    detail,
    count,
    sample: sample.map(({ user, reason }) => ({
      name: user,
      href: `/console${poolPath(visit)}/users/${user}`,
      reason,
    })),
  }))
}

export const poolPages: ConsolePage[] = [...pagesOf(pools), ...poolPreviews]
