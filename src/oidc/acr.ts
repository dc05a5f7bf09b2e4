import { z } from 'zod'
import { type Acr, isAcr, reaches, type WantedAcr } from '../directory/acr.ts'
import { interactionPolicy, type KoaContextWithOIDC, type Provider } from './engine.ts'

const claim = z
  .object({
    essential: z.boolean().optional(),
    value: z.string().optional(),
    values: z.array(z.string()).optional(),
  })
  .nullish()
const claims = z.looseObject({ id_token: z.looseObject({ acr: claim }).optional() })

/**
 * How surely a client wants somebody to be known: by its `claims` (OpenID Connect Core 1.0 section 5.5.1.1), else by
 * `acr_values`, its own default included. Undefined where it does not care; values that nobody knows are no wish.
 */
export const wantedAcr = (params: Record<string, unknown>): WantedAcr | undefined => {
  const asked = claimIn(params.claims)
  const named = asked?.values ?? (asked?.value === undefined ? undefined : [asked.value])
  const wished = typeof params.acr_values === 'string' ? params.acr_values.split(' ') : []
  const values = (named ?? wished).filter(isAcr)
  const essential = asked?.essential === true && named !== undefined
  return values.length > 0 || essential ? { values, essential } : undefined
}

/**
 * A request's wish within what its client always wants: whoever changes the address of a sign-in does not get in to that
 * client by less. Values that are too weak are left out; where none is left, the client's own stand for them.
 */
export const atLeast = (wanted: WantedAcr | undefined, least: readonly Acr[]): WantedAcr | undefined => {
  // Essential, and nothing that we know: it cannot be met.
  if (least.length === 0 || (wanted?.essential && wanted.values.length === 0)) return wanted
  const enough = (wanted?.values ?? []).filter((value) => least.some((one) => reaches(value, one)))
  return { values: enough.length > 0 ? enough : [...least], essential: wanted?.essential ?? false }
}

const claimIn = (text: unknown): z.infer<typeof claim> => {
  if (typeof text !== 'string') return undefined
  try {
    return claims.safeParse(JSON.parse(text)).data?.id_token?.acr
  } catch {
    return undefined
  }
}

/** What a session is told as: the best liked of what was asked for that it reaches, else what it is. */
const toldAs = (known: unknown, wanted: WantedAcr | undefined): unknown =>
  wanted?.values.find((value) => reaches(known, value)) ?? known

const isMet = (known: unknown, { values }: WantedAcr): boolean => values.some((value: Acr) => reaches(known, value))

/** Reasons for which a session goes on, once more was proven; any other one asks for everything again. */
export const stepUpReason = 'acr'

/** Sends whoever is known less surely than the client wants to prove more; the sign-in says what that takes. */
export const acrCheck = () =>
  new interactionPolicy.Check(stepUpReason, 'the person has to be known more surely', 'login_required', (ctx) => {
    const { oidc } = ctx as KoaContextWithOIDC
    const least = (oidc.client?.acr_values_default as Acr[] | undefined) ?? []
    const wanted = atLeast(wantedAcr(oidc.params ?? {}), least)
    if (!wanted || !oidc.session?.accountId || isMet(oidc.session.acr, wanted)) return false
    return wanted.essential || !(oidc.result?.login || oidc.promptPending('none'))
  })

/** An ID token says what was asked for where that is true: who proved two factors has proved one. */
export const tellWantedAcr = (provider: Provider): void => {
  const { OIDCContext } = provider as unknown as { OIDCContext: { prototype: object } }
  Object.defineProperty(OIDCContext.prototype, 'acr', {
    configurable: true,
    get(this: KoaContextWithOIDC['oidc']) {
      return toldAs(this.session?.acr, wantedAcr(this.params ?? {}))
    },
  })
}
