import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { Outsider } from '../outsider.ts'
import { NotThere, openOauth2 } from './oauth2.ts'
import { openRelyingParty, type RelyingParty } from './relying-party.ts'
import type { Upstream, UpstreamTools } from './upstream.ts'

const credentials = {
  client_id: z.string().min(1).max(500),
  client_secret: z.string().min(1).max(2000),
}

const plain = { userinfo: false, tenantField: null, rolesField: 'roles', groupsField: 'groups' }
const scopes = ['openid', 'profile', 'email']

const googleSettings = z.strictObject({
  ...credentials,
  hosted_domain: z
    .string()
    .max(253)
    .nullable()
    .default(null)
    .describe('Only people of this Google Workspace domain may come, such as example.org'),
})

/** Google. What it says of a Gmail or Workspace address is proven (its `email_verified`). */
export const google: Upstream<z.infer<typeof googleSettings>> = {
  name: 'google',
  settings: googleSettings,
  secrets: ['client_secret'],
  renews: true,
  open: ({ client_id, client_secret, hosted_domain }, tools) =>
    openRelyingParty(
      {
        ...plain,
        issuer: 'https://accounts.google.com',
        clientId: client_id,
        scopes,
        authenticate: async (client) => client.ClientSecretPost(client_secret),
        tenantField: 'hd',
        // Google knows no scope for it, and gives a refresh token with a new consent alone.
        offline: { parameters: { access_type: 'offline', prompt: 'consent' } },
        ...(hosted_domain ? { more: { hd: hosted_domain } } : {}),
        // The parameter only asks: whoever changes the address comes with another domain.
        admits: ({ hd }) =>
          hosted_domain && hd !== hosted_domain ? 'They are not of the Google Workspace domain.' : undefined,
      },
      tools,
    ),
}

const microsoftSettings = z.strictObject({
  ...credentials,
  tenant: z
    .union([z.uuid(), z.enum(['common', 'organizations', 'consumers'])])
    .default('organizations')
    .describe('The directory (tenant) ID, or `organizations` for all work accounts, `common` for private ones too'),
  tenants: z.array(z.uuid()).max(500).default([]).describe('Only people of these directories may come; empty: of all'),
})

/**
 * Microsoft Entra ID. Its administrators type addresses as they like: one is proven only where the optional claim
 * `xms_edov` says that its domain is the directory's.
 */
export const microsoft: Upstream<z.infer<typeof microsoftSettings>> = {
  name: 'microsoft',
  settings: microsoftSettings,
  secrets: ['client_secret'],
  renews: true,
  open: ({ client_id, client_secret, tenant, tenants }, tools) =>
    openRelyingParty(
      {
        ...plain,
        issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
        clientId: client_id,
        scopes,
        tenantField: 'tid',
        offline: { scope: 'offline_access' },
        authenticate: async (client) => client.ClientSecretPost(client_secret),
        vouches: ({ xms_edov }) => xms_edov === true,
        admits: ({ tid }) =>
          tenants.length > 0 && !tenants.includes(String(tid)) ? 'They are of another directory.' : undefined,
      },
      tools,
    ),
}

const appleSettings = z.strictObject({
  client_id: z.string().min(1).max(500).describe('The Services ID, such as org.example.signin'),
  team_id: z.string().regex(/^[A-Z0-9]{10}$/),
  key_id: z.string().regex(/^[A-Z0-9]{10}$/),
  private_key: z
    .string()
    .max(2000)
    .regex(/^-----BEGIN PRIVATE KEY-----[\s\w+/=]+-----END PRIVATE KEY-----\s*$/, 'Give the whole text of the .p8 file')
    .describe('The text of the .p8 file'),
})

/** Sign in with Apple. It tells a name once, by the browser, and wants a secret that is signed for five minutes. */
export const apple: Upstream<z.infer<typeof appleSettings>> = {
  name: 'apple',
  settings: appleSettings,
  secrets: ['private_key'],
  renews: true,
  open: (given, tools) => openRelyingParty({ ...applePartyOf(given, tools) }, tools),
}

const applePartyOf = (given: z.infer<typeof appleSettings>, { clock }: UpstreamTools): RelyingParty => ({
  ...plain,
  issuer: 'https://appleid.apple.com',
  clientId: given.client_id,
  scopes: ['openid', 'name', 'email'],
  authenticate:
    async () =>
    async (_as, { client_id }, body) => {
      body.set('client_id', client_id)
      body.set('client_secret', await appleSecret(given, clock.now()))
    },
  // Apple gives name and address only to whoever takes the answer as a form.
  more: { response_mode: 'form_post' },
  told: ({ user }) => appleName(user),
  // Apple writes this as a text or as a truth value; addresses are always proven there.
  vouches: ({ email_verified }) => email_verified === true || email_verified === 'true',
})

const appleSecret = async ({ client_id, team_id, key_id, private_key }: z.infer<typeof appleSettings>, now: Date) => {
  const { importPKCS8, SignJWT } = await import('jose')
  const at = Math.floor(now.getTime() / 1000)
  return new SignJWT({})
    .setProtectedHeader({ alg: 'ES256', kid: key_id })
    .setIssuer(team_id)
    .setSubject(client_id)
    .setAudience('https://appleid.apple.com')
    .setIssuedAt(at)
    .setExpirationTime(at + 300)
    .sign(await importPKCS8(private_key, 'ES256'))
}

/** What the browser brings is not signed: a name may come from it, an address never. */
const appleName = (user: string | undefined): Record<string, unknown> => {
  const told = z
    .object({ name: z.object({ firstName: z.string().max(200), lastName: z.string().max(200) }).partial() })
    .safeParse(parsed(user))
  if (!told.success) return {}
  const { firstName, lastName } = told.data.name
  return { ...(firstName ? { given_name: firstName } : {}), ...(lastName ? { family_name: lastName } : {}) }
}

const parsed = (text: string | undefined): unknown => {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

const pairSettings = z.strictObject(credentials)

/** GitHub: OAuth 2.0 and an API. The address is the primary one, where GitHub has had it proven. */
export const github: Upstream<z.infer<typeof pairSettings>> = {
  name: 'github',
  settings: pairSettings,
  secrets: ['client_secret'],
  open: ({ client_id, client_secret }, tools) =>
    openOauth2(
      {
        authorize: 'https://github.com/login/oauth/authorize',
        token: 'https://github.com/login/oauth/access_token',
        clientId: client_id,
        clientSecret: client_secret,
        scopes: ['read:user', 'user:email'],
        who: (token) => askGithub(token, tools),
      },
      tools,
    ),
}

const githubUser = z.object({
  id: z.int().positive(),
  login: z.string(),
  name: z.string().nullish(),
  avatar_url: z.string().nullish(),
  html_url: z.string().nullish(),
})
const githubEmails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }))

const askGithub = async (token: string, tools: UpstreamTools): Promise<Outsider> => {
  const headers = {
    Accept: 'application/vnd.github+json',
    Authorization: `Bearer ${token}`,
    'User-Agent': 'Lido',
    'X-GitHub-Api-Version': '2022-11-28',
  }
  const user = await askApi(tools, 'https://api.github.com/user', headers, githubUser)
  const emails = await askApi(tools, 'https://api.github.com/user/emails', headers, githubEmails)
  const address = emails.find(({ primary, verified }) => primary && verified)
  const profile = {
    ...(user.name ? { name: user.name } : {}),
    preferred_username: user.login,
    ...(user.avatar_url ? { picture: user.avatar_url } : {}),
    ...(user.html_url ? { profile: user.html_url } : {}),
  }
  return {
    externalId: String(user.id),
    identifiers: address ? [{ kind: 'email', typed: address.email, verified: true }] : [],
    claims: { ...profile, sub: String(user.id), login: user.login },
    profile,
    roles: [],
    groups: [],
    tenant: undefined,
  }
}

/** Facebook: OAuth 2.0 and the Graph API. It does not say whether an address is proven, so none is. */
export const facebook: Upstream<z.infer<typeof pairSettings>> = {
  name: 'facebook',
  settings: pairSettings,
  secrets: ['client_secret'],
  open: ({ client_id, client_secret }, tools) =>
    openOauth2(
      {
        authorize: `https://www.facebook.com/${graph}/dialog/oauth`,
        token: `https://graph.facebook.com/${graph}/oauth/access_token`,
        clientId: client_id,
        clientSecret: client_secret,
        scopes: ['public_profile', 'email'],
        who: (token) => askFacebook(token, client_secret, tools),
      },
      tools,
    ),
}

const graph = 'v23.0'
const facebookUser = z.object({
  id: z.string().min(1).max(100),
  name: z.string().optional(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
  email: z.string().optional(),
})

const askFacebook = async (token: string, secret: string, tools: UpstreamTools): Promise<Outsider> => {
  const url = new URL(`https://graph.facebook.com/${graph}/me`)
  url.searchParams.set('fields', 'id,name,first_name,last_name,email')
  // Shows that whoever asks has the secret too: a token that was taken from another application is of no use here.
  url.searchParams.set('appsecret_proof', createHmac('sha256', secret).update(token).digest('hex'))
  const headers = { Accept: 'application/json', Authorization: `Bearer ${token}` }
  const { id, name, first_name, last_name, email } = await askApi(tools, url.href, headers, facebookUser)
  const profile = {
    ...(name ? { name } : {}),
    ...(first_name ? { given_name: first_name } : {}),
    ...(last_name ? { family_name: last_name } : {}),
  }
  return {
    externalId: id,
    identifiers: email ? [{ kind: 'email', typed: email, verified: false }] : [],
    claims: { ...profile, sub: id, ...(email ? { email } : {}) },
    profile,
    roles: [],
    groups: [],
    tenant: undefined,
  }
}

const askApi = async <Shape>(
  { fetch }: UpstreamTools,
  url: string,
  headers: Record<string, string>,
  shape: z.ZodType<Shape>,
): Promise<Shape> => {
  const answer = await fetch(url, { headers })
  const read = answer.status === 200 ? shape.safeParse(answer.json()) : undefined
  if (!read?.success) throw new NotThere(`The provider's API answered ${answer.status} and nothing that can be used.`)
  return read.data
}
