import { givePassword, identify, signIn, step } from './acts.ts'
import { expect, fill, follow, heading, press, test } from './operator.ts'
import { fresh, freshEmail, makePerson, makeWorkspace, password } from './world.ts'

test('an invited person registers by the link of the mail and signs in to the application', async ({
  operator,
  page,

  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  const app = await application({ workspace, name: 'Tide times' })
  const [pool] = workspace.pools
  const email = freshEmail()
  await operator.goto(`${lido.url}/console/pools/${pool?.slug}`)
  await follow(operator, 'Invitations', 'Invite somebody')
  await fill(operator, { Email: email, 'A few words from you': 'See you at the pool.' })
  await press(operator, 'Send the invitation')
  await expect(operator.getByRole('status')).toHaveText(`Invited: a message to ${email} is on its way.`)
  await expect(operator.getByText('pending', { exact: true })).toBeVisible()

  await lido.message(email)
  await page.goto(`${lido.url}/dev/inbox`)
  const mail = page.getByRole('article').filter({ hasText: email })
  await mail.getByRole('link').first().click()
  await expect(heading(page)).toHaveText('Welcome to Strandbad')
  await expect(page.getByText('See you at the pool.')).toBeVisible()
  await page.getByLabel('Password').fill(password)
  await press(page, 'Accept invitation')
  await expect(heading(page)).toHaveText('Welcome')

  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
  await operator.reload()
  await expect(operator.getByText('accepted', { exact: true })).toBeVisible()
  await follow(operator, 'To the user')
  await expect(operator.getByText('active', { exact: true })).toBeVisible()
})

test('someone whose password an operator set has to choose another when they sign in', async ({
  operator,
  page,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  const app = await application({ workspace, name: 'Tide times' })
  const email = freshEmail()
  await operator.goto(`${lido.url}/console/pools/${workspace.pools[0]?.slug}`)
  await follow(operator, 'Users', 'New user', 'Set a password')
  await fill(operator, { Email: email, Password: password })
  await operator.getByLabel('I know that this email is theirs').check()
  await expect(operator.getByLabel('They choose another one when they first sign in')).toBeChecked()
  await press(operator, 'Make the user')
  await expect(operator.getByRole('status')).toHaveText(`${email}. Made: they can sign in now.`)

  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(step(page)).toHaveAttribute('data-step', 'change')
  await expect(page.getByText('Your password was set for you.')).toBeVisible()
  await page.getByLabel('New password').fill(password)
  await press(page, 'Set new password')
  await expect(step(page)).toHaveAttribute('data-step', 'change')
  await page.getByLabel('New password').fill('a password of their own')
  await press(page, 'Set new password')
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
  await page.context().clearCookies()
  await page.goto(app.signIn())
  await identify(page, email)
  await givePassword(page)
  await expect(page.getByRole('alert')).toBeVisible()
  await givePassword(page, 'a password of their own')
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
})

test('an operator builds a tree of groups, and applications are told the paths', async ({
  operator,
  page,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  const app = await application({ workspace, name: 'Tide times' })
  const [pool] = workspace.pools
  const email = await makePerson(lido, pool)
  await operator.goto(`${lido.url}/console/pools/${pool?.slug}`)
  await follow(operator, 'Groups', 'New group')
  await fill(operator, { Name: 'Staff' })
  await press(operator, 'Make the group')
  await follow(operator, 'New group in it')
  await fill(operator, { Name: 'Lifeguards' })
  await press(operator, 'Make the group')
  await expect(operator.getByText('/Staff/Lifeguards')).toBeVisible()
  await fill(operator, { 'Find a user': email.slice(0, 8) })
  await press(operator, 'Find')
  await operator.getByRole('listitem').filter({ hasText: email }).getByRole('button', { name: 'Take in' }).click()
  await expect(operator.getByRole('row', { name: email })).toBeVisible()

  await follow(operator, 'Groups', 'New group')
  await fill(operator, { Name: 'Season ticket' })
  await press(operator, 'Make the group')
  await follow(operator, 'Users')
  await operator.getByRole('row', { name: email }).getByRole('link').click()
  await operator.getByLabel('Take into').selectOption({ label: '/Season ticket' })
  await press(operator, 'Take in')
  await follow(operator, 'Groups')
  const tree = operator.getByRole('main').getByRole('listitem').filter({ hasText: 'Staff' })
  await expect(tree.getByRole('link', { name: 'Lifeguards' })).toBeVisible()

  await page.goto(app.signIn({ scope: 'openid email groups' }))
  await signIn(page, email)
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
  const told = JSON.parse(await page.locator('pre').innerText())
  const groups = ['/Season ticket', '/Staff/Lifeguards']
  expect(told).toMatchObject({ id_token: { groups }, userinfo: { groups } })
})

test('someone who is deactivated is out of their application within five seconds', async ({
  operator,
  page,
  lido,
  application,
}) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  const app = await application({ workspace, name: 'Tide times' })
  const [pool] = workspace.pools
  const email = await makePerson(lido, pool)
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
  await page.goto(app.refresh)
  await expect(heading(page)).toHaveText('Tide times has new tokens')

  await operator.goto(`${lido.url}/console/pools/${pool?.slug}/users`)
  await fill(operator, { Search: email })
  await press(operator, 'Search')
  await operator.getByRole('row', { name: email }).getByRole('link').click()
  await press(operator, 'Deactivate')
  const since = Date.now()
  await expect(operator.getByRole('status')).toHaveText('Deactivated, and signed out everywhere.')
  await expect(async () => {
    await page.goto(app.refresh)
    await expect(heading(page)).toHaveText('Tide times was told: invalid_grant')
  }).toPass({ timeout: 5_000 })
  expect(Date.now() - since).toBeLessThan(5_000)
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(page.getByRole('alert')).toBeVisible()

  await press(operator, 'Reactivate')
  await expect(operator.getByRole('status')).toHaveText('Active again.')
  await page.goto(app.refresh)
  await expect(heading(page)).toHaveText('Tide times was told: invalid_grant')
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(heading(page)).toHaveText(`Tide times knows ${email}`)
})
