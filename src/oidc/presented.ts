import { createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../platform/clock.ts'
import type { KoaContextWithOIDC } from './engine.ts'
import type { Bound } from './proofs.ts'
import { publicSet, type SigningKeys } from './signing-keys.ts'

/** An access token of this workspace that somebody shows for another one. */
export interface Presented extends Bound {
  /** The person that it is for; undefined where it is a client's own. */
  accountId: string | undefined
  clientId: string
  scopes: ReadonlySet<string>
  audience: string | undefined
  /** When it ends, in seconds. */
  expiresAt: number
  /** What it tells of its person and of whoever acts for them. */
  told: Record<string, unknown>
  /** What it hangs on, where the database knows it. */
  kept: { grantId?: string; sessionUid?: string; expiresWithSession?: boolean; sid?: string } | undefined
}

/** Reads an access token, opaque or a JWT (RFC 9068); undefined for all that is not a living one of this workspace. */
export const readPresented = (
  ctx: KoaContextWithOIDC,
  { keys, clock }: { keys: SigningKeys; clock: Clock },
  value: string,
): Promise<Presented | undefined> =>
  value.includes('.') ? readJwt(ctx.oidc.provider.issuer, keys, clock, value) : readOpaque(ctx, value)

const readOpaque = async (
  { oidc: { provider } }: KoaContextWithOIDC,
  value: string,
): Promise<Presented | undefined> => {
  const token = (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value))
  if (!token?.isValid || !token.clientId) return undefined
  const { accountId, grantId, sessionUid, expiresWithSession, sid } = token as Partial<Granted>
  if (token.kind === 'AccessToken' && !(await isGranted(provider, { accountId, grantId, clientId: token.clientId })))
    return undefined
  return {
    accountId,
    clientId: token.clientId,
    scopes: new Set(token.scope?.split(' ').filter(Boolean)),
    audience: [token.aud ?? []].flat()[0],
    expiresAt: token.exp ?? 0,
    told: (token.extra ?? {}) as Record<string, unknown>,
    kept: { grantId, sessionUid, expiresWithSession, sid },
    jkt: token.jkt,
    'x5t#S256': token['x5t#S256'],
  }
}

interface Granted {
  accountId: string
  grantId: string
  clientId: string
  sessionUid: string
  expiresWithSession: boolean
  sid: string
}

const isGranted = async (
  { Grant }: KoaContextWithOIDC['oidc']['provider'],
  { accountId, grantId, clientId }: Partial<Granted>,
): Promise<boolean> => {
  const grant = grantId === undefined ? undefined : await Grant.find(grantId)
  return grant !== undefined && grant.accountId === accountId && grant.clientId === clientId
}

const readJwt = async (
  issuer: string,
  keys: SigningKeys,
  clock: Clock,
  value: string,
): Promise<Presented | undefined> => {
  const verified = await jwtVerify(value, createLocalJWKSet(publicSet(keys)), {
    issuer,
    typ: 'at+jwt',
    algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    requiredClaims: ['sub', 'aud', 'exp', 'client_id'],
    currentDate: clock.now(),
  }).catch(() => undefined)
  return verified && presentedFrom(verified.payload)
}

const presentedFrom = (payload: JWTPayload): Presented | undefined => {
  const { sub, client_id: clientId, scope, aud, exp = 0 } = payload
  if (typeof clientId !== 'string') return undefined
  const { jkt, 'x5t#S256': x5t } = (payload.cnf ?? {}) as Bound
  return {
    accountId: sub === clientId ? undefined : sub,
    clientId,
    scopes: new Set(typeof scope === 'string' ? scope.split(' ').filter(Boolean) : []),
    audience: [aud ?? []].flat()[0],
    expiresAt: exp,
    told: payload,
    kept: undefined,
    jkt,
    'x5t#S256': x5t,
  }
}
