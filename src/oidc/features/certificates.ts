import type { X509Certificate } from 'node:crypto'
import { openClientCertificates } from '../../platform/http/client-certificate.ts'
import { namesOf } from '../certificate-names.ts'
import type { Feature } from './feature.ts'

/** Clients that show a certificate, and tokens bound to it (RFC 8705); on where a proxy hands certificates on. */
export const certificates: Feature = ({ services: { config } }) => {
  const shown = openClientCertificates(config)
  const enabled = config.clientCertHeader !== undefined
  return {
    mTLS: {
      enabled,
      certificateBoundAccessTokens: enabled,
      selfSignedTlsClientAuth: enabled,
      // A certificate that nobody has verified says nothing about its names.
      tlsClientAuth: enabled && config.clientCertVerifiedHeader !== undefined,
      // The engine reads the certificate itself as well as its PEM, which its types do not tell.
      getCertificate: (ctx) => shown.of(ctx.req) as (X509Certificate & string) | undefined,
      certificateAuthorized: (ctx) => shown.isVerified(ctx.req),
      certificateSubjectMatches: (ctx, property, expected) => {
        const certificate = shown.of(ctx.req)
        return certificate !== undefined && namesOf(certificate, property).includes(expected)
      },
    },
  }
}
