/** How surely somebody is known, weakest first: what tokens say as `acr` (OpenID Connect Core 1.0 section 2). */
export const acrValues = ['urn:lido:acr:1fa', 'urn:lido:acr:2fa', 'phr'] as const
export type Acr = (typeof acrValues)[number]
export const [oneFactor, twoFactors, phishingResistant] = acrValues

/** What a client asks for: values that we know, the best liked first. Where it is essential, nothing less will do. */
export interface WantedAcr {
  values: Acr[]
  essential: boolean
}

/** Milliseconds for which a proof of who it is is fresh enough for what cannot be undone. */
export const freshMs = 10 * 60_000

export const isAcr = (value: unknown): value is Acr => acrValues.includes(value as Acr)

/** Whether one is at least as sure as another: who proved two factors has proved one. */
export const reaches = (acr: unknown, wanted: Acr): boolean =>
  acrValues.indexOf(acr as Acr) >= acrValues.indexOf(wanted)
