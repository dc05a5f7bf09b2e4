import type { X509Certificate } from 'node:crypto'
// The engine offers these to its own grants only.
import * as inside from 'oidc-provider/lib/helpers/grants.js'
import { openClientCertificates } from '../platform/http/client-certificate.ts'
import { equal } from '../platform/secrets.ts'
import type { Services } from '../services.ts'
import { errors, type KoaContextWithOIDC, type Provider } from './engine.ts'

interface Proof {
  thumbprint: string
  jti: string
}

const engine = inside as {
  validateDpop(provider: Provider, ctx: KoaContextWithOIDC): Promise<Proof | undefined>
  checkDpopRequired(provider: Provider, ctx: KoaContextWithOIDC, proof: Proof | undefined): void
  checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: Proof | undefined,
    clientId: string,
  ): Promise<void>
  checkMtlsCert(provider: Provider, ctx: KoaContextWithOIDC): X509Certificate | undefined
}

/** What the sender of a request has shown to hold: the key of a proof (RFC 9449), a certificate (RFC 8705). */
export interface Held {
  jkt: string | undefined
  certificate: X509Certificate | undefined
  /** Whether the client's tokens are bound to its certificate. */
  certificateBound: boolean
}

/** Reads what a request proves, as the engine's own grants do. Throws its errors where a proof is wrong, used or missing. */
export const heldBy = async (ctx: KoaContextWithOIDC, { config }: Services): Promise<Held> => {
  const { provider, client } = ctx.oidc
  const proof = await engine.validateDpop(provider, ctx)
  engine.checkDpopRequired(provider, ctx, proof)
  await engine.checkDpopReplay(provider, ctx, proof, client?.clientId ?? '')
  const bound = engine.checkMtlsCert(provider, ctx)
  const certificate =
    bound ?? (config.clientCertHeader === undefined ? undefined : openClientCertificates(config).of(ctx.req))
  return { jkt: proof?.thumbprint, certificate, certificateBound: bound !== undefined }
}

/** Binds a token to what was shown: a key, or the certificate of a client whose tokens are bound to it. */
export const bindTo = (
  token: { setThumbprint(kind: 'jkt' | 'x5t', value: string): void },
  { jkt, certificate, certificateBound }: Held,
): void => {
  if (jkt !== undefined) token.setThumbprint('jkt', jkt)
  else if (certificate && certificateBound) token.setThumbprint('x5t', certificate as never)
}

/** What a token is bound to (RFC 7800 `cnf`). */
export interface Bound {
  jkt?: string | undefined
  'x5t#S256'?: string | undefined
}

/** Refuses a token of somebody else's key or certificate. Throws `invalid_request`. */
export const refuseUnheld = ({ jkt, certificate }: Held, bound: Bound): void => {
  if (bound.jkt !== undefined && (jkt === undefined || !equal(jkt, bound.jkt)))
    throw new errors.InvalidRequest('a token is bound to a key, and this request does not prove that it has it')
  const thumbprint = bound['x5t#S256']
  if (thumbprint !== undefined && (!certificate || !equal(thumbprintOf(certificate), thumbprint)))
    throw new errors.InvalidRequest('a token is bound to a certificate that this request does not show')
}

/** RFC 8705 section 3.1. */
const thumbprintOf = ({ fingerprint256 }: X509Certificate): string =>
  Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
