import { takeWork } from '../db/work.ts'
import { pathOf } from '../directory/address.ts'
import * as audit from '../directory/audit.ts'
import { deviceGrant } from '../directory/client-metadata.ts'
import * as consents from '../directory/consents.ts'
import { keepDocument } from '../directory/registrations.ts'
import * as users from '../directory/users.ts'
import { shownOf } from '../oidc/consent.ts'
import * as interaction from '../oidc/interaction.ts'
import { claimsBeside } from '../oidc/requested-claims.ts'
import { Problem } from '../platform/problem.ts'
import { deviceName } from '../signin/device-name.ts'
import { timeOf } from './account/visit.ts'
import { detailsIn } from './details.ts'
import { drawForm, formActionOf, show } from './page.ts'
import { claimLabel, scopeDetail, scopeLabel } from './scopes.ts'
import { unknownOf } from './unknown-client.ts'
import type { Visit } from './visit.ts'

/** Asks a person what a client may know, and tells the engine what they said. */
export const consent = async (visit: Visit, answer: Record<string, string> | undefined): Promise<void> => {
  const user = await users.findById(visit.scene.services.db, visit.asked.sessionUserId ?? '')
  if (!user) throw new Problem('expired')
  const device = await interaction.findDevice(visit.issuer, visit.asked)
  // Somebody else has answered, or nobody in time.
  if (visit.asked.deviceCode !== undefined && !device) throw new Problem('expired')
  return answer ? decide(visit, user, answer) : ask(visit, user, device)
}

const ask = (visit: Visit, user: users.User, device: Device | undefined): void => {
  const { ctx, desk, words, scene, asked } = visit
  const metadata = scene.client?.metadata
  const unknown = unknownOf(scene.client, asked.params.redirect_uri)
  const client = {
    name: metadata?.client_name ?? '',
    // A picture would say whatever its owner wants it to.
    logo: unknown ? null : (metadata?.logo_uri ?? null),
    uri: metadata?.client_uri ?? null,
    policy_uri: metadata?.policy_uri ?? null,
    tos_uri: metadata?.tos_uri ?? null,
  }
  const identifiers = [asked.params.resource ?? []].flat()
  const named = visit.issuer.resources.filter(({ identifier }) => identifiers.includes(identifier))
  const scopes = wanted(visit).map((name) => ({
    name,
    label: scopeLabel(words, name, named),
    description: scopeDetail(words, name, named),
  }))
  const claims = wantedClaims(visit).map((name) => claimLabel(words, name))
  const details = detailsIn(asked.params.authorization_details, words, named)
  const { services } = desk
  const action = `${pathOf(scene.workspace)}/signin/${asked.uid}`
  const form = drawForm({ fields: [], submit: 'button.allow' }, { words, services, action, boundTo: asked.uid })
  const showing = { workspace: scene.workspace, words, formAction: formActionOf(asked.params.redirect_uri) }
  const values = { client, unknown, account: user.identifiers[0]?.typed ?? '', scopes, claims, details, form }
  if (!device) {
    show(ctx, desk, showing, 'signin/consent', values)
    return
  }
  const name = deviceName(device.agent, words, 'device.unknown')
  const { ip, at } = device
  const told = { name, ip, at: at.toISOString(), time: timeOf({ words }, at) }
  show(ctx, desk, showing, 'device/confirm', { ...values, device: told })
}

type Device = NonNullable<Awaited<ReturnType<typeof interaction.findDevice>>>

const decide = async (visit: Visit, user: users.User, { decision }: Record<string, string>): Promise<void> => {
  const { ctx, issuer, asked, scene } = visit
  const { services, workspace, work } = scene
  const scopes = wanted(visit)
  const claims = wantedClaims(visit)
  const about = { workspaceId: workspace.id, poolId: user.poolId, userId: user.id, clientId: asked.clientId }
  const type = decision === 'allow' ? 'consent.given' : 'consent.denied'
  const data = {
    scopes,
    ...(claims.length > 0 ? { claims } : {}),
    ...(asked.deviceCode === undefined ? {} : { grant_type: deviceGrant }),
  }
  work.events.push(audit.event(services.clock.now(), about, { type, data }))
  const to =
    decision === 'allow'
      ? await agree(visit, user, scopes, claims)
      : await interaction.refuse(issuer, ctx, 'access_denied', 'the person denied the request')
  await services.hot.commit(takeWork(work))
  ctx.set('Cache-Control', 'no-store')
  ctx.status = 303
  ctx.redirect(to)
}

const agree = async (
  { ctx, issuer, asked, scene }: Visit,
  user: users.User,
  scopes: string[],
  claims: string[],
): Promise<string> => {
  const about = { clientId: asked.clientId, userId: user.id, poolId: user.poolId }
  // The operator agreed for the workspace's own clients: there is nothing to take back later.
  const { client, services, workspace } = scene
  if (client?.registeredBy === 'document') await keepDocument(services.db, services.clock.now(), workspace.id, client)
  if (client && !client.metadata.first_party) {
    const shown = shownOf(client.metadata.client_name, client.metadata.redirect_uris)
    const agreed = { scopes, claims, resources: interaction.atResources(asked) }
    await consents.add(services.db, services.clock.now(), { workspaceId: workspace.id, ...about }, agreed, shown)
  }
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

/** What is asked for claim by claim, besides what those scopes carry. */
const wantedClaims = (visit: Visit): string[] => claimsBeside(visit.scene.workspace, visit.asked.params, wanted(visit))
