/** The engine as this room uses it; no other room imports it. */

export type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
export { ExternalSigningKey, errors, interactionPolicy, Provider } from 'oidc-provider'
