import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { post, type TestWorkspace } from './fixtures-testing.ts'

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** A client's own key pair, and what it signs with it. */
export interface Signer {
  jwks: { keys: Record<string, unknown>[] }
  privateKey: CryptoKey
  sign(claims: Record<string, unknown>, header?: { alg?: string; typ?: string }): Promise<string>
  /** What it authenticates by at an issuer, used once. */
  assertion(issuer: string, clientId: string, changed?: JWTPayload): Promise<Record<string, string>>
  /** A signed request for authorization. */
  request(issuer: string, clientId: string, claims: Record<string, unknown>): Promise<string>
}

export const makeSigner = async (alg = 'ES256'): Promise<Signer> => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg } as Record<string, unknown>
  const sign: Signer['sign'] = (claims, header = {}) =>
    new SignJWT(withoutGaps(claims)).setProtectedHeader({ alg, kid: 'one', ...header }).sign(privateKey)
  return {
    jwks: { keys: [jwk] },
    privateKey,
    sign,
    async assertion(issuer, clientId, changed = {}) {
      const claims = {
        iss: clientId,
        sub: clientId,
        aud: issuer,
        jti: crypto.randomUUID(),
        iat: now(),
        exp: now() + 60,
      }
      const client_assertion = await sign({ ...claims, ...changed })
      return { client_assertion, client_assertion_type: assertionType }
    },
    request: (issuer, clientId, claims) => {
      const about = { iss: clientId, aud: issuer, client_id: clientId, nbf: now(), iat: now(), exp: now() + 60 }
      return sign({ ...about, jti: crypto.randomUUID(), ...claims }, { typ: 'oauth-authz-req+jwt' })
    },
  }
}

/** Now, in seconds. */
export const now = (): number => Math.floor(Date.now() / 1000)

const withoutGaps = (claims: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))

/** Pushes a request for authorization (RFC 9126). */
export const push = (
  { issuer }: Pick<TestWorkspace, 'issuer'>,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
) => post(`${issuer}/par`, fields, headers)

/** Twenty of the same at once. */
export const twenty = <Result>(run: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: 20 }, (_, index) => run(index)))
