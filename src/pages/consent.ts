import { takeWork } from '../db/work.ts'
import * as audit from '../directory/audit.ts'
import * as users from '../directory/users.ts'
import { remember } from '../oidc/consent.ts'
import * as interaction from '../oidc/interaction.ts'
import { Problem } from '../platform/problem.ts'
import { drawForm, formActionOf, show } from './page.ts'
import { scopeDetail, scopeLabel } from './scopes.ts'
import type { Visit } from './visit.ts'

/** Asks a person what a client may know, and tells the engine what they said. */
export const consent = async (visit: Visit, answer: Record<string, string> | undefined): Promise<void> => {
  const user = await users.findById(visit.scene.services.db, visit.asked.sessionUserId ?? '')
  if (!user) throw new Problem('expired')
  return answer ? decide(visit, user, answer) : ask(visit, user)
}

const ask = (visit: Visit, user: users.User): void => {
  const { ctx, desk, words, scene, asked } = visit
  const metadata = scene.client?.metadata
  const client = {
    name: metadata?.client_name ?? '',
    logo: metadata?.logo_uri ?? null,
    uri: metadata?.client_uri ?? null,
    policy_uri: metadata?.policy_uri ?? null,
    tos_uri: metadata?.tos_uri ?? null,
  }
  const scopes = wanted(visit).map((name) => ({
    name,
    label: scopeLabel(words, name),
    description: scopeDetail(words, name),
  }))
  const { services } = desk
  const action = `/w/${scene.workspace.slug}/signin/${asked.uid}`
  const form = drawForm({ fields: [], submit: 'button.allow' }, { words, services, action, boundTo: asked.uid })
  const showing = { workspace: scene.workspace, words, formAction: formActionOf(asked.params.redirect_uri) }
  show(ctx, desk, showing, 'signin/consent', { client, account: user.identifiers[0]?.typed ?? '', scopes, form })
}

const decide = async (visit: Visit, user: users.User, { decision }: Record<string, string>): Promise<void> => {
  const { ctx, issuer, asked, scene } = visit
  const { services, workspace, work } = scene
  const scopes = wanted(visit)
  const about = { workspaceId: workspace.id, poolId: user.poolId, userId: user.id, clientId: asked.clientId }
  const type = decision === 'allow' ? 'consent.given' : 'consent.denied'
  work.events.push(audit.event(services.clock.now(), about, { type, data: { scopes } }))
  const to =
    decision === 'allow'
      ? await agree(visit, user, scopes)
      : await interaction.refuse(issuer, ctx, 'access_denied', 'the person denied the request')
  await services.hot.commit(takeWork(work))
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}

const agree = async ({ ctx, issuer, asked, scene }: Visit, user: users.User, scopes: string[]): Promise<string> => {
  const about = { clientId: asked.clientId, userId: user.id, poolId: user.poolId }
  await remember(scene.services, scene.workspace, about, scopes)
  return interaction.agree(issuer, ctx, asked, scopes)
}

/** All that was asked for: what is agreed to is remembered whole. */
const wanted = ({ asked }: Visit): string[] => [
  ...new Set(
    String(asked.params.scope ?? '')
      .split(' ')
      .filter(Boolean),
  ),
]
