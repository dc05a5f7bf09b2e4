import { step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace } from './world.ts'

const told = [
  ['a workspace that does not exist', '/w/nowhere/authorize', 'This workspace is not known here'],
  ['an application that is not registered', '/w/demo/authorize?client_id=nobody', 'This application is not known here'],
  ['a page that does not exist', '/nowhere', 'There is nothing here'],
  ['a sign-in that never began', '/w/demo/signin/nothing', 'This page has expired'],
] as const

for (const [what, address, title] of told) {
  test(`${what} meets a page that says so`, async ({ page, lido }) => {
    await page.goto(lido.url + address)
    await expect(step(page)).toHaveAttribute('data-step', 'problem')
    await expect(page.getByRole('heading')).toHaveText(title)
    await expect(page.getByText('Reference')).toBeVisible()
  })
}

test('an address that is not the application’s is never gone to', async ({ page, lido, application }) => {
  const app = await application({ workspace: await demoWorkspace(lido), name: 'Bathing huts' })
  await page.goto(app.signIn({ redirect_uri: `${app.url}/elsewhere` }))
  await expect(page.getByRole('heading')).toHaveText('This address is not known for the application')
  expect(new URL(page.url()).origin).toBe(lido.url)
})
