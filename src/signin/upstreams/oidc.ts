import { z } from 'zod'
import { openRelyingParty, privateJwk, type RelyingParty, readJwk } from './relying-party.ts'
import type { Upstream } from './upstream.ts'

/** Scopes as a client asks for them (RFC 6749 section 3.3). */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/)

const settings = z.strictObject({
  issuer: z
    .url({ protocol: /^https?$/ })
    .max(500)
    .describe('The issuer exactly as its discovery document spells it, without /.well-known'),
  client_id: z.string().min(1).max(500),
  client_secret: z.string().min(1).max(2000).nullable().default(null),
  private_key: z
    .string()
    .max(10_000)
    .refine((text) => readJwk(text) !== undefined, 'Give a private key as a JWK, in JSON')
    .nullable()
    .default(null)
    .describe('Signs for us in the place of a secret (private_key_jwt), as a JWK'),
  authentication: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .default('client_secret_basic')
    .describe('How this program proves at the token endpoint who it is'),
  scopes: z.array(scope).max(30).default(['openid', 'profile', 'email']),
  userinfo: z.boolean().default(true).describe('Whether what the ID token does not say is asked for at userinfo'),
  refresh_tokens: z
    .enum(['offline_access', 'offline_access_consent', 'access_type', 'given'])
    .default('offline_access')
    .describe(
      'How it is asked for a refresh token where a connection reloads claims: by the scope `offline_access`, with `prompt=consent` besides, or by `access_type=offline`; `given`: by nothing',
    ),
  tenant_id_field: z.string().min(1).max(200).nullable().default(null).describe('The claim that names the tenant'),
  roles_field: z.string().min(1).max(200).default('roles').describe('The claim that lists roles'),
  groups_field: z.string().min(1).max(200).default('groups').describe('The claim that lists groups'),
})
type Settings = z.infer<typeof settings>

/** Any OpenID Provider that publishes a discovery document. */
export const oidc: Upstream<Settings> = {
  name: 'oidc',
  settings: settings.superRefine(({ authentication, client_secret, private_key }, context) => {
    const missing =
      authentication === 'private_key_jwt' ? private_key === null : authentication !== 'none' && client_secret === null
    const path = [authentication === 'private_key_jwt' ? 'private_key' : 'client_secret']
    if (missing) context.addIssue({ code: 'custom', path, message: `This is needed for ${authentication}` })
  }),
  secrets: ['client_secret', 'private_key'],
  renews: true,
  open: (given, tools) => openRelyingParty(partyOf(given), tools),
}

const partyOf = (given: Settings): RelyingParty => ({
  issuer: given.issuer,
  clientId: given.client_id,
  scopes: [...new Set(['openid', ...given.scopes])],
  userinfo: given.userinfo,
  offline: offline[given.refresh_tokens],
  tenantField: given.tenant_id_field,
  rolesField: given.roles_field,
  groupsField: given.groups_field,
  authenticate: async (client) => {
    if (given.authentication === 'none') return client.None()
    if (given.authentication === 'client_secret_post') return client.ClientSecretPost(given.client_secret ?? '')
    if (given.authentication === 'client_secret_basic') return client.ClientSecretBasic(given.client_secret ?? '')
    return client.PrivateKeyJwt(await privateJwk(given.private_key ?? ''))
  },
  publicKeys: given.private_key,
})

/** Ways to ask for a refresh token; OpenID Connect Core 1.0 section 11 lets a provider want `prompt=consent` with the scope. */
const offline: Record<Settings['refresh_tokens'], RelyingParty['offline']> = {
  offline_access: { scope: 'offline_access' },
  offline_access_consent: { scope: 'offline_access', parameters: { prompt: 'consent' } },
  access_type: { parameters: { access_type: 'offline', prompt: 'consent' } },
  given: undefined,
}
