import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import * as records from '../../directory/sessions.ts'
import { Problem } from '../../platform/problem.ts'
import { deviceName } from '../../signin/device-name.ts'
import { changeOwn } from '../../signin/own-change.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  aboutOf,
  buttonOf,
  byOf,
  draw,
  type Item,
  itemOf,
  seeOther,
  timeOf,
} from './visit.ts'

/** Where a person is signed in, and which browsers are spared the second factor. */
export const sessions: AccountSection = {
  name: 'sessions',
  pages: [{ path: 'sessions', get: (visit) => list(visit), post: (visit, answer) => apply(visit, answer) }],
}

const list = async (visit: AccountVisit): Promise<void> => {
  const { words } = visit
  const [open, remembered] = await Promise.all([listOpen(visit), listRemembered(visit)])
  const others = open.filter((one) => !isThis(visit, one))
  const items = [...open.filter((one) => isThis(visit, one)), ...others].map((one) => sessionItem(visit, one))
  const devices = remembered.map(({ id, createdAt }) =>
    itemOf(words.t('account.sessions.remembered'), {
      lines: [{ text: timeOf(visit, createdAt), at: createdAt.toISOString() }],
      form: buttonOf(visit, 'sessions', 'button.forget', { forget: id }),
    }),
  )
  const everywhere = buttonOf(visit, 'sessions', 'button.end_others', { end: 'others' })
  draw(visit, 'account/list', {
    heading: words.t('account.sessions.title'),
    lead: words.t('account.sessions.text'),
    items,
    more: devices.length > 0 ? { heading: words.t('account.sessions.devices'), items: devices } : null,
    forms: [everywhere],
  })
}

const sessionItem = (visit: AccountVisit, one: records.Session): Item => {
  const { words, issuer } = visit
  const seen = one.seenAt ?? one.authenticatedAt
  return itemOf(deviceName(one.agent, words), {
    badge: isThis(visit, one) ? words.t('account.sessions.this') : null,
    lines: [
      { text: words.t('account.sessions.since', { time: timeOf(visit, one.authenticatedAt) }), at: null },
      { text: words.t('account.sessions.seen', { time: timeOf(visit, seen) }), at: null },
      ...(one.workspaceId === issuer.workspace.id ? [] : [{ text: one.workspace, at: null }]),
    ],
    form: isThis(visit, one) ? null : buttonOf(visit, 'sessions', 'button.end_session', { end: one.id }),
  })
}

const isThis = ({ session }: AccountVisit, { stored, workspaceId }: records.Session): boolean =>
  stored === session.stored && workspaceId === session.workspaceId

const listOpen = ({ desk, at, user }: AccountVisit): Promise<records.Session[]> =>
  records.list(desk.services.db, at, user.poolId, user.id, undefined)

const listRemembered = async ({ desk, user }: AccountVisit) =>
  (await credentials.list(desk.services.db, user.poolId, user.id)).filter(({ kind }) => kind === 'device')

const apply = async (visit: AccountVisit, { end, forget }: Answer): Promise<void> => {
  if (end === 'others') return endOthers(visit)
  if (end !== undefined) return endOne(visit, end)
  if (forget !== undefined) return forgetOne(visit, forget)
  throw new Problem('invalid_request')
}

const endOthers = async (visit: AccountVisit): Promise<void> => {
  const { desk, user, session } = visit
  await changeOwn(desk.services, user, async (trx) => {
    await records.endOthers(trx, user.poolId, user.id, session)
    await audit.record(trx, visit.at, aboutOf(visit), { type: 'user.sessions_ended', data: { by: byOf(visit) } })
  })
  seeOther(visit, 'sessions', 'ended')
}

const endOne = async (visit: AccountVisit, id: string): Promise<void> => {
  const wanted = (await listOpen(visit)).filter((one) => one.id === id && !isThis(visit, one))
  if (wanted.length === 0) throw new Problem('not_found')
  await changeOwn(visit.desk.services, visit.user, async (trx) => {
    await records.end(trx, wanted)
    await audit.record(trx, visit.at, aboutOf(visit), { type: 'user.sessions_ended', data: { by: byOf(visit) } })
  })
  seeOther(visit, 'sessions', 'ended')
}

const forgetOne = async (visit: AccountVisit, id: string): Promise<void> => {
  const { user, desk } = visit
  const wanted = (await listRemembered(visit)).find((one) => one.id === id)
  if (!wanted) throw new Problem('not_found')
  await changeOwn(desk.services, user, async (trx) => {
    if (!(await credentials.remove(trx, user.poolId, user.id, id))) return
    const data = { by: byOf(visit), kind: wanted.kind }
    await audit.record(trx, visit.at, aboutOf(visit), { type: 'user.credential_removed', data })
  })
  seeOther(visit, 'sessions', 'removed')
}
