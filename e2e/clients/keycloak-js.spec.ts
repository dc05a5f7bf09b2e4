import { expect, inBrowser, signInAt, test } from './app.ts'

const files = {
  '/': 'keycloak-js.html',
  '/silent': 'keycloak-js-silent.html',
  '/keycloak.js': import.meta.resolve('keycloak-js'),
}
const resource = 'https://api.example/huts'

test('keycloak-js signs in, finds the session in a second tab, renews and signs out', async ({
  page,
  context,
  town,
  serve,
}) => {
  const url = await serve(async (url) => {
    const { issuer, id } = await town.register({
      token_endpoint_auth_method: 'none',
      redirect_uris: [`${url}/`, `${url}/silent`],
      post_logout_redirect_uris: [`${url}/`],
      resources: { [resource]: [] },
    })
    return inBrowser({ oidcProvider: issuer, clientId: id, resource }, files)
  }, 'localhost')
  await signInAt(page, url, town.email)

  const other = await context.newPage()
  await other.goto(url)
  await expect(other.getByRole('heading')).toHaveText(`Hello ${town.email}`)
  for (const tab of [page, other]) {
    await tab.getByRole('button', { name: 'Renew' }).click()
    await expect(tab.getByRole('status')).toHaveText(`Renewed for ${resource}`)
  }

  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(`${url}/`)
  await expect(page.getByRole('heading')).toHaveText('Nobody')
  await other.getByRole('button', { name: 'Renew' }).click()
  await expect(other.getByRole('status')).toHaveText('Not renewed')
})
