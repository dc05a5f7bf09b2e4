import type { Json } from '../../openapi.ts'
import { chartOf } from '../chart.ts'
import { menuOf } from '../menu.ts'
import { allows, type ConsolePage, call, type Outcome, type Visit } from '../page.ts'

type Counted = 'sign_ins' | 'registrations' | 'failures'
type Day = { date: string } & Record<Counted, number>

const spans = ['7', '30', '90']
const kinds: { key: Counted; title: string }[] = [
  { key: 'sign_ins', title: 'Sign-ins' },
  { key: 'registrations', title: 'Registrations' },
  { key: 'failures', title: 'Failures' },
]

const dashboard = async (visit: Visit): Promise<Outcome> => {
  const [first] = menuOf(visit.actor, visit.path)
  // Everybody comes in here, also those who may not see what happens.
  if (first && !allows(visit, 'getStats')) return { to: first.href }
  const { pool } = visit.query
  const days = spans.includes(visit.query.days ?? '') ? visit.query.days : '30'
  const { body } = await call(visit, 'getStats', { query: { days, ...(pool ? { pool } : {}) } })
  const counts = body as unknown as { days: Day[]; pools: (Json & Record<Counted, number>)[] }
  const busiest = Math.max(1, ...counts.pools.map(({ sign_ins }) => sign_ins))
  const values = {
    days,
    pool: pool ?? null,
    spans: spans.map((span) => ({ span, here: span === days, href: hrefOf({ days: span, pool }) })),
    charts: kinds.map(({ key, title }) => ({
      title,
      key,
      total: counts.days.reduce((sum, day) => sum + day[key], 0),
      chart: chartOf(
        title,
        counts.days.map((day) => ({ at: day.date, count: day[key] })),
      ),
      rows: counts.days.map((day) => ({ date: day.date, count: day[key] })).reverse(),
    })),
    pools: counts.pools.map((one) => ({
      ...one,
      href: `/console/pools/${encodeURIComponent(String(one.slug))}`,
      only: hrefOf({ days, pool: String(one.slug) }),
      share: Math.round((100 * one.sign_ins) / busiest),
    })),
    all: hrefOf({ days, pool: undefined }),
  }
  return { show: { view: 'console/dashboard', title: 'Dashboard', values } }
}

const hrefOf = ({ days, pool }: { days: string | undefined; pool: string | undefined }): string =>
  `/console?${new URLSearchParams({ ...(days ? { days } : {}), ...(pool ? { pool } : {}) })}`

export const dashboardPages: ConsolePage[] = [{ method: 'GET', path: '/', handle: dashboard }]
