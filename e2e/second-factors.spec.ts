import { randomInt } from 'node:crypto'
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { generateSync } from 'otplib'
import { readIdentifier } from '../src/directory/identifiers.ts'
import type { Pool } from '../src/directory/pools.ts'
import * as identifiers from '../src/directory/user-identifiers.ts'
import * as users from '../src/directory/users.ts'
import { givePasskey } from '../src/pages/passkeys-testing.ts'
import { giveTotp } from '../src/pages/second-factor-testing.ts'
import { renewCodes } from '../src/signin/recovery-codes.ts'
import type { TestLido } from '../src/testing.ts'
import { giveCode, identify, signIn } from './acts.ts'
import { plugIn } from './authenticator.ts'
import { expect, test } from './story.ts'
import { makePerson, makeWorkspace } from './world.ts'

type Settings = NonNullable<Parameters<typeof makeWorkspace>[2][number]['settings']>

/** A workspace with one pool, and somebody in it. */
const makePlace = async (lido: TestLido, settings: Settings) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members', settings }])
  const [pool] = workspace.pools
  if (!pool) throw new Error('There is no pool.')
  const email = await makePerson(lido, pool)
  const person = await users.findByIdentifier(lido.services.db, pool.id, { kind: 'email', value: email, typed: email })
  if (!person) throw new Error(`There is nobody at ${email}.`)
  return { workspace, pool, email, id: person.id, account: `${lido.url}/w/${workspace.slug}/account` }
}

/** Gives somebody a mobile number that they proved long ago; answers it. */
const giveNumber = async ({ services: { db, clock } }: TestLido, pool: Pool, userId: string): Promise<string> => {
  const number = `+4179${randomInt(2_000_000, 9_999_999)}`
  const identifier = readIdentifier(number, ['mobile'])
  if (!identifier) throw new Error(`${number} is no mobile number.`)
  await identifiers.add(db, clock.now(), pool.id, userId, [{ ...identifier, verified: true }])
  return number
}

/** What an authenticator shows now, or `ahead` seconds later: a code is good once. */
const codeOf = (secret: string, ahead = 0) => generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + ahead })

const knows = (page: Page, app: string, email: string) =>
  expect(page.getByRole('heading')).toHaveText(`${app} knows ${email}`)

/** How surely the ID token says that somebody is known, and by what. */
const told = async (page: Page): Promise<{ acr: string; amr: string[] }> => {
  const { acr, amr } = JSON.parse(await page.locator('pre').innerText()).id_token
  return { acr, amr }
}

const otherWay = async (page: Page, name: string): Promise<void> => {
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await page.getByRole('button', { name }).click()
}

const onlyWay = async (page: Page): Promise<void> => {
  await expect(page.getByRole('link', { name: 'Sign in another way' })).toHaveCount(0)
  await expect(page.getByRole('link', { name: 'Forgot your password?' })).toHaveCount(0)
}

const faultsOf = async (page: Page) => (await new AxeBuilder({ page }).analyze()).violations

const one = 'urn:lido:acr:1fa'
const two = 'urn:lido:acr:2fa'
const both = { identifiers: ['email' as const, 'mobile' as const], second_factor: 'required' as const }

test('a code by mail follows a code by text', async ({ page, lido, application }) => {
  const settings: Settings = { ...both, sign_in_methods: ['sms_code', 'password'], second_factors: ['email_code'] }
  const { workspace, pool, email, id } = await makePlace(lido, settings)
  const number = await giveNumber(lido, pool, id)
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await identify(page, number)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Check your phone')
  await giveCode(page, (await lido.message(number)).code, 'Sign in')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Check your email')
  await expect(page.getByRole('link', { name: 'Sign in another way' })).toHaveCount(0)
  await giveCode(page, (await lido.message(email)).code, 'Sign in')
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: two, amr: ['sms', 'otp', 'mfa'] })
})

test('a code by text follows a password, also after a wrong one', async ({ page, lido, application }) => {
  const settings: Settings = { ...both, sign_in_methods: ['password'], second_factors: ['sms_code'] }
  const { workspace, pool, email, id } = await makePlace(lido, settings)
  const number = await giveNumber(lido, pool, id)
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Check your phone')
  await expect(page.getByLabel('Code')).toHaveAttribute('autocomplete', 'one-time-code')
  const { code } = await lido.message(number)
  await giveCode(page, code === '000000' ? '000001' : '000000', 'Sign in')
  await expect(page.getByRole('alert')).toHaveText(/That code is not right/)
  await expect(page.getByLabel('Code')).toBeFocused()
  expect(await faultsOf(page)).toEqual([])
  await giveCode(page, code, 'Sign in')
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: two, amr: ['pwd', 'sms', 'mfa'] })
})

test('a recovery code comes in the place of the authenticator, once, and the account says how many are left', async ({
  page,
  another,
  lido,
  application,
}) => {
  const { workspace, pool, email, id, account } = await makePlace(lido, { second_factor: 'optional' })
  const { db, clock } = lido.services
  await giveTotp(lido, pool, id)
  const [code = '', next = ''] = await renewCodes(db, clock.now(), pool.id, id)
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await signIn(page, email)
  await otherWay(page, 'Use a recovery code')
  await expect(page.getByLabel('Code')).toHaveAttribute('autocomplete', 'off')
  expect(await faultsOf(page)).toEqual([])
  await giveCode(page, code.toLowerCase().replaceAll('-', ' '), 'Sign in')
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: two, amr: ['pwd', 'otp', 'mfa'] })
  await page.goto(`${account}/factors`)
  await expect(page.getByText('9 left')).toBeVisible()
  expect((await lido.message(email)).subject).toContain('recovery code was used')

  const thief = await (await another()).newPage()
  await thief.goto(app.signIn())
  await signIn(thief, email)
  await otherWay(thief, 'Use a recovery code')
  await giveCode(thief, code, 'Sign in')
  await expect(thief.getByRole('alert')).toHaveText(/That code is not right/)
  await page.reload()
  await expect(page.getByText('9 left')).toBeVisible()
  await giveCode(thief, next, 'Sign in')
  await knows(thief, 'Huts', email)
  await page.reload()
  await expect(page.getByText('8 left')).toBeVisible()
})

test('a browser that is remembered is spared the second factor, alone, and until it is forgotten', async ({
  page,
  another,
  lido,
  application,
}) => {
  const settings: Settings = { second_factor: 'optional', remember_device_days: 30 }
  const { workspace, pool, email, id, account } = await makePlace(lido, settings)
  const secret = await giveTotp(lido, pool, id)
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await signIn(page, email)
  await expect(page.getByLabel('Do not ask on this device for 30 days')).not.toBeChecked()
  await page.getByLabel('Do not ask on this device for 30 days').check()
  await giveCode(page, codeOf(secret), 'Sign in')
  await knows(page, 'Huts', email)
  await page.goto(app.signIn({ prompt: 'login' }))
  await signIn(page, email)
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: one, amr: ['pwd'] })
  await page.goto(app.signIn({ acr_values: two }))
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Enter the code of your app')

  const phone = await (await another()).newPage()
  await phone.goto(app.signIn())
  await signIn(phone, email)
  await expect(phone.getByRole('heading', { level: 1 })).toHaveText('Enter the code of your app')

  await page.goto(`${account}/sessions`)
  await expect(page.getByText('Browsers that are not asked for the second factor')).toBeVisible()
  expect(await faultsOf(page)).toEqual([])
  await page.getByRole('button', { name: 'Forget' }).click()
  await expect(page.getByRole('status')).toHaveText('It was removed.')
  await expect(page.getByRole('button', { name: 'Forget' })).toHaveCount(0)
  await page.goto(app.signIn({ prompt: 'login' }))
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Enter the code of your app')
  await giveCode(page, codeOf(secret, 30), 'Sign in')
  await knows(page, 'Huts', email)
  expect((await told(page)).acr).toBe(two)
})

test('an application that wants two factors has somebody who is signed in prove only the second', async ({
  page,
  lido,
  application,
}) => {
  const { workspace, pool, email, id } = await makePlace(lido, { second_factor: 'optional' })
  const huts = await application({ workspace, name: 'Huts' })
  const bank = await application({ workspace, name: 'Till' })
  await page.goto(huts.signIn())
  await signIn(page, email)
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: one, amr: ['pwd'] })
  const secret = await giveTotp(lido, pool, id)
  await page.goto(bank.signIn({ acr_values: two, prompt: 'none' }))
  await knows(page, 'Till', email)
  expect((await told(page)).acr).toBe(one)

  await page.goto(bank.signIn({ acr_values: two }))
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Enter the code of your app')
  await expect(page.getByText(email)).toBeVisible()
  await expect(page.getByLabel('Password')).toHaveCount(0)
  await giveCode(page, codeOf(secret), 'Sign in')
  await knows(page, 'Till', email)
  expect(await told(page)).toEqual({ acr: two, amr: ['pwd', 'otp', 'mfa'] })
  for (const [app, name] of [
    [huts, 'Huts'],
    [bank, 'Till'],
  ] as const) {
    await page.goto(app.signIn({ acr_values: two, prompt: 'none' }))
    await knows(page, name, email)
    expect((await told(page)).acr).toBe(two)
  }
})

test('a passkey alone is enough where two factors are required', async ({ page, lido, application }) => {
  const settings: Settings = { sign_in_methods: ['passkey', 'email_code'], second_factor: 'required' }
  const { workspace, pool, email, id } = await makePlace(lido, settings)
  const authenticator = await plugIn(page)
  await authenticator.put(await givePasskey(lido, pool, id))
  const app = await application({ workspace, name: 'Till' })
  await page.goto(app.signIn({ acr_values: two }))
  await knows(page, 'Till', email)
  expect(await told(page)).toEqual({ acr: two, amr: ['pop', 'user', 'mfa'] })
})

test('where a code by mail is the only way in, nothing else is asked or offered', async ({
  page,
  lido,
  application,
}) => {
  const { workspace, email } = await makePlace(lido, { sign_in_methods: ['email_code'] })
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await identify(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Check your email')
  await expect(page.getByLabel('Code')).toBeFocused()
  await onlyWay(page)
  await giveCode(page, (await lido.message(email)).code, 'Sign in')
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: one, amr: ['otp'] })
})

test('where a link by mail is the only way in, nothing else is asked or offered', async ({
  page,
  lido,
  application,
}) => {
  const { workspace, email } = await makePlace(lido, { sign_in_methods: ['magic_link'] })
  const app = await application({ workspace, name: 'Huts' })
  await page.goto(app.signIn())
  await identify(page, email)
  await expect(page.getByText('Open it in this browser')).toBeVisible()
  await onlyWay(page)
  await page.goto((await lido.message(email)).link)
  await page.getByRole('button', { name: 'Continue' }).click()
  await knows(page, 'Huts', email)
  expect(await told(page)).toEqual({ acr: one, amr: ['otp'] })
})
