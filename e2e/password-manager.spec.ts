import type { Page } from '@playwright/test'
import { identify } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, makePerson, password } from './world.ts'

/** What a password manager sees of a form: the fields that say what they take, with what they hold. */
const offered = async (page: Page): Promise<string[]> => {
  const fields = await page.locator('form [autocomplete]').all()
  return Promise.all(
    fields.map(async (field) => `${await field.getAttribute('autocomplete')}=${await field.inputValue()}`),
  )
}

test('a password manager can tell what every field is for, and whose it is', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  expect(await offered(page)).toEqual(['username webauthn='])
  await page.getByRole('link', { name: 'Create an account' }).click()
  expect(await offered(page)).toEqual(['email=', 'given-name=', 'family-name=', 'new-password='])
  await page.getByRole('link', { name: 'I have an account' }).click()
  await identify(page, email)
  expect(await offered(page)).toEqual([`username=${email}`, 'current-password='])
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await page.getByRole('button', { name: 'Send me a code' }).click()
  expect(await offered(page)).toEqual(['one-time-code='])
})

test('a password manager files the new password under the right name', async ({ page, lido }) => {
  const email = freshEmail('nobody')
  await page.goto(`${lido.url}/w/demo/recover`)
  expect(await offered(page)).toEqual(['username='])
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  expect(await offered(page)).toEqual([`username=${email}`, 'one-time-code=', 'new-password='])
})

test('a password is pasted whole, however long', async ({ page, lido }) => {
  const long = password.repeat(20)
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Given name').evaluate((field) => field.removeAttribute('maxlength'))
  await page.getByLabel('Given name').fill(long)
  await page.keyboard.press('ControlOrMeta+A')
  await page.keyboard.press('ControlOrMeta+C')
  await page.getByLabel('Password').focus()
  await page.keyboard.press('ControlOrMeta+V')
  await expect(page.getByLabel('Password')).toHaveValue(long)
})
