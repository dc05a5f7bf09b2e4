import { giveCode, givePassword, identify, signIn, step } from './acts.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, freshEmail, makePerson, password } from './world.ts'

test('someone known signs in with a password, and the application sees the claims', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo`)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await expect(page.getByLabel('Email')).toBeFocused()
  await identify(page, email)
  await expect(page.getByLabel('Password')).toBeFocused()
  await expect(page.getByText(email)).toBeVisible()
  await givePassword(page)
  await expect(page).toHaveURL(`${lido.url}/demo`)
  await expect(page.getByRole('row', { name: `email ${email}` })).toBeVisible()
  await expect(page.getByRole('row', { name: 'given_name Ada' })).toBeVisible()
})

test('a wrong password and an unknown address meet the same words, with the focus where typing goes on', async ({
  page,
  another,
  lido,
}) => {
  const known = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  const strangers = await (await another()).newPage()
  const said: unknown[] = []
  for (const [browser, email] of [
    [page, known],
    [strangers, freshEmail('absent')],
  ] as const) {
    await browser.goto(`${lido.url}/demo/login`)
    await identify(browser, email)
    await givePassword(browser, 'wrong wrong wrong')
    await expect(browser.getByRole('alert')).toHaveText(/Those details are not right/)
    await expect(browser.getByLabel('Password')).toBeFocused()
    await expect(browser.getByLabel('Password')).toHaveValue('')
    said.push((await step(browser).textContent())?.replaceAll(email, '…'))
  }
  expect(said[1]).toBe(said[0])
  await givePassword(page)
  await expect(page).toHaveURL(`${lido.url}/demo`)
})

test('what is no address is named at its field, and kept to be corrected', async ({ page, lido }) => {
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, 'ada@')
  await expect(page.getByRole('alert')).toHaveText(/Enter an email address/)
  await expect(page.getByLabel('Email')).toBeFocused()
  await expect(page.getByLabel('Email')).toHaveValue('ada@')
  await expect(page.getByLabel('Email')).toHaveAttribute('aria-invalid', 'true')
  await expect(page.getByLabel('Email')).toHaveAccessibleDescription(/Enter an email address/)
})

test('a code by mail signs in as well, also after a wrong one and a new one', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, email)
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await expect(page.getByLabel('Code')).toBeFocused()
  await giveCode(page, '000000', 'Sign in')
  await expect(page.getByRole('alert')).toHaveText(/That code is not right/)
  await expect(page.getByLabel('Code')).toBeFocused()
  await lido.message(email)
  await page.getByRole('button', { name: 'Send me a new code' }).click()
  await expect(page.getByRole('status')).toHaveText('A new code is on its way.')
  await giveCode(page, (await lido.message(email, 1)).code, 'Sign in')
  await expect(page).toHaveURL(`${lido.url}/demo`)
})

test('someone else says so, and signs in instead', async ({ page, lido }) => {
  const pool = (await demoWorkspace(lido)).pools[0]
  const [ada, grace] = [await makePerson(lido, pool), await makePerson(lido, pool, freshEmail('grace'))]
  await page.goto(`${lido.url}/demo/login`)
  await identify(page, ada)
  await page.getByRole('link', { name: 'Not you?' }).click()
  await expect(page.getByLabel('Email')).toHaveValue(ada)
  await signIn(page, grace)
  await expect(page.getByRole('row', { name: `email ${grace}` })).toBeVisible()
})

test('an application on another origin gets the person back', async ({ page, lido, application }) => {
  const workspace = await demoWorkspace(lido)
  const app = await application({ workspace, name: 'Bathing huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await page.goto(app.signIn({ login_hint: email }))
  await expect(page.getByText('to continue to Bathing huts')).toBeVisible()
  await expect(page.getByLabel('Email')).toHaveValue(email)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByLabel('Password').fill(password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading')).toHaveText(`Bathing huts knows ${email}`)
})
