import type { IncomingMessage } from 'node:http'
import { type Configuration, type JWKS, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { answerParent, usageOf } from './channel.ts'
import { fixture } from './fixture.ts'
import { profile } from './profile.ts'

/** The engine alone, with its in-memory adapter: the least that answers the same requests as Lido. */
const port = Number(process.env.PORT)
const issuer = process.env.PUBLIC_URL ?? ''
const jwks = JSON.parse(process.env.JWKS ?? '') as JWKS
const { client, machine, television, redirectUri, resource, signed } = fixture
const algorithms: Record<string, 'ES256' | 'EdDSA'> = { [signed.ES256]: 'ES256', [signed.EdDSA]: 'EdDSA' }

const configuration: Configuration = {
  jwks,
  cookies: {
    keys: ['a key for cookies'],
    long: { signed: false, httpOnly: true, sameSite: 'lax' },
    short: { signed: true, httpOnly: true, sameSite: 'lax' },
  },
  routes: {
    authorization: '/authorize',
    pushed_authorization_request: '/par',
    token: '/token',
    userinfo: '/userinfo',
    jwks: '/jwks',
    introspection: '/introspect',
    device_authorization: '/device_authorization',
    revocation: '/revoke',
    end_session: '/logout',
  },
  clients: [
    {
      client_id: client.id,
      client_secret: client.secret,
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    {
      client_id: machine.id,
      client_secret: machine.secret,
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
    {
      client_id: television.id,
      token_endpoint_auth_method: 'none',
      redirect_uris: [],
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
      response_types: [],
    },
  ],
  claims: { openid: ['sub'], profile: ['name', 'given_name', 'family_name'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'offline_access'],
  responseTypes: ['code'],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    deviceFlow: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => [],
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, uri) => ({
        scope: resource.scope,
        audience: uri,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: algorithms[uri] ?? 'RS256' } },
      }),
    },
  },
  interactions: { url: (_ctx, { uid }) => `/signin/${uid}` },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Ada', given_name: 'Ada', family_name: 'L', email: sub, email_verified: true }),
  }),
  loadExistingGrant,
  issueRefreshToken: () => true,
  expiresWithSession: () => false,
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: 3600,
    ClientCredentials: 3600,
    AuthorizationCode: 60,
    IdToken: 3600,
    Interaction: 3600,
    Session: 1_209_600,
    Grant: 31_536_000,
    RefreshToken: 2_592_000,
    DeviceCode: 600,
  },
}

// As Lido does for a client of its own: whoever signed in has agreed.
async function loadExistingGrant({ oidc }: KoaContextWithOIDC) {
  const id = oidc.session?.grantIdFor(oidc.client?.clientId ?? '')
  const known = id ? await oidc.provider.Grant.find(id) : undefined
  if (known) return known
  const grant = new oidc.provider.Grant({
    accountId: oidc.account?.accountId ?? '',
    clientId: oidc.client?.clientId ?? '',
  })
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' '))
  await grant.save()
  return grant
}

const provider = new Provider(issuer, configuration)

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/signin/')) return next()
  if (ctx.method === 'GET') {
    const { uid } = await provider.interactionDetails(ctx.req, ctx.res)
    ctx.type = 'html'
    ctx.body = page(uid)
    return
  }
  const form = new URLSearchParams(await read(ctx.req))
  const signedIn = form.get('password') === fixture.password
  const login = { accountId: form.get('identifier') ?? '', amr: ['pwd'], remember: true }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, signedIn ? { login } : { error: 'access_denied' }))
  ctx.status = 303
})

const page = (uid: string) => `<!doctype html><title>Sign in</title><form method="post" action="/signin/${uid}">
<label>Email <input name="identifier" type="email"></label>
<label>Password <input name="password" type="password"></label><button type="submit">Sign in</button></form>`

const read = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

provider.listen(port, '127.0.0.1', () =>
  answerParent(async (question) => {
    if (question.ask === 'profile') await profile(question.file)
    return question.ask === 'usage' ? usageOf(0) : true
  }),
)
