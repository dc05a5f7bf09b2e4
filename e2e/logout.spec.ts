import { signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, makePerson } from './world.ts'

test('the application signs its person out, and the next sign-in asks again', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await signIn(page, email)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(`${lido.url}/demo`)
  await expect(page.getByRole('heading')).toHaveText('Demo application')
  await page.getByRole('link', { name: 'Sign in' }).click()
  await expect(page.getByLabel('Email')).toBeFocused()
})

test('nobody is signed out by a link alone: it asks, and takes no for an answer', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await signIn(page, email)
  await expect(page).toHaveURL(`${lido.url}/demo`)
  await page.goto(`${lido.url}/w/demo/logout`)
  await expect(step(page)).toHaveAttribute('data-step', 'logout')
  await page.getByRole('button', { name: 'Stay signed in' }).click()
  await page.goto(`${lido.url}/demo/login`)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()

  await page.goto(`${lido.url}/w/demo/logout`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading')).toHaveText('You are signed out')
  await page.goto(`${lido.url}/demo/login`)
  await expect(page.getByLabel('Email')).toBeFocused()
})

test('signing out once more does no harm', async ({ page, lido }) => {
  await page.goto(`${lido.url}/w/demo/logout`)
  await expect(page.getByRole('heading')).toHaveText('You are signed out')
})
