import { signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, makePerson } from './world.ts'

test('a person allows an application of somebody else once, and is not asked again', async ({
  page,
  lido,
  application,
}) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Tide times', metadata: { first_party: false } })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'consent')
  await expect(step(page)).toContainText('Tide times asks for access to your account.')
  await expect(step(page)).toContainText(`You are signed in as ${email}`)
  await expect(page.getByRole('listitem').filter({ hasText: 'Your email address' })).toBeVisible()
  await page.getByRole('button', { name: 'Allow' }).click()
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
  await page.goto(app.signIn())
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
})

test('a person who denies goes back to the application, which learns nothing', async ({ page, lido, application }) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Tide times', metadata: { first_party: false } })
  await page.goto(app.signIn())
  await signIn(page, await makePerson(lido, workspace.pools[0]))
  await page.getByRole('button', { name: 'Deny' }).click()
  await expect(page.getByRole('heading')).toHaveText('Tide times was told: access_denied')
})
