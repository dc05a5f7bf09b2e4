import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { generateSync } from 'otplib'
import { giveCode, givePassword, identify, picture, signIn, step } from './acts.ts'
import { violationsOf } from './axe.ts'
import { expect, test } from './story.ts'
import { fresh, freshEmail, makePerson, makeWorkspace, password } from './world.ts'

const user_schema = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'Given name' },
    member: { type: 'string', title: 'Member number', readOnly: true },
  },
}
const settings = {
  user_schema,
  identifiers: ['email' as const, 'mobile' as const],
  second_factor: 'optional' as const,
  sign_in_methods: ['password' as const, 'email_code' as const, 'passkey' as const],
}

const looks = [
  [320, 'dark'],
  [1280, 'light'],
] as const

/** A page fits a phone in the dark and a desk in the light, and axe finds nothing. */
const look = async (page: Page, name: string): Promise<void> => {
  for (const [width, colorScheme] of looks) {
    await page.setViewportSize({ width, height: 800 })
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await picture(page, `${name}-${width}-${colorScheme}`)
    const where = `${name}, ${width} px, ${colorScheme}`
    expect(await violationsOf(page), where).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth'), where).toBe(width)
  }
  await page.setViewportSize({ width: 320, height: 800 })
}

const open = (page: Page, section: string) => page.getByRole('link', { name: section }).click()
const back = (page: Page) => page.getByRole('link', { name: 'Back', exact: true }).click()

test('someone looks after their account, on a phone', async ({ page, lido, another }) => {
  test.setTimeout(180_000)
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members', settings }])
  const email = await makePerson(lido, workspace.pools[0])
  const address = `${lido.url}/w/${workspace.slug}/account`
  const laptop = await (await another()).newPage()
  await laptop.goto(address)
  await signIn(laptop, email)
  await page.setViewportSize({ width: 320, height: 800 })
  await page.goto(address)
  await signIn(page, email)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Your account')
  await look(page, 'overview')

  await open(page, 'Your details')
  await page.getByLabel('Given name').fill('Grace')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('status')).toHaveText('Your details are saved.')
  await look(page, 'profile')
  await back(page)

  const newEmail = freshEmail('grace')
  await open(page, 'Email and mobile')
  await look(page, 'identifiers')
  await page.getByRole('link', { name: 'Change', exact: true }).click()
  await look(page, 'identifier')
  await page.getByLabel('New email').fill(newEmail)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await expect(page.getByLabel('Code')).toBeFocused()
  await look(page, 'identifier-code')
  await giveCode(page, (await lido.message(newEmail)).code, 'Continue')
  await expect(page.getByRole('status')).toHaveText('The change is made.')
  expect((await lido.message(email)).subject).toBe('What you sign in with at Strandbad has changed')
  await back(page)

  await open(page, 'Ways to sign in')
  await look(page, 'factors')
  await page.getByRole('link', { name: 'Set up an authenticator app' }).click()
  const secret = (await page.locator('.secret').innerText()).replaceAll(' ', '')
  await look(page, 'enrol')
  const now = Math.floor(Date.now() / 1000)
  await giveCode(page, generateSync({ secret, epoch: now - 30 }), 'Continue')
  await expect(step(page)).toHaveAttribute('data-step', 'recovery-codes')
  const downloading = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download as a text file' }).click()
  expect((await readFile(await (await downloading).path(), 'utf8')).trim().split('\n')).toHaveLength(12)
  await page.getByRole('button', { name: 'Continue' }).click()
  await look(page, 'factors-with-codes')
  await back(page)

  await open(page, 'Devices')
  await look(page, 'sessions')
  await page.getByRole('button', { name: 'Sign out there' }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out there.')
  await laptop.reload()
  await expect(step(laptop)).toHaveAttribute('data-step', 'identify')
  await back(page)

  await open(page, 'Connected applications')
  await expect(step(page)).toContainText('No application is connected to your account.')
  await look(page, 'applications')
  await back(page)
  await open(page, 'Activity')
  await expect(page.getByText('Details changed').first()).toBeVisible()
  await look(page, 'activity')
  await back(page)

  // The account has become stronger than this session: what matters asks for all of it once.
  await page.getByRole('link', { name: 'Password', exact: false }).click()
  await identify(page, newEmail)
  await givePassword(page)
  await giveCode(page, generateSync({ secret, epoch: Math.floor(Date.now() / 1000) }), 'Sign in')
  await expect(page.getByLabel('Current password')).toBeFocused()
  await look(page, 'password')
  await page.getByLabel('Current password').fill(password)
  const another_password = `quite another ${fresh('password')}`
  await page.getByLabel('New password').fill(another_password)
  await page.getByRole('button', { name: 'Set new password' }).click()
  await expect(page.getByRole('status')).toContainText('You are signed out everywhere else.')

  await open(page, 'Your data')
  await look(page, 'data')
  const copying = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download my data' }).click()
  const copy = JSON.parse(await readFile(await (await copying).path(), 'utf8'))
  expect(copy.profile).toEqual({ given_name: 'Grace' })
  await page.getByRole('link', { name: 'Delete my account' }).click()
  await look(page, 'delete')
  await page.getByLabel('Yes, delete everything').focus()
  await page.keyboard.press('Space')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Your account is closed')
  await look(page, 'gone')
  await page.goto(address)
  await expect(step(page)).toHaveAttribute('data-step', 'identify')
})

test('a passkey is added, named and removed', async ({ page, lido }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Members', settings }])
  const email = await makePerson(lido, workspace.pools[0])
  const cdp = await page.context().newCDPSession(page)
  await page.goto(`${lido.url}/w/${workspace.slug}/account/factors`)
  await signIn(page, email)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  await page.getByRole('link', { name: 'passkey' }).click()
  await page.getByRole('button', { name: 'passkey' }).click()
  await expect(page.getByRole('status').first()).toHaveText('It was added.')
  await page.getByRole('link', { name: 'Manage' }).click()
  // With a passkey the account is stronger than a password: it is asked for first, and the browser fills it in.
  await page.getByLabel('Name').fill('My laptop')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('My laptop')).toBeVisible()
  await page.getByRole('link', { name: 'Manage' }).click()
  await page.getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByRole('status')).toHaveText('It was removed.')
  expect((await lido.message(email)).subject).toContain('was removed')
})
