import type { Page } from '@playwright/test'
import { signIn, step } from '../acts.ts'
import { expect, inBrowser, type Registered, signInAt, test } from './app.ts'

const files = {
  '/': 'oidc-client-ts.html',
  '/silent': 'oidc-client-ts.html',
  '/oidc-client-ts.js': new URL('../browser/oidc-client-ts.js', import.meta.resolve('oidc-client-ts')).href,
}

const application = (url: string, { issuer, id }: Registered, more: object = {}) =>
  inBrowser(
    {
      authority: issuer,
      client_id: id,
      redirect_uri: `${url}/`,
      silent_redirect_uri: `${url}/silent`,
      post_logout_redirect_uri: `${url}/`,
      scope: 'openid email',
      automaticSilentRenew: false,
      ...more,
    },
    files,
  )

const registration = (url: string) => ({
  token_endpoint_auth_method: 'none' as const,
  grant_types: ['authorization_code' as const, 'refresh_token' as const],
  redirect_uris: [`${url}/`, `${url}/silent`],
  post_logout_redirect_uris: [`${url}/`],
})

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()

test('oidc-client-ts signs in, in two tabs at once, renews in both, and signs out of both', async ({
  page,
  context,
  town,
  serve,
}) => {
  const url = await serve(async (url) => application(url, await town.register(registration(url))), 'localhost')
  const other = await context.newPage()
  for (const tab of [page, other]) {
    await tab.goto(url)
    await press(tab, 'Sign in')
    await expect(step(tab)).toHaveAttribute('data-step', 'identify')
  }
  for (const tab of [page, other]) {
    await signIn(tab, town.email)
    await expect(tab.getByRole('heading')).toHaveText(`Hello ${town.email}`)
  }
  await Promise.all([press(page, 'Renew'), press(other, 'Renew')])
  for (const tab of [page, other]) await expect(tab.getByRole('status')).toHaveText('Renewed by Bearer')
  await press(page, 'Renew in a frame')
  await expect(page.getByRole('status')).toHaveText('Renewed by Bearer')

  await press(page, 'Sign out')
  await expect(page).toHaveURL(`${url}/`)
  await expect(page.getByRole('heading')).toHaveText('Nobody')
  await press(other, 'Renew in a frame')
  await expect(other.getByRole('status')).toHaveText('Failed: login_required')
})

test('on another site than Lido, oidc-client-ts renews by refresh token and not in a frame', async ({
  page,
  town,
  serve,
}) => {
  const url = await serve(async (url) => application(url, await town.register(registration(url))))
  await signInAt(page, url, town.email)
  await press(page, 'Renew in a frame')
  await expect(page.getByRole('status')).toHaveText('Failed: login_required')
  await press(page, 'Renew')
  await expect(page.getByRole('status')).toHaveText('Renewed by Bearer')
})

test('oidc-client-ts proves its key, and its tokens are good with that only', async ({ page, town, serve }) => {
  const url = await serve(async (url) => {
    const client = await town.register({ ...registration(url), dpop_bound_access_tokens: true })
    return application(url, client, { dpop: true })
  })
  await signInAt(page, url, town.email)
  await press(page, 'Renew')
  await expect(page.getByRole('status')).toHaveText('Renewed by DPoP')
})
