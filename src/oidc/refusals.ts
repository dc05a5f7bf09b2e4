import type { Context } from 'koa'
import { currentWork } from '../db/work.ts'
import { deviceGrant, grantTypes } from '../directory/client-metadata.ts'
import type { Check, Refused } from '../directory/traces.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'
import { reasonFrom, valuesIn } from './reasons.ts'
import { seenBy } from './seen.ts'

/** What the engine says of its own errors. */
interface EngineError {
  error?: string
  error_description?: string
  error_detail?: string
  expose?: boolean
  cause?: unknown
}

/** Leaves the reason of every refusal of the engine in `ctx.state.refused`, for whoever keeps it. */
export const noteRefusals = (provider: Provider): void => {
  const note = (checksOf: (ctx: KoaContextWithOIDC, error: EngineError) => Check[]) => (ctx: object, error: object) =>
    noteRefusal(ctx as KoaContextWithOIDC, error as EngineError, checksOf)
  const listeners: Record<string, (ctx: object, error: object) => void> = {
    'authorization.error': note(authorizationChecks),
    'grant.error': note(tokenChecks),
    'end_session.error': note(() => []),
    'end_session_confirm.error': note(() => []),
    'end_session_success.error': note(() => []),
    'userinfo.error': note(() => []),
    'pushed_authorization_request.error': note(authorizationChecks),
    'introspection.error': note(tokenChecks),
    'revocation.error': note(tokenChecks),
    'device_authorization.error': note(() => []),
    'backchannel_authentication.error': note(() => []),
    'code_verification.error': note(() => []),
    'device_resume.error': note(() => []),
    server_error: note(() => []),
  }
  for (const [name, listener] of Object.entries(listeners)) provider.on(name as 'server_error', listener as never)
}

/** A refusal by settle.ts, which the engine knows nothing of. */
export const noteLost = (ctx: Context): void => {
  const reason = 'somebody else was first with this code or token'
  const { client } = (ctx as KoaContextWithOIDC).oidc
  const refused = { code: 'invalid_grant', reason, clientId: client?.clientId }
  ctx.state.refused = { ...refused, ...knownOf(ctx as KoaContextWithOIDC) } satisfies Refused
}

/** A code that a person typed for a device and that is not taken: the engine tells nobody but the page. */
export const noteUserCode = (ctx: KoaContextWithOIDC, { name }: Error): void => {
  const told = userCodes[name]
  if (told) ctx.state.refused = { ...told, ...knownOf(ctx) } satisfies Refused
}

const userCodes: Record<string, Pick<Refused, 'code' | 'reason' | 'passing'>> = {
  NoCodeError: { code: 'invalid_request', reason: 'no code was typed', passing: true },
  NotFoundError: { code: 'invalid_user_code', reason: 'no device shows this code, or too many were tried' },
  ExpiredError: { code: 'expired_token', reason: 'the code of the device is over' },
  AlreadyUsedError: { code: 'invalid_user_code', reason: 'the code of the device was used already' },
  AbortedError: { code: 'access_denied', reason: 'the person stopped', passing: true },
}

// What has to wait, or be asked once more, is no refusal.
const waits = new Set(['authorization_pending', 'slow_down', 'use_dpop_nonce'])

// What clients ask in passing, and what a person said: that is an answer, too.
const answers = new Set([
  'login_required',
  'consent_required',
  'interaction_required',
  'account_selection_required',
  'access_denied',
])

const noteRefusal = (
  ctx: KoaContextWithOIDC,
  error: EngineError,
  checksOf: (ctx: KoaContextWithOIDC, error: EngineError) => Check[],
): void => {
  const code = error.expose ? (error.error ?? 'invalid_request') : 'server_error'
  if (waits.has(code)) return
  const refused: Refused = {
    code,
    reason: reasonOf(ctx, error),
    ...knownOf(ctx),
    passing: answers.has(code),
    checks: ctx.oidc ? checksOf(ctx, error) : [],
  }
  ctx.state.refused = refused
}

/** Which client and whom a refusal is about, as far as the engine has found that out. */
const knownOf = (ctx: KoaContextWithOIDC): Pick<Refused, 'clientId' | 'person' | 'grantType'> => {
  if (!ctx.oidc) return {}
  const { client, entities, params } = ctx.oidc
  const { Account, AccessToken, RefreshToken, AuthorizationCode } = entities
  const token = AccessToken ?? RefreshToken ?? AuthorizationCode
  const userId = Account?.accountId ?? token?.accountId
  const work = currentWork()
  const poolId = work && userId !== undefined ? seenBy(work).accounts.get(userId)?.poolId : undefined
  return {
    clientId: client?.clientId ?? token?.clientId,
    person: userId === undefined || poolId === undefined ? undefined : { userId, poolId },
    grantType: ctx.oidc.route === 'token' ? grantTypeIn(params) : undefined,
  }
}

const grantTypeIn = (params: { grant_type?: unknown } | undefined): string | undefined =>
  grantTypes.options.find((known) => known === params?.grant_type)

const reasonOf = (ctx: KoaContextWithOIDC, { expose, error_description, error_detail, cause }: EngineError) => {
  if (!expose) return 'the program failed; its log says how, in a line with this trace'
  // What cannot be read is quoted by whoever could not read it.
  const detail = cause instanceof SyntaxError ? 'it cannot be read' : error_detail
  const told = [error_description, detail].filter((text) => typeof text === 'string')
  return reasonFrom([...new Set(told)].join(': '), sentIn(ctx))
}

/** Everything that the request said in its own words; the engine quotes some of it. */
const sentIn = (ctx: KoaContextWithOIDC): string[] => {
  const fields = [ctx.oidc?.params ?? {}, ctx.oidc?.body ?? {}, ctx.query].flatMap((one) => Object.entries(one))
  return [ctx.get('Origin'), ...valuesIn(fields.flatMap(([name, value]) => (speaking.has(name) ? [] : [value])))]
}

// Parameters with values from a list that everybody knows.
const speaking = new Set(['grant_type', 'response_type', 'response_mode', 'code_challenge_method', 'prompt'])

const check = (name: string, ok: boolean, detail: string | null = null): Check => ({ name, ok, detail })

const authorizationChecks = ({ oidc }: KoaContextWithOIDC, { error }: EngineError): Check[] => {
  const { client, params = {} } = oidc
  if (!client) return [check('client', false, 'no active client of this workspace has this client_id')]
  const allowed: readonly string[] = client.responseTypes ?? []
  const typed = allowed.includes(String(params.response_type))
  const method = params.code_challenge_method
  const challenged = typeof params.code_challenge === 'string' && params.code_challenge !== ''
  const pkce = challenged ? `code_challenge_method ${method === 'S256' ? 'S256' : 'is not S256'}` : 'no code_challenge'
  return [
    check('client', true),
    redirectCheck(client, params.redirect_uri),
    check('response_type', typed, typed ? null : 'the client may not ask for it'),
    check('pkce', challenged ? method === 'S256' : client.require_pkce === false, pkce),
    ...(error === 'invalid_scope' ? [check('scope', false, 'the client may not ask for one of the scopes')] : []),
    ...(error === 'invalid_target' ? [check('resource', false, 'the client may not ask for this resource')] : []),
  ]
}

type Client = NonNullable<KoaContextWithOIDC['oidc']['client']>

const redirectCheck = (client: Client, sent: unknown): Check => {
  const registered = `${client.redirectUris?.length ?? 0} registered`
  if (typeof sent !== 'string') return check('redirect_uri', false, `none sent; ${registered}`)
  return check('redirect_uri', client.redirectUriAllowed(sent), `sent ${addressOf(sent)}; ${registered}`)
}

/** An address without what may be secret in it: whoever it names, its query and its fragment. */
const addressOf = (uri: string): string => {
  if (!URL.canParse(uri)) return '(not an address)'
  const { protocol, host, pathname, search, hash } = new URL(uri)
  return `${protocol}//${host}${pathname}`.slice(0, 200) + (search || hash ? '?…' : '')
}

const sources: Record<string, string> = {
  authorization_code: 'code',
  refresh_token: 'refresh_token',
  password: 'password',
  [deviceGrant]: 'device_code',
}

const tokenChecks = ({ oidc }: KoaContextWithOIDC, { error, error_detail }: EngineError): Check[] => {
  const { client, params = {} } = oidc
  const authenticated = client !== undefined && error !== 'invalid_client'
  const known = client
    ? 'the credentials do not fit the client'
    : 'no active client of this workspace has this client_id'
  if (!authenticated) return [check('client', false, known)]
  const granted = client.grantTypeAllowed(String(params.grant_type))
  const type = check('grant_type', granted, granted ? String(params.grant_type) : 'the client may not use this grant')
  const source = granted ? sources[String(params.grant_type)] : undefined
  const fails = error === 'invalid_grant' && source !== undefined
  return [check('client', true), type, ...(fails ? [check(source, false, error_detail ?? null)] : [])]
}
