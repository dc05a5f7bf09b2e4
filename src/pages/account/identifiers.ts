import type { User } from '../../directory/users.ts'
import { Problem } from '../../platform/problem.ts'
import { sha256 } from '../../platform/secrets.ts'
import { codeField, type Field, identifierField, type Word } from '../../signin/form.ts'
import * as change from '../../signin/identifier-change.ts'
import {
  type AccountSection,
  type AccountVisit,
  type Answer,
  addressOf,
  draw,
  formOf,
  itemOf,
  seeOther,
} from './visit.ts'

/** What a person goes by: an address is changed once it is proven. */
export const identifiers: AccountSection = {
  name: 'identifiers',
  pages: [
    { path: 'identifiers', get: (visit) => list(visit) },
    { path: 'identifiers/code', get: (visit) => askCode(visit), post: (visit, answer) => takeCode(visit, answer) },
    {
      path: 'identifiers/:part',
      sensitive: true,
      get: (visit, part) => ask(visit, targetOf(visit, part)),
      post: (visit, answer, part) => begin(visit, targetOf(visit, part), answer),
    },
  ],
}

type Identifier = User['identifiers'][number]
type Kind = 'email' | 'mobile'

/** What is to be changed: the address that the page names, or none where one is added. */
interface Target {
  part: string
  kind: Kind
  known: Identifier | undefined
}

const list = (visit: AccountVisit): void => {
  const { user, words } = visit
  const kinds = change.changeable(visit)
  const trapped = unproven(visit)
  const items = user.identifiers.map((one) =>
    itemOf(one.typed, {
      badge: one.verified || one.kind === 'username' ? null : words.t('account.identifiers.unproven'),
      lines: [{ text: words.t(`field.identifier.${one.kind}`), at: null }],
      link: isChangeable(one, kinds) && (!trapped || trapped === one) ? linkTo(visit, partOf(one), one) : null,
    }),
  )
  const missing = trapped ? [] : kinds.filter((kind) => !user.identifiers.some((one) => one.kind === kind))
  const actions = missing.map((kind) => ({
    href: addressOf(visit, `identifiers/${kind}`),
    label: words.t(`account.identifiers.add_${kind}`),
  }))
  const lead = words.t(trapped ? 'account.identifiers.prove_first' : 'account.identifiers.text')
  draw(visit, 'account/list', { heading: words.t('account.identifiers.title'), lead, items, actions })
}

const linkTo = (visit: AccountVisit, part: string, { verified }: Identifier) => ({
  href: addressOf(visit, `identifiers/${part}`),
  label: visit.words.t(verified ? 'link.change' : 'account.identifiers.prove'),
})

/**
 * The address that has to be proven before anything else is changed: an account that somebody made for an address of
 * another's must not get more ways in before its owner comes (security.md A04).
 */
const unproven = ({ user }: AccountVisit): Identifier | undefined => {
  const mails = user.identifiers.filter(({ kind }) => kind === 'email')
  return mails.some(({ verified }) => verified) ? undefined : mails[0]
}

const isChangeable = ({ kind }: Identifier, kinds: readonly string[]): boolean => kinds.includes(kind)

/** An address is named by its hash: it stands in no log. */
const partOf = ({ kind, value }: Pick<Identifier, 'kind' | 'value'>): string => `${kind}-${sha256(value).slice(0, 16)}`

/** What a page is about; whatever this person does not go by is not there. Throws `not_found`. */
const targetOf = (visit: AccountVisit, part: string): Target => {
  const kinds = change.changeable(visit)
  const trapped = unproven(visit)
  const kind = kinds.find((one) => part === one || part.startsWith(`${one}-`))
  const known = visit.user.identifiers.find((one) => partOf(one) === part)
  // One of each kind is added here; more than that is for operators.
  const free = part === kind && !trapped && !visit.user.identifiers.some((one) => one.kind === kind)
  const exists = known !== undefined || free
  if (!kind || !exists || (trapped && trapped !== known)) throw new Problem('not_found')
  return { part, kind, known }
}

const ask = (visit: AccountVisit, { part, kind, known }: Target, typed?: string, error?: Word, alert?: Word): void => {
  const { words } = visit
  const locked = known && !known.verified
  const field: Field = {
    ...identifierField([kind], typed ?? (locked ? known.typed : undefined), error),
    autocomplete: kind === 'email' ? 'email' : 'tel',
    label: { key: `account.identifiers.new_${kind}` },
    ...(locked ? { readonly: true, label: { key: `field.identifier.${kind}` } } : {}),
  }
  const form = formOf(visit, { fields: [field], submit: 'method.email_code' }, { path: `identifiers/${part}`, alert })
  const facts = known && !locked ? [{ name: words.t(`field.identifier.${kind}`), value: known.typed }] : []
  const heading = words.t(known ? `account.identifiers.change_${kind}` : `account.identifiers.add_${kind}`)
  draw(visit, 'account/form', { heading, lead: words.t('account.identifiers.how'), facts, form, back: 'identifiers' })
}

const begin = async (visit: AccountVisit, target: Target, { identifier = '' }: Answer): Promise<void> => {
  const { kind, known } = target
  const typed = known && !known.verified ? known.typed : identifier
  const outcome = await change.begin(changingOf(visit), { kind, typed, from: known?.value })
  if (outcome === 'sent') return seeOther(visit, 'identifiers/code')
  if ('error' in outcome) return ask(visit, target, typed, outcome.error)
  ask(visit, target, typed, undefined, outcome.alert)
}

const askCode = async (visit: AccountVisit, alert?: Word): Promise<void> => {
  const { words, pool } = visit
  const pending = await change.findPending(changingOf(visit))
  if (!pending) return seeOther(visit, 'identifiers')
  const fields = [codeField(pool.settings.code_policy.length)]
  const form = formOf(visit, { fields, submit: 'button.continue' }, { path: 'identifiers/code', alert })
  const key = pending.kind === 'mobile' ? 'verify.sms' : 'verify'
  const lead = words.t(`${key}.text`, { address: pending.typed })
  draw(visit, 'account/form', { heading: words.t(`${key}.title`), lead, facts: [], form, back: 'identifiers' })
}

const takeCode = async (visit: AccountVisit, { code = '' }: Answer): Promise<void> => {
  const pending = await change.findPending(changingOf(visit))
  if (!pending) return over(visit, { key: 'alert.code_expired' })
  const outcome = await change.complete(changingOf(visit), pending.challenge, code)
  if (outcome === 'changed') return seeOther(visit, 'identifiers', 'changed')
  if (outcome === 'wrong') return askCode(visit, { key: 'alert.code_wrong' })
  over(visit, { key: outcome === 'taken' ? 'alert.identifier_taken' : 'alert.code_expired' })
}

/** Where there is nothing left to enter: what became of it, and the way to begin anew. */
const over = (visit: AccountVisit, alert: Word): void => {
  const { words } = visit
  const heading = words.t('account.identifiers.title')
  draw(visit, 'account/form', { heading, lead: null, facts: [], form: null, alert, back: 'identifiers' })
}

const changingOf = ({ scene, pool, user, session }: AccountVisit) => ({ scene, pool, user, session: session.stored })
