import { signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, makePerson } from './world.ts'

test('a second application finds the person signed in, and asks only when it insists', async ({
  page,
  lido,
  application,
}) => {
  const workspace = await demoWorkspace(lido)
  const huts = await application({ workspace, name: 'Bathing huts' })
  const tides = await application({ workspace, name: 'Tide times' })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(huts.signIn())
  await signIn(page, email)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
  await page.goto(tides.signIn())
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
  await page.goto(tides.signIn({ prompt: 'login' }))
  await expect(step(page)).toHaveAttribute('data-step', 'identify')
  await signIn(page, email)
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
})

test('another person in the same browser takes over, where the application asks which account', async ({
  page,
  lido,
  application,
}) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Bathing huts' })
  const [ada, grace] = [await makePerson(lido, workspace.pools[0]), await makePerson(lido, workspace.pools[0])]
  await page.goto(app.signIn())
  await signIn(page, ada)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${ada}`)
  await page.goto(app.signIn({ prompt: 'select_account' }))
  await signIn(page, grace)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${grace}`)
  await page.goto(app.signIn())
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${grace}`)
})

test('an application that may not ask learns that nobody is there', async ({ page, lido, application }) => {
  const app = await application({ workspace: await demoWorkspace(lido), name: 'Bathing huts' })
  await page.goto(app.signIn({ prompt: 'none' }))
  await expect(page.getByRole('heading')).toHaveText('Bathing huts was told: login_required')
})
