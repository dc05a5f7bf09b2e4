import { pathOf } from '../../directory/address.ts'
import * as audit from '../../directory/audit.ts'
import * as deletions from '../../directory/deletions.ts'
import { copyFor } from '../../directory/personal-data.ts'
import * as records from '../../directory/user-records.ts'
import { Problem } from '../../platform/problem.ts'
import * as challenges from '../../signin/challenges.ts'
import type { Word } from '../../signin/form.ts'
import { tellOwner } from '../../signin/notices.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { type AccountSection, type AccountVisit, type Answer, aboutOf, addressOf, byOf, draw, formOf } from './visit.ts'

/** A copy of everything, and the end of everything. */
export const data: AccountSection = {
  name: 'data',
  pages: [
    { path: 'data', get: (visit) => page(visit) },
    { path: 'data/download', sensitive: true, get: (visit) => download(visit) },
    {
      path: 'data/delete',
      sensitive: true,
      get: (visit) => confirm(visit),
      post: (visit, answer) => remove(visit, answer),
    },
  ],
}

const page = (visit: AccountVisit): void => {
  const { words } = visit
  const actions = ['download', 'delete'].map((name) => ({
    href: addressOf(visit, `data/${name}`),
    label: words.t(`account.data.${name}`),
  }))
  draw(visit, 'account/list', {
    heading: words.t('account.data.title'),
    lead: words.t('account.data.text'),
    items: [],
    actions,
  })
}

const download = async (visit: AccountVisit): Promise<void> => {
  const { ctx, desk, user, at } = visit
  const { db } = desk.services
  const record = await records.find(db, user.poolId, user.id)
  if (!record) throw new Problem('expired')
  const copy = await copyFor(db, at, record)
  await audit.record(db, at, aboutOf(visit), { type: 'user.data_downloaded', data: { by: byOf(visit) } })
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Content-Disposition', 'attachment; filename="account.json"')
  ctx.type = 'application/json'
  ctx.body = JSON.stringify(copy, null, 2)
}

const confirm = (visit: AccountVisit, error?: Word, alert?: Word): void => {
  const { words, pool } = visit
  const days = pool.settings.account_deletion_grace_days
  const field = { name: 'sure', kind: 'checkbox', label: { key: 'field.delete_account' }, required: true } as const
  const fields = [{ ...field, ...(error ? { error } : {}) }]
  const form = formOf(visit, { fields, submit: 'button.delete_account' }, { path: 'data/delete', alert })
  const lead = words.t('account.delete.text', { days })
  draw(visit, 'account/form', { heading: words.t('account.data.delete'), lead, facts: [], form, back: 'data' })
}

const remove = async (visit: AccountVisit, { sure }: Answer): Promise<void> => {
  const { ctx, desk, user, pool, scene, at, words, issuer } = visit
  if (sure !== 'true') return confirm(visit, { key: 'error.required' })
  const days = pool.settings.account_deletion_grace_days
  const outcome = await changeOwn(desk.services, user, async (trx, before) => {
    if (days === 0) await tellOwner(trx, scene, user, 'account-deleted')
    else await tellOwner(trx, scene, user, 'account-deletion', { days })
    await challenges.endAll(trx, at, pool.id, user.id)
    await deletions.request(trx, at, before, days)
    return 'gone' as const
  }).catch((error: unknown) => {
    if (error instanceof Problem && error.code === 'conflict') return 'owner' as const
    throw error
  })
  if (outcome === 'owner') return confirm(visit, undefined, { key: 'alert.last_owner' })
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(`${pathOf(issuer.workspace)}/account/deleted?ui_locales=${words.lang}`)
}
