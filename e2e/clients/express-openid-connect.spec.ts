import express from 'express'
import { auth } from 'express-openid-connect'
import { MemoryStore } from 'express-session'
import { expect, page as html, type Registered, signInAt, test } from './app.ts'

/** An Express application, which remembers the sessions whose end it was told of. */
const application = (url: string, { issuer, id, secret }: Registered): express.Express => {
  const app = express()
  app.use(
    auth({
      issuerBaseURL: issuer,
      baseURL: url,
      clientID: id,
      clientSecret: secret,
      clientAuthMethod: 'client_secret_basic',
      secret: 'a cookie secret that only this application knows',
      authRequired: false,
      idpLogout: true,
      pushedAuthorizationRequests: true,
      backchannelLogout: { store: new MemoryStore() as never },
      authorizationParams: { response_type: 'code', scope: 'openid email offline_access' },
    }),
  )
  app.get('/', async (req, res) => {
    if (!req.oidc.isAuthenticated()) return void res.send(html('Nobody', { 'Sign in': '/login' }))
    const { email } = (await req.oidc.fetchUserInfo()) as { email?: string }
    res.send(html(`Hello ${email}`, { Renew: '/renew', 'Sign out': '/logout' }))
  })
  app.get('/renew', async (req, res) => {
    const before = req.oidc.accessToken?.access_token
    const after = await req.oidc.accessToken?.refresh()
    res.send(html(after?.access_token && after.access_token !== before ? 'Renewed' : 'Not renewed', { Back: '/' }))
  })
  return app
}

const register = (url: string) => ({
  grant_types: ['authorization_code' as const, 'refresh_token' as const],
  require_pushed_authorization_requests: true,
  redirect_uris: [`${url}/callback`],
  post_logout_redirect_uris: [url],
  backchannel_logout_uri: `${url}/backchannel-logout`,
})

test('express-openid-connect pushes its request, signs in, renews and signs out', async ({ page, town, serve }) => {
  const url = await serve(async (url) => application(url, await town.register(register(url))))
  await signInAt(page, url, town.email)
  await page.getByRole('link', { name: 'Renew' }).click()
  await expect(page.getByRole('heading')).toHaveText('Renewed')
  await page.getByRole('link', { name: 'Back' }).click()
  await expect(page.getByRole('heading')).toHaveText(`Hello ${town.email}`)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(`${url}/`)
  await expect(page.getByRole('heading')).toHaveText('Nobody')
  await signInAt(page, url, town.email)
})

test('express-openid-connect forgets whoever signs out elsewhere', async ({ page, town, serve }) => {
  const url = await serve(async (url) => application(url, await town.register(register(url))))
  await signInAt(page, url, town.email)
  await page.goto(`${town.issuer}/logout`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading')).toHaveText('You are signed out')
  await expect(async () => {
    await page.goto(url)
    await expect(page.getByRole('heading')).toHaveText('Nobody', { timeout: 100 })
  }).toPass({ timeout: 10_000 })
})
