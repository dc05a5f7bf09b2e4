/** The engine as this room uses it; no other room imports it. */

export type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
export { errors, interactionPolicy, Provider } from 'oidc-provider'
