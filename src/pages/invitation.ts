import type { Context } from 'koa'
import { z } from 'zod'
import type { Work } from '../db/work.ts'
import * as acceptance from '../directory/acceptance.ts'
import { issuerOf, pathOf } from '../directory/address.ts'
import * as clients from '../directory/clients.ts'
import { readIdentifier } from '../directory/identifiers.ts'
import { poolOfToken } from '../directory/invitation-links.ts'
import * as invitations from '../directory/invitations.ts'
import type { Pool } from '../directory/pools.ts'
import {
  askedOf,
  faultsOf,
  ownSchema,
  type ProfileFault,
  type ProfileProperty,
  readProfile,
} from '../directory/profiles.ts'
import * as users from '../directory/users.ts'
import { openConnection } from '../directory/workspaces.ts'
import type { Issuer } from '../oidc/providers.ts'
import { checkCsrf } from '../platform/http/csrf.ts'
import { readForm } from '../platform/http/parse.ts'
import { Problem } from '../platform/problem.ts'
import { randomToken, sha256 } from '../platform/secrets.ts'
import type { Words } from '../platform/words.ts'
import {
  codeField,
  type Form,
  faultWord,
  identifierField,
  newPasswordField,
  profileField,
  type Word,
} from '../signin/form.ts'
import { addressKey, take } from '../signin/limits.ts'
import { refusePassword } from '../signin/passwords.ts'
import { openConnections } from '../signin/scene.ts'
import { type Desk, drawForm, formActionOf, show, wordsOf } from './page.ts'

const kept = z.object({
  browser: z.string(),
  /** The invitation whose code was entered here. */
  opened: z.object({ pool: z.string(), tokenHash: z.string() }).optional(),
})
type Kept = z.infer<typeof kept>

interface Visit {
  ctx: Context
  desk: Desk
  issuer: Issuer
  words: Words
  kept: Kept
  address: string
}

/** An invitation by its link, or by the address and the code of its mail. Looking at it uses nothing up. */
export const invitation =
  (desk: Desk) =>
  async (ctx: Context, issuer: Issuer, _work: Work, token: string | undefined): Promise<void> => {
    const base = `${pathOf(issuer.workspace)}/invitation`
    const visit: Visit = {
      ctx,
      desk,
      issuer,
      words: wordsOf(ctx, ctx.query.ui_locales, issuer.workspace),
      kept: readKept(ctx, desk),
      address: token === undefined ? base : `${base}/${token}`,
    }
    const answer = ctx.method === 'POST' ? await readAnswer(visit) : undefined
    const pool = token === undefined ? visit.kept.opened?.pool : poolOfToken(token)
    const hash = token === undefined ? visit.kept.opened?.tokenHash : sha256(token)
    const known =
      pool && hash ? await invitations.findByHash(desk.services.db, desk.services.clock.now(), pool, hash) : undefined
    const open = known?.state === 'pending' && known.workspaceId === issuer.workspace.id ? known : undefined
    if (open) return offer(visit, open, answer)
    if (token !== undefined) throw over()
    return answer ? enter(visit, answer) : drawEntry(visit, {})
  }

const over = () => new Problem('expired', { key: 'invitation_over' })

/** Who is invited, and what is still needed of them. */
interface Welcome {
  visit: Visit
  open: invitations.Invitation
  pool: Pool
  /** Where they go on from here. */
  next: string | undefined
  /** What they are known by already; what the form sends never replaces it. */
  stored: Record<string, unknown>
  asked: ProfileProperty[]
  password: boolean
}

const offer = async (
  visit: Visit,
  open: invitations.Invitation,
  answer: Record<string, string> | undefined,
): Promise<void> => {
  const welcome = await welcomeOf(visit, open)
  return answer ? accept(welcome, answer) : drawOffer(welcome, {}, {})
}

const welcomeOf = async (visit: Visit, open: invitations.Invitation): Promise<Welcome> => {
  const { services } = visit.desk
  const pool = openConnection(visit.issuer.workspace, open.poolId)?.pool
  if (!pool) throw over()
  const user = await users.findByIdentifier(services.db, pool.id, open.identifier)
  if (user?.status === 'inactive') throw over()
  const stored = { ...user?.profile, ...open.offer.profile }
  const settled = user !== undefined && acceptance.isSettled(user, open)
  const schema = ownSchema(pool.settings.user_schema)
  const missing = settled ? [] : (await faultsOf(schema, stored)).map(({ property }) => property)
  return {
    visit,
    open,
    pool,
    next: await nextOf(visit, open),
    stored,
    asked: askedOf(schema).filter(({ name }) => missing.includes(name)),
    password: !settled && pool.settings.sign_in_methods.includes('password'),
  }
}

const accept = async (welcome: Welcome, answer: Record<string, string>): Promise<void> => {
  const { visit, open, pool, stored, asked, password, next } = welcome
  const { services } = visit.desk
  const properties = Object.fromEntries(asked.map(({ name }) => [name, propertyOf(pool, name)]))
  const { profile } = await readProfile({ ...pool.settings.user_schema, properties, required: [] }, answer)
  const faults = asked.length > 0 ? await faultsOf(ownSchema(pool.settings.user_schema), { ...stored, ...profile }) : []
  const errors = errorsOf(faults)
  const secret = answer.new_password ?? ''
  const context = [open.identifier.value, ...Object.values({ ...stored, ...profile }).map(String)]
  const wanted = { password: secret, context, warned: answer.warned !== undefined }
  const weak = password ? await refusePassword(services, pool, wanted) : undefined
  if (weak) errors.new_password = weak
  if (Object.keys(errors).length > 0) return drawOffer(welcome, answer, errors)
  const passwordHash = password ? await services.passwords.hash(secret) : undefined
  const userId = await acceptance.accept(services, open, { profile, passwordHash })
  if (!userId) throw over()
  visit.ctx.cookies.set(cookieOf(visit.desk), null, { path: '/' })
  if (next) return seeOther(visit.ctx, next)
  showPage(visit, 'done', { address: open.identifier.typed })
}

const propertyOf = ({ settings }: Pool, name: string): unknown =>
  (settings.user_schema.properties as Record<string, unknown> | undefined)?.[name]

const errorsOf = (faults: ProfileFault[]): Record<string, Word> => {
  const errors: Record<string, Word> = {}
  for (const fault of faults) errors[fault.property] ??= faultWord(fault)
  return errors
}

const drawOffer = (
  { visit, open, pool, asked, password, next }: Welcome,
  typed: Record<string, string>,
  errors: Record<string, Word>,
): void => {
  const fields = [
    ...asked.map((property) => profileField(property, typed[property.name], errors[property.name])),
    ...(password ? [newPasswordField('new_password', pool, errors.new_password)] : []),
  ]
  const drawn = new Set(fields.map(({ name }) => name))
  const alert = Object.keys(errors).some((name) => !drawn.has(name)) ? { key: 'alert.answers' } : undefined
  const values = {
    service: visit.issuer.workspace.name,
    inviter: open.invitedBy.name ?? null,
    message: open.offer.message,
    address: open.identifier.typed,
  }
  drawPage(visit, 'accept', { fields, submit: 'button.accept' }, { values, alert, next })
}

/** Takes the address and the code of the mail. Whoever is not invited meets the same words. */
const enter = async (visit: Visit, answer: Record<string, string>): Promise<void> => {
  const { services } = visit.desk
  const { workspace } = visit.issuer
  const typed = answer.identifier ?? ''
  const identifier = readIdentifier(typed, ['email'])
  const now = services.clock.now()
  const counter = { kind: 'sender', scope: workspace.id, who: addressKey(visit.ctx.ip) } as const
  if (!(await take(services.db, now, [counter]))) throw new Problem('too_many_requests', { retryAfter: 3600 })
  const pools = openConnections({ workspace, client: undefined }).map(({ pool }) => pool.id)
  const found =
    identifier &&
    (await acceptance.tryCode(services.db, now, services, workspace.id, pools, identifier, answer.code ?? ''))
  if (!found) return drawEntry(visit, { typed, alert: { key: 'alert.code_wrong' } })
  keep(visit, { browser: visit.kept.browser, opened: { pool: found.poolId, tokenHash: found.tokenHash } })
  seeOther(visit.ctx, visit.address)
}

const drawEntry = (visit: Visit, { typed, alert }: { typed?: string; alert?: Word }): void => {
  const fields = [identifierField(['email'], typed), codeField(8)]
  drawPage(visit, 'code', { fields, submit: 'button.continue' }, { values: {}, alert, next: undefined })
}

interface Drawn {
  values: object
  alert: Word | undefined
  next: string | undefined
}

const drawPage = (visit: Visit, view: string, form: Form, { values, alert, next }: Drawn): void => {
  const { words, desk, address, kept: state } = visit
  keep(visit, state)
  const drawn = drawForm(form, { words, services: desk.services, action: address, boundTo: state.browser, alert })
  showPage(visit, view, { ...values, form: drawn }, formActionOf(next))
}

const showPage = ({ ctx, desk, issuer, words }: Visit, view: string, values: object, formAction: string[] = []): void =>
  show(ctx, desk, { workspace: issuer.workspace, words, secretAddress: true, formAction }, `invitation/${view}`, values)

/**
 * Where the application begins its sign-in (OpenID Connect Core 1.0 section 4), if it still takes people there: what was
 * right when the invitation was written may have changed.
 */
const nextOf = async (
  { desk, issuer }: Visit,
  { offer: { client_id, return_to }, identifier }: invitations.Invitation,
) => {
  const { db, config } = desk.services
  const client = client_id === null ? undefined : await clients.find(db, issuer.workspace.id, client_id)
  if (client?.status !== 'active') return undefined
  const target = return_to !== null && invitations.mayReturn(client, return_to) ? return_to : undefined
  const begin = client.metadata.initiate_login_uri
  if (!begin || target === begin) return target
  const url = new URL(begin)
  url.searchParams.set('iss', issuerOf(config, issuer.workspace))
  url.searchParams.set('login_hint', identifier.typed)
  if (target) url.searchParams.set('target_link_uri', target)
  return url.href
}

const readAnswer = async ({ ctx, desk, kept: state }: Visit): Promise<Record<string, string>> => {
  const { csrf, ...answer } = await readForm(ctx)
  checkCsrf(ctx, desk.services.keyring, state.browser, desk.services.config.publicUrl, csrf)
  return answer
}

const seeOther = (ctx: Context, to: string): void => {
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Referrer-Policy', 'no-referrer')
  ctx.status = 303
  ctx.redirect(to)
}

// The state is this browser's own and sealed: nothing is stored for whoever only looks.
const cookieOf = ({ services }: Desk) =>
  `${services.config.publicUrl.startsWith('https:') ? '__Host-' : ''}lido_invitation`

const readKept = (ctx: Context, desk: Desk): Kept => {
  try {
    const sealed = ctx.cookies.get(cookieOf(desk), { signed: false }) ?? ''
    return kept.parse(JSON.parse(desk.services.keyring.open(sealed, 'invitation')))
  } catch {
    return { browser: sha256(randomToken()) }
  }
}

const keep = ({ ctx, desk }: Visit, state: Kept): void => {
  const secure = desk.services.config.publicUrl.startsWith('https:')
  const sealed = desk.services.keyring.seal(JSON.stringify(state), 'invitation')
  const options = {
    httpOnly: true,
    sameSite: 'lax',
    secure,
    signed: false,
    overwrite: true,
    maxAge: 3_600_000,
  } as const
  ctx.cookies.set(cookieOf(desk), sealed, options)
}
