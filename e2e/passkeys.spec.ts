import type { Page } from '@playwright/test'
import * as users from '../src/directory/users.ts'
import { givePasskey } from '../src/pages/passkeys-testing.ts'
import type { TestLido } from '../src/testing.ts'
import { giveCode, givePassword, identify, signIn, step } from './acts.ts'
import { plugIn } from './authenticator.ts'
import { expect, test } from './story.ts'
import { freshEmail, makePerson, makeWorkspace } from './world.ts'

const usePasskey = (page: Page) => page.getByRole('button', { name: 'Use a passkey' })
const addPasskey = (page: Page) => page.getByRole('button', { name: 'Add a passkey' })

type PoolSettings = NonNullable<Parameters<typeof makeWorkspace>[2][number]['settings']>

const makePlace = async (lido: TestLido, settings: PoolSettings = {}) => {
  const methods = ['password', 'passkey', 'email_code'] as const
  const pool = { name: 'Guests', settings: { sign_in_methods: [...methods], self_registration: true, ...settings } }
  return makeWorkspace(lido, { name: 'Strandbad Lindau' }, [pool])
}

/** The script has said what the browser can: nothing tells a person so, and they take longer than it anyway. */
const ready = (page: Page) => expect(page.locator('form input[name=passkeys]').first()).toBeAttached()

test('someone adds a passkey as they sign in, and comes back by autofill, without typing anything', async ({
  page,
  lido,
  application,
}) => {
  const workspace = await makePlace(lido)
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, workspace.pools[0])
  const authenticator = await plugIn(page)
  await page.goto(app.signIn())
  await ready(page)
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in faster next time')
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  expect(await authenticator.held()).toBe(1)
  await page.context().clearCookies()
  await page.goto(app.signIn())
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
})

test('someone comes back by the button', async ({ page, lido, application }) => {
  const workspace = await makePlace(lido)
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, workspace.pools[0])
  const authenticator = await plugIn(page)
  await page.goto(app.signIn())
  await ready(page)
  await signIn(page, email)
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  await page.context().clearCookies()
  await authenticator.attend(false)
  await page.goto(app.signIn())
  await expect(page.getByLabel('Email')).toHaveAttribute('autocomplete', 'username webauthn')
  await expect(usePasskey(page)).toBeVisible()
  await authenticator.attend(true)
  await usePasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
})

test('someone who wants no passkey now is not asked at the next sign-in', async ({ page, lido, application }) => {
  const workspace = await makePlace(lido)
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await plugIn(page)
  for (const asked of [true, false]) {
    await page.goto(app.signIn({ prompt: 'login' }))
    await ready(page)
    await signIn(page, email)
    if (asked) await page.getByRole('button', { name: 'Not now' }).click()
    await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  }
})

test('someone registers by a code and a passkey, where there are no passwords', async ({ page, lido, application }) => {
  const workspace = await makePlace(lido, { sign_in_methods: ['passkey', 'email_code'] })
  const app = await application({ workspace, name: 'Huts' })
  const email = freshEmail()
  const authenticator = await plugIn(page)
  await page.goto(app.signIn())
  await page.getByRole('link', { name: 'Create an account' }).click()
  await ready(page)
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Create account' }).click()
  await giveCode(page, (await lido.message(email)).code, 'Continue')
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  await page.context().clearCookies()
  await authenticator.attend(false)
  await page.goto(app.signIn())
  await identify(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Use your passkey')
  await authenticator.attend(true)
  await usePasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
})

test('two passkeys of one person, on two devices, each let them in', async ({ page, another, lido, application }) => {
  const workspace = await makePlace(lido)
  const [pool] = workspace.pools
  if (!pool) throw new Error('There is no pool.')
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, pool)
  const identifier = { kind: 'email', value: email, typed: email } as const
  const person = await users.findByIdentifier(lido.services.db, pool.id, identifier)
  const phone = await (await another()).newPage()
  const [laptop, mobile] = [await plugIn(page), await plugIn(phone)]
  await page.goto(app.signIn())
  await ready(page)
  await signIn(page, email)
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  await page.context().clearCookies()
  await mobile.put(await givePasskey(lido, pool, person?.id ?? ''))
  expect([await laptop.held(), await mobile.held()]).toEqual([1, 1])
  for (const device of [page, phone]) {
    await device.goto(app.signIn())
    await expect(device.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  }
})

test('a passkey is the second factor after a password, made in the sign-in and used in the next', async ({
  page,
  lido,
  application,
}) => {
  const workspace = await makePlace(lido, {
    sign_in_methods: ['password'],
    second_factor: 'required',
    second_factors: ['passkey', 'totp'],
  })
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await plugIn(page)
  await page.goto(app.signIn())
  await expect(usePasskey(page)).toHaveCount(0)
  await signIn(page, email)
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Add a passkey')
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  await page.context().clearCookies()
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Use your passkey')
  await usePasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
})

test('the passkey of one person does not let them in as another', async ({ page, lido, application }) => {
  const workspace = await makePlace(lido, { sign_in_methods: ['passkey', 'password'] })
  const app = await application({ workspace, name: 'Huts' })
  const [mike, pia] = [await makePerson(lido, workspace.pools[0]), await makePerson(lido, workspace.pools[0])]
  const authenticator = await plugIn(page)
  await page.goto(app.signIn())
  await ready(page)
  await identify(page, mike)
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await page.getByRole('button', { name: 'Use your password' }).click()
  await givePassword(page)
  await addPasskey(page).click()
  await expect(page.getByRole('heading')).toHaveText(`Huts knows ${mike}`)
  await page.context().clearCookies()
  await authenticator.attend(false)
  await page.goto(app.signIn())
  await identify(page, pia)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Use your passkey')
  await authenticator.attend(true)
  await usePasskey(page).click()
  await expect(page.getByRole('alert')).toHaveText(/That passkey does not work here/)
  await expect(page.getByText(pia)).toBeVisible()
})

test('what an authenticator cannot do is said, and other ways stay open', async ({ page, lido, application }) => {
  const workspace = await makePlace(lido)
  const app = await application({ workspace, name: 'Huts' })
  const email = await makePerson(lido, workspace.pools[0])
  await plugIn(page)
  await page.goto(app.signIn())
  await usePasskey(page).click()
  await expect(page.getByRole('status').filter({ hasText: 'You can try again' })).toBeVisible()
  await expect(usePasskey(page)).toBeEnabled()
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in faster next time')
})

test('a page that stays open asks with a challenge that is still good', async ({ page, lido, application }) => {
  await page.clock.install()
  const workspace = await makePlace(lido)
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  const box = page.locator('[data-passkey]')
  const before = await box.getAttribute('data-options')
  await page.clock.runFor(241_000)
  await expect(box).not.toHaveAttribute('data-options', before ?? '')
})

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false })

  test('nothing that needs it is shown, and the other ways lead in', async ({ page, lido, application }) => {
    const workspace = await makePlace(lido, { sign_in_methods: ['passkey', 'password'] })
    const app = await application({ workspace, name: 'Huts' })
    const email = await makePerson(lido, workspace.pools[0])
    await page.goto(app.signIn())
    await expect(usePasskey(page)).toBeHidden()
    await identify(page, email)
    await expect(usePasskey(page)).toBeHidden()
    await expect(page.getByText('Passkeys need a browser that knows them')).toBeVisible()
    await page.getByRole('link', { name: 'Sign in another way' }).click()
    await expect(usePasskey(page)).toBeHidden()
    await page.getByRole('button', { name: 'Use your password' }).click()
    await givePassword(page)
    await expect(page.getByRole('heading')).toHaveText(`Huts knows ${email}`)
  })

  test('who has to get a factor is shown those that can be had', async ({ page, lido, application }) => {
    const workspace = await makePlace(lido, { second_factor: 'required', second_factors: ['passkey', 'totp'] })
    const app = await application({ workspace, name: 'Huts' })
    await page.goto(app.signIn())
    await signIn(page, await makePerson(lido, workspace.pools[0]))
    await expect(step(page)).toHaveAttribute('data-step', 'enrol')
    await expect(addPasskey(page)).toBeHidden()
    await expect(page.getByRole('button', { name: 'Set up an authenticator app' })).toBeVisible()
  })
})
