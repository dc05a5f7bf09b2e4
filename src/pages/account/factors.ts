import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import * as passkeys from '../../directory/passkeys.ts'
import { Problem } from '../../platform/problem.ts'
import { enrolmentOf } from '../../signin/enrol.ts'
import { getMethod, methodNames } from '../../signin/methods/index.ts'
import { tellOwner } from '../../signin/notices.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { codes, codesItem, offersCodes } from './codes.ts'
import { enrolPage, gettable } from './enrol.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  aboutOf,
  addressOf,
  byOf,
  draw,
  formOf,
  itemOf,
  seeOther,
  timeOf,
} from './visit.ts'

/** What a person proves themselves with besides a password: passkeys, an authenticator, recovery codes. */
export const factors: AccountSection = {
  name: 'factors',
  offered: (visit) => gettable(visit).length > 0,
  pages: [
    { path: 'factors', get: (visit) => list(visit) },
    ...codes,
    enrolPage,
    {
      path: 'factors/:part',
      sensitive: true,
      get: async (visit, part) => show(visit, await getHeld(visit, part)),
      post: async (visit, answer, part) => apply(visit, await getHeld(visit, part), answer),
    },
  ],
}

/** Something that a person holds; `name` where they call it by one. */
interface Held {
  id: string
  kind: string
  createdAt: Date
  usedAt: Date | null
  name: string | undefined
}

const list = async (visit: AccountVisit): Promise<void> => {
  const { words } = visit
  const held = await listHeld(visit)
  const items = held.map((one) =>
    itemOf(one.name ?? words.t(`account.factors.${one.kind}`), {
      lines: linesOf(visit, one),
      link: { href: addressOf(visit, `factors/${one.id}`), label: words.t('account.factors.manage') },
    }),
  )
  const actions = gettable(visit)
    .filter((name) => enrolmentOf(name).several || !held.some(({ kind }) => kind === name))
    .map((name) => ({ href: addressOf(visit, `factors/add/${name}`), label: words.t(`enrol.${name}`) }))
  const own = offersCodes(visit) ? [codesItem(visit)] : []
  const lead = words.t('account.factors.text')
  draw(visit, 'account/list', { heading: words.t('account.factors.title'), lead, items: [...items, ...own], actions })
}

const linesOf = (visit: AccountVisit, { kind, name, createdAt, usedAt }: Held) => [
  ...(name === undefined ? [] : [{ text: visit.words.t(`account.factors.${kind}`), at: null }]),
  { text: visit.words.t('account.factors.added', { time: timeOf(visit, createdAt) }), at: null },
  ...(usedAt ? [{ text: visit.words.t('account.factors.used', { time: timeOf(visit, usedAt) }), at: null }] : []),
]

/** What somebody holds and got by an enrolment, whether the pool still takes it or not. */
const listHeld = async ({ desk, user }: AccountVisit): Promise<Held[]> => {
  const rows = await credentials.list(desk.services.db, user.poolId, user.id)
  return rows.flatMap((row) => {
    const data = user.credentials.find(({ id }) => id === row.id)?.data
    if (!data || !isGot(row.kind)) return []
    return [{ ...row, name: typeof data.name === 'string' && data.name !== '' ? data.name : undefined }]
  })
}

const isGot = (kind: string): boolean => methodNames.includes(kind) && getMethod(kind).enrol !== undefined

const getHeld = async (visit: AccountVisit, id: string): Promise<Held> => {
  const held = (await listHeld(visit)).find((one) => one.id === id)
  if (!held) throw new Problem('not_found')
  return held
}

const show = (visit: AccountVisit, held: Held, alert?: string): void => {
  const { words } = visit
  const { id, kind, name } = held
  const path = `factors/${id}`
  const remove = { name: 'action', value: 'remove', label: 'button.remove' }
  const field = {
    name: 'name',
    kind: 'text',
    label: { key: 'field.passkey_name' },
    value: name ?? '',
    required: true,
    maxlength: passkeys.longestName,
  } as const
  const said = alert ? { alert: { key: alert } } : {}
  const form =
    kind === 'passkey'
      ? formOf(visit, { fields: [field], submit: 'button.save' }, { path, buttons: [remove], ...said })
      : formOf(visit, { fields: [], submit: 'button.remove' }, { path, hidden: [remove], ...said })
  const facts = linesOf(visit, held).map(({ text }) => ({ name: '', value: text }))
  const heading = name ?? words.t(`account.factors.${kind}`)
  draw(visit, 'account/form', { heading, lead: words.t('account.factors.remove_text'), facts, form, back: 'factors' })
}

const apply = (visit: AccountVisit, held: Held, { action, name = '' }: Answer): Promise<void> | void => {
  if (action === 'remove') return remove(visit, held)
  if (held.kind !== 'passkey') throw new Problem('invalid_request')
  if (passkeys.nameFrom(name) === '') return show(visit, held, 'alert.answers')
  return rename(visit, held, name)
}

const rename = async (visit: AccountVisit, { id, kind }: Held, name: string): Promise<void> => {
  const { desk, user, at } = visit
  await changeOwn(desk.services, user, async (trx) => {
    if (!(await passkeys.rename(trx, user.poolId, user.id, id, name))) throw new Problem('not_found')
    const renamed = { type: 'user.credential_renamed', data: { by: byOf(visit), kind } } as const
    await audit.record(trx, at, aboutOf(visit), renamed)
  })
  seeOther(visit, 'factors', 'renamed')
}

const remove = async (visit: AccountVisit, held: Held): Promise<void> => {
  const { desk, user, pool, scene, at } = visit
  const outcome = await changeOwn(desk.services, user, async (trx) => {
    const done = await passkeys.removeFactor(trx, at, pool, user.id, held.id)
    if (done === 'removed') await tellOwner(trx, scene, user, 'factor-removed')
    return done
  })
  if (outcome === 'absent') throw new Problem('not_found')
  if (outcome === 'removed') return seeOther(visit, 'factors', 'removed')
  show(visit, held, outcome === 'last_factor' ? 'alert.last_factor' : 'alert.last_way')
}
