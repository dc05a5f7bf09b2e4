import * as audit from '../../directory/audit.ts'
import * as credentials from '../../directory/credentials.ts'
import { post } from '../../directory/outbox.ts'
import { isKeptElsewhere } from '../../directory/pools.ts'
import { endOthers } from '../../directory/sessions.ts'
import * as users from '../../directory/users.ts'
import { Problem } from '../../platform/problem.ts'
import { type Field, newPasswordField, passwordField, type Word } from '../../signin/form.ts'
import { windowMinutes } from '../../signin/limits.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { changePassword } from '../../signin/password-change.ts'
import { contextOf, heldBy, refusePassword } from '../../signin/passwords.ts'
import { type AccountSection, type AccountVisit, type Answer, aboutOf, byOf, draw, formOf, seeOther } from './visit.ts'

/** Another password in the place of the one there is, or the first one. */
export const password: AccountSection = {
  name: 'password',
  offered: ({ pool, user }) => pool.settings.sign_in_methods.includes('password') && !isKeptElsewhere(pool, user),
  pages: [
    {
      path: 'password',
      sensitive: true,
      get: (visit) => page(ours(visit), {}),
      post: (visit, answer) => (hasOne(ours(visit)) ? change(visit, answer) : choose(visit, answer)),
    },
  ],
}

/** Throws `conflict` where the password is kept elsewhere. */
const ours = (visit: AccountVisit): AccountVisit => {
  if (isKeptElsewhere(visit.pool, visit.user))
    throw new Problem('conflict', { detail: 'This password is kept where the account lives.' })
  return visit
}

const hasOne = ({ user }: AccountVisit): boolean => heldBy(user).hash !== undefined

interface Fault {
  old?: Word
  weak?: Word
  alert?: Word
}

const page = (visit: AccountVisit, { old, weak, alert }: Fault): void => {
  const { words, pool, user } = visit
  const before: Field[] = hasOne(visit)
    ? [{ ...passwordField('password', old), label: { key: 'field.old_password' } }]
    : []
  const fields = [...before, newPasswordField('new_password', pool, weak)]
  const form = formOf(visit, { fields, submit: 'button.set_password' }, { path: 'password', alert })
  const lead = words.t('account.password.text')
  const username = user.identifiers[0]?.typed ?? ''
  draw(visit, 'account/form', { heading: words.t('account.password.title'), lead, facts: [], form, username })
}

const change = async (visit: AccountVisit, answer: Answer): Promise<void> => {
  const { desk, pool, user, issuer, words, session } = visit
  const asked = {
    oldPassword: answer.password ?? '',
    newPassword: answer.new_password ?? '',
    warned: answer.warned !== undefined,
  }
  const outcome = await changePassword(desk.services, pool, user, asked, {
    by: byOf(visit),
    workspace: issuer.workspace,
    lang: words.lang,
    end: (trx) => endOthers(trx, pool.id, user.id, session),
  })
  if (outcome === 'done') return seeOther(visit, '', 'password')
  if (outcome === 'wrong') return page(visit, { old: { key: 'error.old_password' } })
  if (outcome === 'too-many')
    return page(visit, { alert: { key: 'alert.too_many', values: { minutes: windowMinutes('account') } } })
  page(visit, { weak: outcome.weak })
}

/** The first password of somebody who came in without one; the fresh proof stands for the old one. */
const choose = async (visit: AccountVisit, { new_password: wanted = '', warned }: Answer): Promise<void> => {
  const { desk, pool, user, scene, at, session } = visit
  const { services } = desk
  const judged = { password: wanted, context: contextOf(user), warned: warned !== undefined }
  const weak = await refusePassword(services, pool, judged)
  if (weak) return page(visit, { weak })
  const data = { hash: await services.passwords.hash(wanted), changed_at: at.toISOString() }
  const chosen = await changeOwn(services, user, async (trx) => {
    if (!(await credentials.add(trx, at, pool.id, user.id, { kind: 'password', data }))) return false
    await users.takeOver(trx, at, pool.id, user.id)
    await endOthers(trx, pool.id, user.id, session)
    const happened = { type: 'user.password_set', data: { by: byOf(visit), must_change: false } } as const
    await audit.record(trx, at, aboutOf(visit), happened)
    const address = user.identifiers.find(({ kind, verified }) => kind === 'email' && verified)
    if (address)
      await post(trx, scene, { to: address.value, channel: 'email', template: 'password-changed', values: {} })
    return true
  })
  // Of two that are chosen at once one counts; the page now asks for it as the old one.
  if (chosen) return seeOther(visit, '', 'password')
  seeOther(visit, 'password')
}
