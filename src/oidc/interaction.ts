import type { Context } from 'koa'
import type { AttemptRow } from '../db/work.ts'
import { currentWork } from '../db/work.ts'
import type { WantedAcr } from '../directory/acr.ts'
import type { User } from '../directory/users.ts'
import { Problem } from '../platform/problem.ts'
import { sha256 } from '../platform/secrets.ts'
import { wantedAcr } from './acr.ts'
import { errors, type Provider } from './engine.ts'
import { goesOn } from './prompts.ts'
import type { Issuer } from './providers.ts'
import { claimsRequested } from './requested-claims.ts'
import { seeAccount, seenBy } from './seen.ts'

/** What the engine waits for, in the browser that it asked in. */
export interface Interaction {
  uid: string
  /** What an attempt of this interaction is stored under. */
  id: string
  prompt: { name: string; reasons: string[]; details: Record<string, unknown> }
  params: Record<string, unknown>
  clientId: string
  /** Whoever is signed in already, and has to be asked again. */
  sessionUserId: string | undefined
  /** The session that only has to be known more surely; undefined where everything is asked again. */
  stepUp: { uid: string; userId: string; acr: unknown; amr: string[] } | undefined
  /** How surely the client wants people to be known, where it said. */
  acr: WantedAcr | undefined
  grantId: string | undefined
  /** Where a device's code is asked about: what it is stored under. */
  deviceCode: string | undefined
  attempt: AttemptRow | undefined
  /** Whoever of the pool goes by the attempt's identifier. */
  found: User | undefined
  /** Where the browser goes on, once the engine was told how this ended. */
  finished: string | undefined
  expiresAt: Date
}

/** Reads the interaction that this browser's cookie belongs to. Throws `expired` where there is none. */
export const read = async ({ provider }: Issuer, ctx: Context): Promise<Interaction> => {
  const details = await provider.interactionDetails(ctx.req, ctx.res).catch(ended)
  const id = sha256(details.uid)
  const work = currentWork()
  const loaded = work ? await seenBy(work).loads.get(id) : undefined
  return {
    uid: details.uid,
    id,
    prompt: details.prompt,
    params: details.params,
    clientId: String(details.params.client_id),
    sessionUserId: details.session?.accountId,
    stepUp: stepUpOf(details),
    acr: wantedAcr(details.params),
    grantId: details.grantId,
    deviceCode: details.deviceCode,
    attempt: loaded?.attempt,
    found: loaded?.attempt ? loaded.account : undefined,
    finished: details.result ? details.returnTo : undefined,
    expiresAt: new Date(details.exp * 1000),
  }
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>

const stepUpOf = ({ prompt, session }: Details): Interaction['stepUp'] => {
  if (!session?.accountId || !session.uid || prompt.name !== 'login') return undefined
  if (prompt.reasons.some((reason) => !goesOn.has(reason))) return undefined
  const { uid, accountId: userId, acr, amr = [] } = session
  return { uid, userId, acr, amr }
}

/** The device that a person is asked about, as it was when it asked; undefined where it is over, or answered. */
export const findDevice = async (
  { provider }: Issuer,
  { deviceCode }: Interaction,
): Promise<{ ip: string; agent: string; at: Date } | undefined> => {
  const code = deviceCode === undefined ? undefined : await provider.DeviceCode.find(deviceCode)
  if (!code || code.accountId || code.error) return undefined
  const { ip = '', agent = '', at = 0 } = (code.deviceInfo ?? {}) as { ip?: string; agent?: string; at?: number }
  return { ip, agent, at: new Date(at) }
}

/** Tells the engine who signed in and how; answers where the browser goes on. */
export const finish = async (
  { provider }: Issuer,
  ctx: Context,
  { uid, prompt, sessionUserId }: Interaction,
  signedIn: {
    user: User
    amr: string[]
    acr: string
    at: Date
    said?: string | undefined
    learnt?: string | undefined
  },
): Promise<string> => {
  const work = currentWork()
  if (work) seeAccount(seenBy(work), signedIn.user)
  const ts = Math.floor(signedIn.at.getTime() / 1000)
  const login = { accountId: signedIn.user.id, amr: signedIn.amr, acr: signedIn.acr, ts, remember: true }
  const { said, learnt } = signedIn
  const kept = { ...(said === undefined ? {} : { said }), ...(learnt === undefined ? {} : { learnt }) }
  const result = { [prompt.name]: {}, login, ...kept }
  const destination = await provider.interactionResult(ctx.req, ctx.res, result)
  if (sessionUserId && sessionUserId !== signedIn.user.id) await endSession(provider, ctx, uid)
  return destination
}

/**
 * Signs out whoever was signed in here before somebody else did: nothing of theirs goes over to the next session. The
 * engine would do it by a page of its own, which goes on only with a script or a click.
 */
const endSession = async (provider: Provider, ctx: Context, uid: string): Promise<void> => {
  const session = await provider.Session.get(ctx)
  await session.destroy()
  const interaction = await provider.Interaction.find(uid)
  if (!interaction) return
  interaction.session = undefined
  await interaction.persist()
}

/** Tells the engine what the person agreed to; answers where the browser goes on. */
export const agree = async (
  { provider }: Issuer,
  ctx: Context,
  interaction: Interaction,
  scopes: string[],
): Promise<string> => {
  const known = interaction.grantId ? await provider.Grant.find(interaction.grantId) : undefined
  const accountId = interaction.sessionUserId ?? ''
  const grant = known ?? new provider.Grant({ accountId, clientId: interaction.clientId })
  if (scopes.length > 0) grant.addOIDCScope(scopes.join(' '))
  const claims = claimsRequested(interaction.params)
  if (claims.length > 0) grant.addOIDCClaims(claims)
  for (const [indicator, wanted] of Object.entries(atResources(interaction)))
    grant.addResourceScope(indicator, wanted.join(' '))
  return provider.interactionResult(
    ctx.req,
    ctx.res,
    { consent: { grantId: await grant.save() } },
    { mergeWithLastSubmission: true },
  )
}

/** The scopes at resources that a person is asked for, by the resources' identifiers. */
export const atResources = ({ prompt }: Pick<Interaction, 'prompt'>): Record<string, string[]> =>
  (prompt.details.missingResourceScopes ?? {}) as Record<string, string[]>

/** Ends the interaction without a sign-in (RFC 6749 section 4.1.2.1); answers where the browser goes on. */
export const refuse = (
  { provider }: Issuer,
  ctx: Context,
  error: 'access_denied' | 'unmet_authentication_requirements',
  description: string,
): Promise<string> =>
  provider.interactionResult(
    ctx.req,
    ctx.res,
    { error, error_description: description },
    { mergeWithLastSubmission: false },
  )

const ended = (error: unknown): never => {
  if (error instanceof errors.SessionNotFound) throw new Problem('expired', { cause: error })
  throw error
}
