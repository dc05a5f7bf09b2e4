import type { Context } from 'koa'
import type { Work } from '../../db/work.ts'
import * as users from '../../directory/users.ts'
import { openConnection } from '../../directory/workspaces.ts'
import { type AccountSession, findSession } from '../../oidc/account-session.ts'
import type { Issuer } from '../../oidc/providers.ts'
import { checkCsrf } from '../../platform/http/csrf.ts'
import { readForm } from '../../platform/http/parse.ts'
import { Problem } from '../../platform/problem.ts'
import { cookiesOf } from '../cookies.ts'
import { type Desk, show, wordsOf } from '../page.ts'
import { askForProof, askToSignIn, comeBack, isFresh } from './proof.ts'
import { findPage } from './sections.ts'
import { type AccountVisit, boundTo } from './visit.ts'

/** The account of whoever is signed in. `path` is what follows /account; the page it names is found in the sections. */
export const account =
  (desk: Desk) =>
  async (ctx: Context, issuer: Issuer, work: Work, path: string): Promise<void> => {
    if (path === '/callback' && ctx.method === 'GET') return comeBack(ctx, desk, issuer)
    if (path === '/deleted' && ctx.method === 'GET') return gone(ctx, desk, issuer)
    const found = findPage(path.slice(1))
    if (!found) throw new Problem('not_found')
    const visit = await visitOf(desk, ctx, issuer, work)
    if (!visit) return askToSignIn(ctx, desk, issuer, wordsOf(ctx, ctx.query.ui_locales, issuer.workspace), path)
    if (!found.page.always && !visit.pool.settings.account_self_service)
      throw new Problem('forbidden', { key: 'account_closed' })
    const { page, part } = found
    if (ctx.method === 'POST' && !page.post) throw methodNotAllowed(ctx)
    const answer = ctx.method === 'POST' ? await readAnswer(visit) : undefined
    if (page.sensitive && !isFresh(visit)) return askForProof(visit, path)
    if (answer) await page.post?.(visit, answer, part)
    else await page.get(visit, part)
  }

/** Who is signed in in this browser, as they are now; undefined where nobody is, or nobody who may be here any more. */
const visitOf = async (desk: Desk, ctx: Context, issuer: Issuer, work: Work): Promise<AccountVisit | undefined> => {
  const session = await findSession(issuer, ctx)
  const user = session && (await findUser(desk, session))
  const pool = user && openConnection(issuer.workspace, user.poolId)?.pool
  if (!session || !user || !pool) return undefined
  const { services } = desk
  const words = wordsOf(ctx, ctx.query.ui_locales, issuer.workspace)
  const around = { services, workspace: issuer.workspace, client: undefined, lang: words.lang, ip: ctx.ip, work }
  const scene = { ...around, cookies: cookiesOf(ctx, services), agent: ctx.get('User-Agent') }
  return { ctx, desk, issuer, words, scene, pool, user, session, at: services.clock.now() }
}

const findUser = async ({ services }: Desk, { userId }: AccountSession): Promise<users.User | undefined> => {
  const user = await users.findById(services.db, userId)
  return user?.status === 'active' ? user : undefined
}

/** The last page of whoever has none any more: it tells nothing of anybody. */
const gone = (ctx: Context, desk: Desk, { workspace }: Issuer): void =>
  show(ctx, desk, { workspace, words: wordsOf(ctx, ctx.query.ui_locales, workspace) }, 'account/gone', {})

const readAnswer = async (visit: AccountVisit): Promise<Record<string, string>> => {
  const { ctx, desk } = visit
  const { csrf, ...answer } = await readForm(ctx)
  checkCsrf(ctx, desk.services.keyring, boundTo(visit), desk.services.config.publicUrl, csrf)
  return answer
}

const methodNotAllowed = (ctx: Context): Problem => {
  ctx.set('Allow', 'GET')
  return new Problem('method_not_allowed')
}
