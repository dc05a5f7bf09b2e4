import { isDeepStrictEqual } from 'node:util'
import { isKeptElsewhere } from '../../directory/pools.ts'
import { askedOf, faultsOf, ownSchema, type ProfileFault, propertiesOf, readProfile } from '../../directory/profiles.ts'
import * as changes from '../../directory/user-changes.ts'
import * as users from '../../directory/users.ts'
import { Problem } from '../../platform/problem.ts'
import { faultWord, profileField, type Word } from '../../signin/form.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { type AccountSection, type AccountVisit, type Answer, byOf, draw, formOf, seeOther } from './visit.ts'

/** What a person says of themselves, by the pool's schema. */
export const profile: AccountSection = {
  name: 'profile',
  offered: ({ pool }) => propertiesOf(pool.settings.user_schema).length > 0,
  pages: [{ path: 'profile', get: (visit) => page(visit), post: (visit, answer) => save(visit, answer) }],
}

interface Draft {
  answer: Answer
  faults?: ProfileFault[]
  alert?: Word
}

const page = (visit: AccountVisit, draft?: Draft): void => {
  const { pool, user, words } = visit
  const known = draft?.answer ?? textsOf(user.profile)
  const kept = isKeptElsewhere(pool, user)
  const asked = kept ? [] : askedOf(pool.settings.user_schema)
  const fields = asked.map((property) => {
    const fault = draft?.faults?.find((one) => one.property === property.name)
    return profileField(property, known[property.name], fault && faultWord(fault))
  })
  const facts = propertiesOf(pool.settings.user_schema)
    .filter(({ readOnly, name }) => (kept || readOnly) && user.profile[name] !== undefined)
    .map(({ title, name }) => ({ name: title, value: String(user.profile[name]) }))
  const hidden = [{ name: 'version', value: user.updatedAt.toISOString() }]
  const form =
    fields.length > 0
      ? formOf(visit, { fields, submit: 'button.save' }, { path: 'profile', hidden, alert: draft?.alert })
      : null
  const fixed = facts.length > 0 ? words.t('account.profile.fixed') : null
  const lead = kept ? words.t('account.kept_elsewhere') : fixed
  draw(visit, 'account/form', { heading: words.t('account.profile.title'), lead, facts, form })
}

/** Takes exactly the fields that are asked for: whatever else is sent is refused, and not dropped. */
const save = async (visit: AccountVisit, { version = '', ...answer }: Answer): Promise<void> => {
  const { pool, user, at, desk } = visit
  if (isKeptElsewhere(pool, user)) throw new Problem('conflict', { detail: 'This is kept elsewhere.' })
  const schema = pool.settings.user_schema
  const asked = new Set(askedOf(schema).map(({ name }) => name))
  if (Object.keys(answer).some((name) => !asked.has(name))) throw new Problem('invalid_request')
  const read = await readProfile(schema, answer)
  const outcome = await changeOwn(desk.services, user, async (trx, before) => {
    if (before.updatedAt.toISOString() !== version) return 'overtaken'
    const kept = Object.entries(before.profile).filter(([name]) => !asked.has(name))
    const wanted = { ...Object.fromEntries(kept), ...read.profile }
    const faults = (await faultsOf(ownSchema(schema), wanted)).filter(({ property }) => asked.has(property))
    if (faults.length > 0) return faults
    if (isDeepStrictEqual(wanted, before.profile)) return 'saved'
    const { status, metadata } = before
    const identifiers = before.identifiers.map((one) => ({ ...one, typed: one.value }))
    await changes.update(trx, at, before, { status, metadata, identifiers, profile: wanted }, byOf(visit))
    return 'saved'
  })
  if (outcome === 'saved') return seeOther(visit, 'profile', 'saved')
  if (outcome === 'overtaken') return retry(visit, answer)
  page(visit, { answer, faults: outcome })
}

/** Somebody else, or this person in another window, changed it meanwhile: what was typed stays, and can be sent again. */
const retry = async (visit: AccountVisit, answer: Answer): Promise<void> => {
  const user = await users.findById(visit.desk.services.db, visit.user.id)
  if (!user) throw new Problem('expired')
  page({ ...visit, user }, { answer, alert: { key: 'alert.account_overtaken' } })
}

const textsOf = (record: Record<string, unknown>): Answer =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, String(value)]))
