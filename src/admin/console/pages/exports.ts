import { emitters } from '../../../directory/emitters/index.ts'
import { demand, may } from '../../access.ts'
import { hashScopes } from '../../resources/exports.ts'
import { demandRoute, type Inside, openPool, screenIn } from '../inside.ts'
import { type ConsolePage, callDownload, type Outcome, type Visit } from '../page.ts'

const neededFor = ({ pool }: Inside): string[] => hashScopes({ slug: String(pool.slug) })

const path = '/pools/{pool}/exports'

export const exportPages: ConsolePage[] = [
  { method: 'GET', path, handle: (visit) => show(visit) },
  // An event tells of every export, so none is made by following a link.
  { method: 'POST', path: `${path}/~download`, handle: (visit) => download(visit, 'false') },
  { method: 'GET', path: `${path}/~hashes`, danger: true, handle: (visit) => showHashes(visit) },
  { method: 'POST', path: `${path}/~hashes`, danger: true, handle: (visit) => download(visit, 'true') },
]

const show = async (visit: Visit): Promise<Outcome> => {
  demandRoute(visit, 'exportUsers')
  const inside = await openPool(visit)
  const here = `${inside.base}/exports`
  const values = {
    action: `${here}/~download`,
    hashes: neededFor(inside).every((scope) => may(visit.actor, scope)) ? `${here}/~hashes` : null,
    danger: false,
    formats: formatsFor(false),
  }
  return screenIn(inside, visit, { section: 'exports', view: 'console/exports', title: 'Export users', values })
}

const showHashes = async (visit: Visit): Promise<Outcome> => {
  const inside = await openPool(visit)
  for (const scope of neededFor(inside)) demand(visit.actor, scope)
  const values = { action: visit.path, hashes: null, danger: true, formats: formatsFor(true) }
  const title = 'Export with password hashes'
  return screenIn(inside, visit, { section: 'exports', above: [], view: 'console/exports', title, values })
}

/** What there is to choose from; not every format has a place for hashes. */
const formatsFor = (withHashes: boolean) =>
  Object.values(emitters)
    .filter(({ hashes }) => hashes || !withHashes)
    .map(({ name, title }) => ({ name, title }))

const download = async (visit: Visit, hashes: string): Promise<Outcome> => {
  const format = visit.form.format || 'csv'
  return { download: await callDownload(visit, 'exportUsers', { query: { format, hashes } }) }
}
