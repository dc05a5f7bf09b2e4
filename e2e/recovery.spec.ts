import { giveCode, givePassword, identify, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, makePerson } from './world.ts'

const another = 'quite another long password'

test('someone who forgot the password sets a new one by code, and signs in with it', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, email)
  await page.getByRole('link', { name: 'Forgot your password?' }).click()
  await expect(page.getByLabel('Email')).toHaveValue(email)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  const { code } = await lido.message(email)
  await expect(page.getByLabel('Code')).toBeFocused()
  await page.getByLabel('New password').fill('short')
  await giveCode(page, code, 'Set new password')
  await expect(page.getByRole('alert')).toHaveText(/Please check these fields:\s*Code\s*New password/)
  await expect(page.getByLabel('Code')).toBeFocused()
  await expect(page.getByLabel('New password')).toHaveAccessibleDescription(/^Use 12 characters or more/)
  await page.getByLabel('New password').fill(another)
  await giveCode(page, code, 'Set new password')
  await expect(page.getByRole('status')).toHaveText('Your new password is set. Please sign in with it.')
  await givePassword(page)
  await expect(page.getByRole('alert')).toHaveText(/Those details are not right/)
  await givePassword(page, another)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
  expect((await lido.message(email, 1)).subject).toBe('Your password for Lido Demo was changed')
})

test('the link of the mail works on another device, and ends every session', async ({
  page,
  lido,
  another: device,
}) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await signIn(page, email)
  await expect(page).toHaveURL(`${lido.url}/demo`)
  await page.goto(`${lido.url}/w/demo/recover`)
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  const { link } = await lido.message(email)
  const phone = await (await device()).newPage()
  await phone.goto(link)
  await expect(phone.getByLabel('New password')).toBeFocused()
  await expect(step(phone)).toContainText(email)
  await phone.getByLabel('New password').fill(another)
  await phone.getByRole('button', { name: 'Set new password' }).click()
  await expect(phone.getByRole('status')).toContainText('Please sign in with your new password.')
  await page.goto(`${lido.url}/demo/login`)
  await expect(step(page)).toHaveAttribute('data-step', 'identify')
  await phone.goto(link)
  await expect(step(phone)).toHaveAttribute('data-step', 'problem')
})

test('an address that nobody has meets the same pages', async ({ page, lido }) => {
  const email = freshEmail('nobody')
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, email)
  await page.getByRole('link', { name: 'Forgot your password?' }).click()
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await expect(step(page)).toContainText(email)
  await page.getByLabel('New password').fill(another)
  await giveCode(page, '000000', 'Set new password')
  await expect(page.getByRole('alert')).toHaveText(/That code is not right/)
})
