import type { Configuration } from './engine.ts'

type Signing = ['RS256', 'PS256', 'ES256', 'EdDSA']
type Wrapping = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW']
type Encrypting = ['A256GCM', 'A128GCM', 'A256CBC-HS512', 'A128CBC-HS256']

const signing: Signing = ['RS256', 'PS256', 'ES256', 'EdDSA']
const wrapping: Wrapping = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW']
const encrypting: Encrypting = ['A256GCM', 'A128GCM', 'A256CBC-HS512', 'A128CBC-HS256']

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
  idTokenEncryptionAlgValues: wrapping,
  idTokenEncryptionEncValues: encrypting,
  requestObjectEncryptionAlgValues: [],
  requestObjectEncryptionEncValues: [],
  userinfoEncryptionAlgValues: wrapping,
  userinfoEncryptionEncValues: encrypting,
  introspectionEncryptionAlgValues: wrapping,
  introspectionEncryptionEncValues: encrypting,
  authorizationEncryptionAlgValues: wrapping,
  authorizationEncryptionEncValues: encrypting,
}

/** The algorithms that FAPI 2.0 Security Profile section 5.4.1 leaves to whoever is held to it. */
export const isFapiAlgorithm = (alg: unknown): boolean => alg === 'PS256' || alg === 'ES256' || alg === 'EdDSA'
