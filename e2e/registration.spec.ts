import type { Page } from '@playwright/test'
import { giveCode, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, makePerson, password } from './world.ts'

const fillIn = async (page: Page, email: string): Promise<void> => {
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Given name').fill('Ada')
  await page.getByLabel('Family name').fill('Lovelace')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
}

test('a newcomer registers with the code from the inbox and sees the claims', async ({ page, context, lido }) => {
  const email = freshEmail()
  await page.goto(lido.url)
  await page.getByRole('link', { name: `${lido.url}/demo` }).click()
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('link', { name: 'Create an account' }).click()
  await expect(page.getByLabel('Email')).toBeFocused()
  await fillIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'verify')
  await expect(page.getByLabel('Code')).toBeFocused()

  await lido.message(email)
  const inbox = await context.newPage()
  await inbox.goto(`${lido.url}/dev/inbox`)
  const mail = inbox.getByRole('article').filter({ hasText: email })
  await expect(mail.getByRole('heading')).toHaveText('Your code to create an account with Lido Demo')
  const code = (await mail.getByRole('code').textContent()) ?? ''

  await giveCode(page, code, 'Continue')
  await expect(page.getByRole('heading')).toHaveText('You are signed in')
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
  await expect(page.getByRole('row', { name: 'email_verified true' })).toBeVisible()
  await expect(page.getByRole('row', { name: 'family_name Lovelace' })).toBeVisible()
})

test('what is missing is named at its field, the rest is kept, and the focus is at the first', async ({
  page,
  lido,
}) => {
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email').fill(freshEmail())
  await page.getByLabel('Family name').fill('Lovelace')
  await page.getByLabel('Password').fill('short')
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page.getByRole('alert')).toHaveText(/Please check these fields:\s*Given name\s*Password/)
  await expect(page.getByLabel('Given name')).toBeFocused()
  await expect(page.getByLabel('Given name')).toHaveAccessibleDescription('Please fill this in')
  await expect(page.getByLabel('Family name')).toHaveValue('Lovelace')
  await expect(page.getByLabel('Password')).toHaveValue('')
  await page.getByRole('alert').getByRole('link', { name: 'Password' }).click()
  await expect(page.getByLabel('Password')).toBeFocused()
})

test('a wrong code, a new one and a mistyped address do not stop a newcomer', async ({ page, lido }) => {
  const [typo, email] = [freshEmail('typo'), freshEmail()]
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await fillIn(page, typo)
  await page.getByRole('button', { name: 'Use another address' }).click()
  await expect(page.getByLabel('Email')).toHaveValue(typo)
  await expect(page.getByLabel('Given name')).toHaveValue('Ada')
  await fillIn(page, email)
  const first = await lido.message(email)
  await page.getByRole('button', { name: 'Send me a new code' }).click()
  await expect(page.getByRole('status')).toHaveText('A new code is on its way.')
  const second = await lido.message(email, 1)
  if (first.code !== second.code) {
    await giveCode(page, first.code, 'Continue')
    await expect(page.getByRole('alert')).toHaveText(/That code is not right/)
    await expect(page.getByLabel('Code')).toBeFocused()
  }
  await giveCode(page, second.code, 'Continue')
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
})

test('an address that is taken meets the same page, and its owner is told', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await fillIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'verify')
  await expect(step(page)).toContainText(email)
  expect((await lido.message(email)).subject).toBe('You already have an account with Lido Demo')
  await page.goto(`${lido.url}/demo/login`)
  await signIn(page, email)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
})
