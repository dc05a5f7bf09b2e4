import { brandOf } from '../../directory/outbox.ts'
import { Problem } from '../../platform/problem.ts'
import { replaceCodes } from '../../signin/enrol.ts'
import { heldOf } from '../../signin/methods/method.ts'
import { recoveryCode } from '../../signin/methods/recovery-code.ts'
import { changeOwn } from '../../signin/own-change.ts'
import { codeHash, openCodes, sealCodes } from '../../signin/recovery-codes.ts'
import {
  type AccountPage,
  type AccountVisit,
  addressOf,
  boundTo,
  draw,
  formOf,
  type Item,
  itemOf,
  seeOther,
} from './visit.ts'

const path = 'factors/codes'

/** Making new recovery codes needs a fresh proof; seeing those that were just made needs nothing but this session. */
export const codes: AccountPage[] = [
  { path, sensitive: true, get: (visit) => ask(visit), post: (visit) => make(visit) },
  { path: `${path}/new`, get: (visit) => look(visit), post: (visit) => forget(visit) },
  { path: `${path}/file`, get: (visit) => download(visit) },
]

/** Whether this person may have recovery codes: they stand in for another second factor. */
export const offersCodes = ({ pool, user }: AccountVisit): boolean => {
  const { second_factor, second_factors } = pool.settings
  if (second_factor === 'off' || !second_factors.includes('recovery_code')) return false
  return user.credentials.some(({ kind }) => second_factors.some((one) => one === kind && one !== 'recovery_code'))
}

export const codesItem = (visit: AccountVisit): Item =>
  itemOf(visit.words.t('account.factors.recovery_code'), {
    lines: [{ text: visit.words.t('account.codes.left', { left: leftOf(visit) }), at: null }],
    link: { href: addressOf(visit, path), label: visit.words.t('button.new_codes') },
  })

const leftOf = ({ user }: AccountVisit): number => heldOf(user, recoveryCode).flatMap(({ data }) => data.codes).length

const ask = (visit: AccountVisit): void => {
  if (!offersCodes(visit)) throw new Problem('not_found')
  const { words } = visit
  const form = formOf(visit, { fields: [], submit: 'button.new_codes' }, { path })
  const lead = words.t('account.codes.text', { left: leftOf(visit) })
  const heading = words.t('account.factors.recovery_code')
  draw(visit, 'account/form', { heading, lead, facts: [], form, back: 'factors' })
}

const make = async (visit: AccountVisit): Promise<void> => {
  if (!offersCodes(visit)) throw new Problem('not_found')
  const { desk, user, pool, scene } = visit
  showCodes(visit, await changeOwn(desk.services, user, (trx) => replaceCodes(trx, scene, pool, user)))
}

const look = (visit: AccountVisit): void => {
  const fresh = readCodes(visit)
  if (fresh.length === 0) {
    seeOther(visit, 'factors')
    return
  }
  const form = formOf(visit, { fields: [], submit: 'button.continue' }, { path: `${path}/new` })
  const links = { download: addressOf(visit, `${path}/file`) }
  draw(visit, 'signin/recovery-codes', { codes: fresh, left: 0, links, form })
}

/** They were kept: nobody sees them again. */
const forget = async (visit: AccountVisit): Promise<void> => {
  keep(visit, '', new Date(0))
  seeOther(visit, 'factors')
}

/** Leads to the page that shows new codes. Until then this browser keeps them, sealed for this session. */
export const showCodes = (visit: AccountVisit, made: readonly string[]): void => {
  const sealed = sealCodes(visit.desk.services.keyring, made, boundTo(visit))
  keep(visit, sealed, new Date(visit.at.getTime() + lifetimeMs))
  seeOther(visit, `${path}/new`)
}

const download = (visit: AccountVisit): void => {
  const { ctx, issuer, user, words } = visit
  const fresh = readCodes(visit)
  if (fresh.length === 0) throw new Problem('not_found')
  const names = { account: user.identifiers[0]?.typed ?? '', service: brandOf(issuer.workspace).name }
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Content-Disposition', 'attachment; filename="recovery-codes.txt"')
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = [words.t('codes.file', names), '', ...fresh, ''].join('\n')
}

const lifetimeMs = 10 * 60_000

const nameOf = ({ desk }: AccountVisit) =>
  `${desk.services.config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_codes`

const keep = (visit: AccountVisit, sealed: string, until: Date): void =>
  visit.scene.cookies?.set(nameOf(visit), sealed, until)

/** The codes that this session has just been given; none once they are kept. */
const readCodes = (visit: AccountVisit): string[] => {
  const sealed = visit.scene.cookies?.get(nameOf(visit))
  if (!sealed) return []
  try {
    const made = openCodes(visit.desk.services.keyring, sealed, boundTo(visit))
    const good = new Set(heldOf(visit.user, recoveryCode).flatMap(({ data }) => data.codes))
    // Those that were replaced or used since are not shown as if they were good.
    return made.filter((code) => good.has(codeHash(code)))
  } catch {
    return []
  }
}
