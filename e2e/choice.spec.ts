import { identify, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { freshEmail, makePerson, makeWorkspace } from './world.ts'

const guests = { name: 'Guests', description: 'Everyone who books a hut', color: '#0b6e8f' }
const members = { name: 'Members', description: 'The bathing club', color: '#f2b705' }

test('someone chooses the pool that holds their account, after the wrong one', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [guests, members])
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[1])
  await page.goto(app.signIn())
  await expect(step(page)).toHaveAttribute('data-step', 'choose')
  await expect(page.getByRole('button', { name: 'Members' })).toHaveAccessibleDescription('The bathing club')
  await page.getByRole('button', { name: 'Guests' }).click()
  await expect(step(page)).toContainText('Guests')
  await page.getByRole('link', { name: 'Change' }).click()
  await page.getByRole('button', { name: 'Members' }).click()
  await signIn(page, email)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})

test('nobody chooses where there is one pool', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [guests, { ...members, hidden: true }])
  const app = await application({ workspace, name: 'Bathing huts' })
  await page.goto(app.signIn())
  await expect(step(page)).toHaveAttribute('data-step', 'identify')
})

test('the domain of an address tells its pool', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [
    guests,
    { ...members, domains: ['club.example.org'] },
  ])
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[1], freshEmail().replace('@', '@club.'))
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})

test('an address whose domain tells nothing leads to the choice, and is not asked for twice', async ({
  page,
  lido,
  application,
}) => {
  const pools = [guests, { ...members, domains: ['club.example.org'] }]
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, pools)
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn())
  await identify(page, email)
  await page.getByRole('button', { name: 'Guests' }).click()
  await expect(page.getByLabel('Password')).toBeFocused()
})
