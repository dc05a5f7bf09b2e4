import type { Context } from 'koa'
import { pathOf } from '../../directory/address.ts'
import type { Pool } from '../../directory/pools.ts'
import type { User } from '../../directory/users.ts'
import type { AccountSession } from '../../oidc/account-session.ts'
import type { Issuer } from '../../oidc/providers.ts'
import type { Form as DrawnForm } from '../../platform/http/render.ts'
import type { Words } from '../../platform/words.ts'
import type { Form, Word } from '../../signin/form.ts'
import type { Scene } from '../../signin/scene.ts'
import { type Desk, drawForm, show } from '../page.ts'

/** Somebody at their own account, in a browser that is signed in. */
export interface AccountVisit {
  ctx: Context
  desk: Desk
  issuer: Issuer
  words: Words
  scene: Scene
  pool: Pool
  user: User
  session: AccountSession
  at: Date
}

export type Answer = Record<string, string>

/** One page of the account. A new one is an entry of a section and that section a line in sections.ts. */
export interface AccountPage {
  /** Below /account; a part that begins with `:` is anything, and is handed to the page. */
  path: string
  /** Shown and answered only soon after a proof at the account's strongest level (security.md 48, 55). */
  sensitive?: true
  /** There also where people do not look after their own account. */
  always?: true
  get(visit: AccountVisit, part: string): Promise<void> | void
  post?(visit: AccountVisit, answer: Answer, part: string): Promise<void>
}

/** What a section is on the first page. */
export interface AccountSection {
  name: string
  /** Whether this person has it at all; everybody where it does not say. */
  offered?(visit: AccountVisit): boolean
  pages: AccountPage[]
}

/** What forms of this visit are bound to. */
export const boundTo = ({ session }: Pick<AccountVisit, 'session'>): string => `account ${session.stored}`

export const addressOf = ({ issuer }: Pick<AccountVisit, 'issuer'>, path = ''): string =>
  `${pathOf(issuer.workspace)}/account${path === '' ? '' : `/${path}`}`

/** By whom, for the events of what a person does for themselves. */
export const byOf = ({ user }: AccountVisit) => ({ kind: 'person', id: user.id }) as const

export const aboutOf = ({ issuer, user }: AccountVisit) => ({
  workspaceId: issuer.workspace.id,
  poolId: user.poolId,
  userId: user.id,
})

/** What was done, as the page says that it leads to. */
const done = {
  saved: 'notice.account_saved',
  password: 'notice.account_password',
  added: 'notice.account_added',
  removed: 'notice.account_removed',
  renamed: 'notice.account_renamed',
  ended: 'notice.account_ended',
  revoked: 'notice.account_revoked',
  changed: 'notice.account_changed',
  allowed: 'notice.account_allowed',
  refused: 'notice.account_refused',
} as const

/** Leads on after a form, to a page that says what was done. 303 and nothing else (RFC 9700 section 4.12). */
export const seeOther = (visit: AccountVisit, path: string, what?: keyof typeof done): void => {
  const { ctx } = visit
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(`${addressOf(visit, path)}${what ? `?done=${what}` : ''}`)
}

interface More {
  path: string
  alert?: Word | undefined
  hidden?: DrawnForm['hidden']
  buttons?: DrawnForm['buttons']
}

/** A form of this visit, as the views draw it. */
export const formOf = (visit: AccountVisit, form: Form, { path, alert, hidden = [], buttons }: More): DrawnForm =>
  drawForm(form, {
    words: visit.words,
    services: visit.desk.services,
    action: addressOf(visit, path),
    boundTo: boundTo(visit),
    alert,
    hidden,
    ...(buttons ? { buttons } : {}),
  })

/** A form that is one button, with what it sends. */
export const buttonOf = (
  visit: AccountVisit,
  path: string,
  submit: string,
  values: Record<string, string>,
): DrawnForm =>
  formOf(
    visit,
    { fields: [], submit },
    { path, hidden: Object.entries(values).map(([name, value]) => ({ name, value })) },
  )

type View = 'account/overview' | 'account/list' | 'account/form' | 'signin/enrol' | 'signin/recovery-codes'

/** Draws a page of the account. Without `back` the way leads to the first page. */
export const draw = (
  visit: AccountVisit,
  view: View,
  { back = '', ...values }: { back?: string; [value: string]: unknown },
): void => {
  const { ctx, desk, words, issuer } = visit
  const asked = String(ctx.query.done ?? '')
  const notice = Object.hasOwn(done, asked) && ctx.method === 'GET' ? Reflect.get(done, asked) : null
  const all = { notice, alert: null, back: addressOf(visit, back), ...values }
  show(ctx, desk, { workspace: issuer.workspace, words, renews: values.passkeys === true }, view, all)
}

/** One line of a list: what it is, what is known of it, and what can be done with it. */
export interface Item {
  title: string
  /** Set apart beside the title: that it is this one, or that it is not proven. */
  badge: string | null
  lines: { text: string; at: string | null }[]
  link: { href: string; label: string } | null
  form: DrawnForm | null
}

export const itemOf = (title: string, more: Partial<Item> = {}): Item => ({
  title,
  badge: null,
  lines: [],
  link: null,
  form: null,
  ...more,
})

/** A time as people read it, in their language; in UTC, for where they are is not known. */
export const timeOf = ({ words }: Pick<AccountVisit, 'words'>, at: Date): string => {
  const format = new Intl.DateTimeFormat(words.lang, { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return `${format.format(at)} UTC`
}
