import { giveCode, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, makePerson, password } from './world.ts'

test.use({ javaScriptEnabled: false })

test('someone registers, signs out and signs in without JavaScript', async ({ page, lido }) => {
  const email = freshEmail()
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Given name').fill('Ada')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page.getByLabel('Code')).toBeFocused()
  await giveCode(page, (await lido.message(email)).code, 'Continue')
  await page.getByRole('link', { name: 'Sign out' }).click()
  await page.getByRole('link', { name: 'Sign in' }).click()
  await signIn(page, email)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
})

test('someone allows an application without JavaScript', async ({ page, lido, application }) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Tide times', metadata: { first_party: false } })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'consent')
  await page.getByRole('button', { name: 'Allow' }).click()
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
})
