import oauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import Fastify, { type FastifyInstance } from 'fastify'
import { expect, page as html, type Registered, signInAt, test } from './app.ts'

const application = async (url: string, { issuer, id, secret }: Registered): Promise<FastifyInstance> => {
  const app = Fastify()
  await app.register(oauth2, {
    name: 'lido',
    scope: ['openid', 'email', 'offline_access'],
    // It wants JSON in answer to a revocation, which has no body (RFC 7009 section 2.2), unless it is told otherwise.
    credentials: { client: { id, secret }, http: { json: true } },
    discovery: { issuer },
    pkce: 'S256',
    startRedirectPath: '/login',
    callbackUri: `${url}/callback`,
  })
  const { lido } = app as unknown as { lido: OAuth2Namespace }
  app.get('/', (_request, reply) => reply.type('text/html').send(html('Nobody', { 'Sign in': '/login' })))
  app.get('/callback', async (request, reply) => {
    const { token } = await lido.getAccessTokenFromAuthorizationCodeFlow(request, reply)
    const renewed = await lido.getNewAccessTokenUsingRefreshToken(token, {})
    const { email } = (await lido.userinfo(renewed.token)) as { email?: string }
    await lido.revokeToken(renewed.token, 'refresh_token', {})
    const again = await lido.getNewAccessTokenUsingRefreshToken(renewed.token, {}).then(
      () => 'Not revoked',
      () => `Hello ${email}`,
    )
    return reply.type('text/html').send(html(again))
  })
  await app.ready()
  return app
}

test('@fastify/oauth2 discovers, signs in, renews, asks userinfo and revokes', async ({ page, town, serve }) => {
  const url = await serve(async (url) => {
    const client = await town.register({
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: [`${url}/callback`],
    })
    const app = await application(url, client)
    return (request, response) => app.routing(request, response)
  })
  await signInAt(page, url, town.email)
  await expect(page).toHaveURL(/\/callback\?code=/)
})
