import { expect, fill, follow, heading, press, test } from './operator.ts'
import { makeWorkspace } from './world.ts'

test('an operator finds the reason behind the reference of a page that somebody met', async ({
  operator,
  page,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Guests' }])
  const app = await application({ workspace, name: 'Bathing huts' })
  await page.goto(app.signIn({ redirect_uri: `${app.url}/elsewhere?secret=1` }))
  await expect(heading(page)).toHaveText('This address is not known for the application')
  const reference = (
    await page.locator('dl, p').filter({ hasText: 'Reference' }).locator('code').last().innerText()
  ).trim()

  await operator.goto(`${lido.url}/console`)
  await follow(operator, 'Sign-in X-ray')
  await expect(async () => {
    await fill(operator, { Reference: ` ${reference} ` })
    await press(operator, 'Look')
    await expect(operator.locator('.verdict')).toContainText('invalid_redirect_uri', { timeout: 500 })
  }).toPass()
  const failed = operator.getByRole('listitem').filter({ hasText: 'failed' })
  await expect(failed).toContainText(`redirect_uri – sent ${app.url}/elsewhere`)
  expect(await operator.content()).not.toContain('secret=1')
  await expect(operator.getByRole('link', { name: workspace.slug })).toBeVisible()
  await fill(operator, { Reference: 'nothing-like-it' })
  await press(operator, 'Look')
  await expect(operator.getByRole('alert')).toBeVisible()
})
