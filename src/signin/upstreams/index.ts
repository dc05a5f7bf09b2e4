import { oidc } from './oidc.ts'
import { apple, facebook, github, google, microsoft } from './presets.ts'
import { saml } from './saml.ts'
import type { Upstream } from './upstream.ts'

/** Every kind of identity provider that people may come from. */
export const upstreams: Record<string, Upstream> = {
  [oidc.name]: oidc as Upstream,
  [google.name]: google as Upstream,
  [microsoft.name]: microsoft as Upstream,
  [apple.name]: apple as Upstream,
  [github.name]: github as Upstream,
  [facebook.name]: facebook as Upstream,
  [saml.name]: saml as Upstream,
}

/** A kind of upstream by the name that pools have it under; undefined where there is none. */
export const getUpstream = (name: string): Upstream | undefined =>
  Object.hasOwn(upstreams, name) ? upstreams[name] : undefined
