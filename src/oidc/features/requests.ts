import { limitRequestObject } from '../assertions.ts'
import { limitClaims } from '../requested-claims.ts'
import type { Feature } from './feature.ts'

/** How a request for authorization may come, and its answer go back: pushed (RFC 9126), signed (RFC 9101, JARM). */
export const requests: Feature = ({ services, workspace }) => ({
  claimsParameter: { enabled: true, assertClaimsParameter: limitClaims(workspace) },
  pushedAuthorizationRequests: { enabled: true },
  requestObjects: { enabled: true, assertJwtClaimsAndHeader: limitRequestObject(services.clock) },
  jwtResponseModes: { enabled: true },
  jwtUserinfo: { enabled: true },
  jwtIntrospection: { enabled: true },
  encryption: { enabled: true },
  fapi: { enabled: true, profile: (_ctx, client) => (client?.profile ? '2.0' : undefined) },
})
