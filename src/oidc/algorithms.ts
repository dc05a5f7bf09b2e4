import type { Configuration } from './engine.ts'

type Signing = ['RS256', 'PS256', 'ES256', 'EdDSA']

const signing: Signing = ['RS256', 'PS256', 'ES256', 'EdDSA']

/** Nothing weak, and nothing symmetric but a client's own secret (RFC 8725 section 3.1): of each use only these. */
export const enabledJWA: NonNullable<Configuration['enabledJWA']> = {
  // HS256 is for client_secret_jwt; the engine takes it for nothing else.
  clientAuthSigningAlgValues: [...signing, 'HS256'],
  idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA', 'PS256'],
  requestObjectSigningAlgValues: signing,
  userinfoSigningAlgValues: signing,
  introspectionSigningAlgValues: signing,
  authorizationSigningAlgValues: signing,
  dPoPSigningAlgValues: ['ES256', 'EdDSA', 'PS256', 'RS256'],
  idTokenEncryptionAlgValues: ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW'],
  idTokenEncryptionEncValues: ['A256GCM', 'A128GCM', 'A256CBC-HS512', 'A128CBC-HS256'],
  requestObjectEncryptionAlgValues: [],
  requestObjectEncryptionEncValues: [],
  userinfoEncryptionAlgValues: [],
  userinfoEncryptionEncValues: [],
  introspectionEncryptionAlgValues: [],
  introspectionEncryptionEncValues: [],
  authorizationEncryptionAlgValues: [],
  authorizationEncryptionEncValues: [],
}

/** The algorithms that FAPI 2.0 Security Profile section 5.4.1 leaves to whoever is held to it. */
export const isFapiAlgorithm = (alg: unknown): boolean => alg === 'PS256' || alg === 'ES256' || alg === 'EdDSA'
