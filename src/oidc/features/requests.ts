import { limitClaims } from '../acr.ts'
import type { Feature } from './feature.ts'

/** What a request for authorization may say besides what everybody's may. */
export const requests: Feature = () => ({
  claimsParameter: { enabled: true, assertClaimsParameter: limitClaims },
  pushedAuthorizationRequests: { enabled: false },
  dPoP: { enabled: false },
})
