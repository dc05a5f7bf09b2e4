import { giveCode, identify } from './acts.ts'
import { expect, test } from './story.ts'
import { makePerson, makeWorkspace, password } from './world.ts'

const linked = { name: 'Guests', settings: { sign_in_methods: ['magic_link' as const, 'password' as const] } }

test('the link of a mail and one click sign in where the sign-in began', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [linked])
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn())
  await identify(page, email)
  await expect(page.getByText('Open it in this browser')).toBeVisible()
  const mailed = await page.context().newPage()
  await mailed.goto((await lido.message(email)).link)
  await expect(mailed.getByText(email)).toBeVisible()
  await mailed.getByRole('button', { name: 'Continue' }).click()
  await expect(mailed.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})

test('on another device the link shows a code, which signs in where the sign-in began', async ({
  page,
  another,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [linked])
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn())
  await identify(page, email)
  const phone = await (await another({ viewport: { width: 320, height: 640 }, colorScheme: 'dark' })).newPage()
  await phone.goto((await lido.message(email)).link)
  await expect(phone.getByRole('button')).toHaveCount(0)
  const code = (await phone.getByText(/^\d{6}$/).textContent()) ?? ''
  await giveCode(page, code, 'Continue')
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})

test('someone registers with a mobile number, and comes back by a text', async ({
  page,
  another,
  lido,
  application,
}) => {
  const settings = {
    identifiers: ['email' as const, 'mobile' as const],
    sign_in_methods: ['password' as const, 'sms_code' as const],
    self_registration: true,
    default_country: 'CH',
  }
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Guests', settings }])
  const app = await application({ workspace, name: 'Bathing huts' })
  await page.goto(app.signIn())
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email or mobile').fill('079 765 43 21')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page.getByRole('heading')).toHaveText('Check your phone')
  await giveCode(page, (await lido.message('+41797654321')).code, 'Continue')
  await expect(page).toHaveURL(new RegExp(`^${app.url}`))
  const later = await (await another()).newPage()
  await later.goto(app.signIn())
  await identify(later, '+41 79 765 43 21')
  await expect(later.getByLabel('Password')).toBeFocused()
  await later.getByRole('link', { name: 'Sign in another way' }).click()
  await later.getByRole('button', { name: 'Text me a code' }).click()
  await expect(later.getByLabel('Code')).toHaveAttribute('autocomplete', 'one-time-code')
  await giveCode(later, (await lido.message('+41797654321', 1)).code, 'Sign in')
  await expect(later).toHaveURL(new RegExp(`^${app.url}`))
})
