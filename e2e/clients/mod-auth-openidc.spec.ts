import { startApache } from './apache.ts'
import { test as base, expect, type Registered, signInAt } from './app.ts'

const test = base.extend<{ huts: string }>({
  // An Apache that the town's people sign in at.
  huts: async ({ town }, use) => {
    const register = (url: string): Promise<Registered> =>
      town.register({
        redirect_uris: [`${url}/in/redirect`],
        post_logout_redirect_uris: [`${url}/`],
        backchannel_logout_uri: `${url}/in/redirect?logout=backchannel`,
      })
    const { url, stop } = await startApache(register)
    await use(url)
    await stop()
  },
})

test('Apache lets in whoever signs in, and signs them out', async ({ page, town, huts }) => {
  await signInAt(page, huts, town.email)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(`${huts}/`)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await expect(page).toHaveURL(new RegExp(`^${town.issuer}/`))
})

test('Apache forgets whoever signs out elsewhere', async ({ page, town, huts }) => {
  await signInAt(page, huts, town.email)
  await page.goto(`${town.issuer}/logout`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading')).toHaveText('You are signed out')
  await expect(async () => {
    await page.goto(`${huts}/in`)
    expect(page.url()).toContain(town.issuer)
  }).toPass({ timeout: 10_000 })
})
