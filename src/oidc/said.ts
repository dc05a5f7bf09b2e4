import { z } from 'zod'
import { reservedClaims } from '../directory/connections.ts'
import type { Keyring } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import type { KoaContextWithOIDC, Provider } from './engine.ts'

/**
 * What an operator's script or application said of a sign-in, beside what is known of the person. It stays with the grant,
 * sealed, so that every token of that sign-in tells it and nothing else does.
 */
const added = Symbol('added claims')

type Grant = InstanceType<Provider['Grant']> & { said?: string | undefined }

/** Seals claims for the grant of one person; also where there are none: it tells that the operator was asked. */
export const sealSaid = (keyring: Keyring, userId: string, claims: Record<string, unknown>, at: Date): string =>
  keyring.seal(JSON.stringify({ claims, at: at.getTime() }), contextOf(userId))

const told = z.object({ claims: z.record(z.string(), z.unknown()), at: z.number() })

/** The claims of a grant; none once they were kept for so many seconds, where they are not kept as long as it lasts. */
export const saidIn = (
  { keyring, clock }: Pick<Services, 'keyring' | 'clock'>,
  userId: string,
  grant: unknown,
  seconds: number | null,
): Record<string, unknown> => {
  const { said } = (grant ?? {}) as Grant
  if (said === undefined) return {}
  const { claims, at } = told.parse(JSON.parse(keyring.open(said, contextOf(userId))))
  const isOver = seconds !== null && clock.now().getTime() >= at + seconds * 1000
  return isOver ? {} : ours(claims)
}

const ours = (claims: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => !reservedClaims.has(name)))

/** Claims that no scope has to ask for. */
export const marked = (claims: Record<string, unknown>): Record<symbol, unknown> => ({ [added]: ours(claims) })

/** Claims that an ID token tells, although the engine leaves them to userinfo. */
const ofIdToken = Symbol('claims of ID tokens')

export const inIdToken = (claims: Record<string, unknown>): Record<symbol, unknown> => ({ [ofIdToken]: claims })

/** Keeps with a grant what was said at the sign-in that the engine goes on from. */
export const keepSaid = async ({ oidc }: KoaContextWithOIDC, grant: Grant): Promise<Grant> => {
  const { login, said } = (oidc.result ?? {}) as { login?: unknown; said?: string }
  if (!login || grant.said === said) return grant
  grant.said = said
  await grant.save()
  return grant
}

/** Whether the operator was asked about whoever has this grant. */
export const wasAsked = (grant: unknown): boolean => (grant as Grant | undefined)?.said !== undefined

/** Lets grants hold what was said, and ID tokens and userinfo tell it, with what else they tell by our word. */
export const tellSaid = (provider: Provider): void => {
  const { Grant, Claims } = provider as unknown as {
    Grant: { IN_PAYLOAD: string[] }
    Claims: { prototype: { available: Record<symbol, unknown>; result(): Promise<Record<string, unknown>> } }
  }
  const names = [...Grant.IN_PAYLOAD, 'said']
  Object.defineProperty(Grant, 'IN_PAYLOAD', { configurable: true, get: () => names })
  const { result } = Claims.prototype
  Claims.prototype.result = async function () {
    const more = [ofIdToken, added].map((name) => this.available[name] as object | undefined)
    return Object.assign(await result.call(this), ...more)
  }
}

const contextOf = (userId: string) => `said of ${userId}`
