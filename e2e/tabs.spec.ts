import { givePassword, identify, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, makePerson } from './world.ts'

test('two tabs of one browser sign in side by side', async ({ page, context, lido, application }) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[0])
  const second = await context.newPage()
  await page.goto(app.signIn())
  await second.goto(app.signIn())
  await identify(page, email)
  await signIn(second, email)
  await expect(second.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
  await givePassword(page)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})

test('a tab that fell behind is shown where the other one went, and its answer is taken for nothing else', async ({
  page,
  context,
  lido,
}) => {
  const pool = (await demoWorkspace(lido)).pools[0]
  const [ada, grace] = [await makePerson(lido, pool), await makePerson(lido, pool)]
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, ada)
  const second = await context.newPage()
  await second.goto(page.url())
  await second.getByRole('link', { name: 'Not you?' }).click()
  await identify(second, grace)
  await expect(step(second)).toContainText(grace)
  await givePassword(page)
  await expect(step(page)).toContainText(grace)
  await expect(page.getByRole('alert')).toHaveCount(0)
  await givePassword(page)
  await expect(page.getByRole('row', { name: `email ${grace}` })).toBeVisible()
  await givePassword(second)
  await expect(step(second)).toHaveAttribute('data-step', 'problem')
  await expect(second.getByRole('alert')).toHaveText(/This page has expired/)
})

test('back and reload lead somewhere sensible', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, 'ada@')
  await identify(page, email)
  await givePassword(page, 'wrong wrong wrong')
  await expect(page.getByRole('alert')).toBeVisible()
  await page.reload()
  await expect(page.getByLabel('Password')).toBeFocused()
  await page.goBack()
  await expect(step(page)).toHaveAttribute('data-step', /demo|prove|identify/)
  await page.goForward()
  await givePassword(page)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
  await page.goBack()
  await expect(page.getByRole('heading')).not.toHaveText('Something went wrong')
})

test('a sign-in cannot be taken to another browser', async ({ page, another, lido }) => {
  await page.goto(`${lido.url}/demo/login`)
  const elsewhere = await (await another()).newPage()
  await elsewhere.goto(page.url())
  await expect(step(elsewhere)).toHaveAttribute('data-step', 'problem')
  await expect(elsewhere.getByRole('alert')).toHaveText(/This page has expired/)
})
