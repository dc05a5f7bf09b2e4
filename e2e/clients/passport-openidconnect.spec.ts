import express, { type ErrorRequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import { Strategy } from 'passport-openidconnect'
import { expect, page as html, type Registered, signInAt, test } from './app.ts'

const application = (url: string, { issuer, id, secret }: Registered): express.Express => {
  passport.use(
    new Strategy(
      {
        issuer,
        authorizationURL: `${issuer}/authorize`,
        tokenURL: `${issuer}/token`,
        userInfoURL: `${issuer}/userinfo`,
        clientID: id,
        clientSecret: secret,
        callbackURL: `${url}/callback`,
        scope: 'email',
        nonce: true,
        skipUserProfile: false,
      },
      (_issuer, profile, done) => done(null, profile.emails?.[0]?.value),
    ),
  )
  passport.serializeUser((user, done) => done(null, user))
  passport.deserializeUser((user, done) => done(null, user))
  const failed: ErrorRequestHandler = (error, _req, res, _next) => {
    res.send(html(`Failed: ${error.name} ${error.code ?? error.message}`))
  }
  const app = express()
  app.use(session({ secret: 'known to this application only', resave: false, saveUninitialized: false }))
  app.use(passport.session())
  app.get('/', (req, res) => {
    const { user } = req as { user?: string }
    res.send(user ? html(`Hello ${user}`) : html('Nobody', { 'Sign in': '/login' }))
  })
  app.get('/login', passport.authenticate('openidconnect'))
  app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/', failWithError: true }))
  app.use(failed)
  return app
}

const register = (require_pkce: boolean) => (url: string) => ({
  token_endpoint_auth_method: 'client_secret_post' as const,
  require_pkce,
  redirect_uris: [`${url}/callback`],
})

test('passport-openidconnect signs in where its client does without PKCE', async ({ page, town, serve }) => {
  const url = await serve(async (url) => application(url, await town.register(register(false)(url))))
  await signInAt(page, url, town.email)
})

test('passport-openidconnect is told that PKCE is missing where its client needs it', async ({ page, town, serve }) => {
  const url = await serve(async (url) => application(url, await town.register(register(true)(url))))
  await page.goto(`${url}/login`)
  await expect(page.getByRole('heading')).toHaveText('Failed: AuthorizationError invalid_request')
})
