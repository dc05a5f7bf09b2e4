import type { Context } from 'koa'
import { brandOf } from '../directory/outbox.ts'
import type { Workspace } from '../directory/workspaces.ts'
import { csrfToken } from '../platform/http/csrf.ts'
import { setPageHeaders } from '../platform/http/headers.ts'
import type { Form as DrawnForm } from '../platform/http/render.ts'
import { chooseLanguage, type Words, wordsFor } from '../platform/words.ts'
import type { Services } from '../services.ts'
import { type Field, type Form, spokenField, type Word } from '../signin/form.ts'

export type Render = (view: string, values: object) => string

/** What every page of a workspace is drawn with. */
export interface Desk {
  services: Services
  render: Render
}

interface Showing {
  workspace: Workspace
  words: Words
  /** Origins that forms of the page lead to in the end. */
  formAction?: readonly string[]
  secretAddress?: boolean
  /** Whether a script of the page asks for it anew. */
  renews?: boolean
}

/** Draws a view as the answer, in the workspace's looks and with the headers that every page has. */
export const show = (
  ctx: Context,
  { render }: Desk,
  { workspace, words, formAction, secretAddress, renews }: Showing,
  view: string,
  values: object,
): void => {
  const nonce = setPageHeaders(ctx, {
    ...(formAction ? { formAction } : {}),
    ...(secretAddress ? { secretAddress } : {}),
    ...(renews ? { renews } : {}),
  })
  ctx.set('Content-Language', words.lang)
  ctx.type = 'html'
  ctx.body = render(view, { ...values, words, brand: brandOf(workspace), nonce })
}

/** The language of a page: what the client asked for, else what the browser prefers, else what the workspace speaks. */
export const wordsOf = (ctx: Context, uiLocales?: unknown, workspace?: Workspace): Words =>
  wordsFor(
    chooseLanguage({
      acceptLanguage: ctx.get('Accept-Language'),
      ...(workspace ? { otherwise: workspace.settings.default_language } : {}),
      ...(typeof uiLocales === 'string' ? { uiLocales } : {}),
    }),
  )

interface Drawing {
  words: Words
  services: Services
  action: string
  boundTo: string
  notice?: Word | undefined
  alert?: Word | undefined
  hidden?: DrawnForm['hidden']
  buttons?: { name: string; value: string; label: string }[]
}

/** A form as the views draw it: its words looked up, its token made. */
export const drawForm = (
  { fields, submit }: Form,
  { words, services, action, boundTo, notice, alert, hidden = [], buttons }: Drawing,
): DrawnForm => ({
  action,
  csrf: csrfToken(services.keyring, boundTo),
  hidden: fields.some(isWarning) ? [...hidden, { name: 'warned', value: 'yes' }] : hidden,
  fields: fields.map((field) => spokenField(field, words)),
  submit,
  ...(buttons ? { buttons } : {}),
  ...(notice ? { notice: notice.key } : {}),
  ...(alert ? { alert } : {}),
})

/** What was warned of once is taken when it is sent again. */
const isWarning = ({ error }: Field): boolean => error?.key === 'warning.password_breached'

/** Where a redirect leads, as a source of `form-action` (CSP3): browsers check it on every redirect after a form. */
export const formActionOf = (uri: unknown): string[] => {
  if (typeof uri !== 'string' || !URL.canParse(uri)) return []
  const { origin, protocol } = new URL(uri)
  return [origin === 'null' ? protocol : origin]
}
