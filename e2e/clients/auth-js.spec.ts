import express, { type Request, type RequestHandler } from 'express'
import { signIn } from '../acts.ts'
import { expect, page as html, type Registered, test } from './app.ts'

// Its own types would bring those of a browser into the whole program.
const { ExpressAuth, getSession } = (await import(import.meta.resolve('@auth/express'))) as {
  ExpressAuth(config: object): RequestHandler
  getSession(request: Request, config: object): Promise<{ user?: { email?: string | null } } | null>
}

const application = ({ issuer, id, secret }: Registered): express.Express => {
  const config = {
    trustHost: true,
    secret: 'known to this application only',
    providers: [
      {
        id: 'lido',
        name: 'Lido',
        type: 'oidc',
        issuer,
        clientId: id,
        clientSecret: secret,
        // Claims of the person are at userinfo, not in the ID token.
        idToken: false,
        style: { logo: 'data:,' },
        checks: ['pkce', 'state', 'nonce'],
      },
    ],
  }
  const app = express()
  app.use('/auth', ExpressAuth(config))
  app.get('/', async (req, res) => {
    const email = (await getSession(req, config))?.user?.email
    res.send(email ? html(`Hello ${email}`) : html('Nobody', { 'Sign in': '/auth/signin' }))
  })
  return app
}

test('Auth.js signs in, and asks userinfo who it is', async ({ page, town, serve }) => {
  const url = await serve(async (url) =>
    application(await town.register({ redirect_uris: [`${url}/auth/callback/lido`] })),
  )
  await page.goto(url)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign in with Lido' }).click()
  await signIn(page, town.email)
  await page.waitForURL(`${url}/**`)
  await expect(page.getByRole('heading')).toHaveText(`Hello ${town.email}`)
})
