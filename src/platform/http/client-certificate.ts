import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { openTrust } from './proxies.ts'

/** What a proxy that ends TLS says of the certificate that a client showed it (RFC 8705, RFC 9440). */
export interface ClientCertificates {
  /** The certificate of whoever sent a request; undefined where none came, or not from a proxy that we trust. */
  of(request: IncomingMessage): X509Certificate | undefined
  /** Whether the proxy has verified it up to an authority that it trusts. */
  isVerified(request: IncomingMessage): boolean
}

interface Options {
  trustedProxies: readonly string[]
  /** The header with the certificate; undefined where there is none to be believed. */
  clientCertHeader: string | undefined
  /** The header that says `SUCCESS` for a certificate that was verified. */
  clientCertVerifiedHeader: string | undefined
}

/** Reads certificates from headers that only a trusted proxy may set: the connection itself has to come from one. */
export const openClientCertificates = ({
  trustedProxies,
  clientCertHeader,
  clientCertVerifiedHeader,
}: Options): ClientCertificates => {
  const isTrusted = openTrust(trustedProxies)
  const kept = new WeakMap<IncomingMessage, { certificate: X509Certificate | undefined }>()
  const only = (request: IncomingMessage, name: string | undefined): string | undefined => {
    if (!name || !isTrusted(request.socket.remoteAddress ?? '')) return undefined
    // Two of them are one too many: somebody else than the proxy has sent the other.
    const values = request.headersDistinct[name.toLowerCase()]
    return values?.length === 1 ? values[0] : undefined
  }
  return {
    of(request) {
      const known = kept.get(request)
      if (known) return known.certificate
      const certificate = readCertificate(only(request, clientCertHeader) ?? '')
      kept.set(request, { certificate })
      return certificate
    },
    isVerified: (request) => only(request, clientCertVerifiedHeader) === 'SUCCESS',
  }
}

const pem = /^-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/

/** A certificate as proxies write it: PEM, percent-encoded or not, or DER between colons (RFC 9440 section 2.1). */
export const readCertificate = (text: string): X509Certificate | undefined => {
  if (text === '' || text.length > 16_384) return undefined
  const [, bytes] = text.match(/^:([A-Za-z0-9+/=]+):$/) ?? []
  try {
    const encoded = bytes ?? (text.includes('%') ? decodeURIComponent(text) : text).match(pem)?.[1]
    return encoded === undefined ? undefined : new X509Certificate(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
}
