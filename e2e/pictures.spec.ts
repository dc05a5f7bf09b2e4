import type { Page } from '@playwright/test'
import { giveCode, givePassword, identify, picture } from './acts.ts'
import { plugIn } from './authenticator.ts'
import { violationsOf } from './axe.ts'
import { expect, test } from './story.ts'
import { demoWorkspace, fresh, freshEmail, makePerson, makeWorkspace, password } from './world.ts'

const looks = [
  [320, 'dark'],
  [1280, 'light'],
] as const

/** Looks at a page, narrow and dark, wide and light. It has to fit, and axe has to find nothing. */
const look = async (page: Page, name: string): Promise<void> => {
  const before = page.viewportSize()
  for (const [width, colorScheme] of looks) {
    await page.setViewportSize({ width, height: 800 })
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await picture(page, `${name}-${width}-${colorScheme}`)
    const where = `${name}, ${width} px, ${colorScheme}`
    expect(await violationsOf(page), where).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth'), where).toBe(width)
  }
  if (before) await page.setViewportSize(before)
}

test('signing in', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/demo/login`)
  await look(page, 'identify')
  await identify(page, 'ada@')
  await look(page, 'identify-wrong')
  await identify(page, email)
  await look(page, 'prove')
  await givePassword(page, 'wrong wrong wrong')
  await look(page, 'prove-wrong')
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await look(page, 'methods')
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await look(page, 'code')
  await giveCode(page, '000000', 'Sign in')
  await look(page, 'code-wrong')
  await lido.message(email)
  await page.getByRole('button', { name: 'Send me a new code' }).click()
  await look(page, 'code-again')
  await giveCode(page, (await lido.message(email, 1)).code, 'Sign in')
  await look(page, 'demo-signed-in')
  await page.goto(`${lido.url}/w/demo/logout`)
  await look(page, 'logout')
  await page.goto(`${lido.url}/demo`)
  await page.getByRole('link', { name: 'Sign out' }).click()
  await look(page, 'demo')
})

test('registering', async ({ page, lido }) => {
  const email = freshEmail()
  await page.goto(`${lido.url}/demo/login`)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await look(page, 'register')
  await page.getByRole('button', { name: 'Create account' }).click()
  await look(page, 'register-wrong')
  await page.getByLabel('Email').fill(email)
  await page.getByLabel('Given name').fill('Ada')
  await page.getByLabel('Password').fill('short')
  await page.getByRole('button', { name: 'Create account' }).click()
  await look(page, 'register-one-wrong')
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await look(page, 'verify')
  await giveCode(page, '000000', 'Continue')
  await look(page, 'verify-wrong')
  await lido.message(email)
  await page.goto(`${lido.url}/dev/inbox`)
  await look(page, 'inbox')
})

test('recovering', async ({ page, lido }) => {
  const email = await makePerson(lido, (await demoWorkspace(lido)).pools[0])
  await page.goto(`${lido.url}/w/demo/recover`)
  await look(page, 'recover')
  await page.getByLabel('Email').fill(email)
  await page.getByRole('button', { name: 'Send me a code' }).click()
  await look(page, 'recover-verify')
  await giveCode(page, '000000', 'Set new password')
  await look(page, 'recover-verify-wrong')
  await page.goto((await lido.message(email)).link)
  await look(page, 'recover-link')
  await page.getByLabel('New password').fill(password)
  await page.getByRole('button', { name: 'Set new password' }).click()
  await look(page, 'recover-done')
})

test.describe('in German, whose words are longer', () => {
  test.use({ locale: 'de-DE' })

  test('registering and recovering', async ({ page, lido }) => {
    await page.goto(`${lido.url}/demo/login`)
    await page.getByRole('link', { name: 'Ein Konto erstellen' }).click()
    await page.getByRole('button', { name: 'Konto erstellen' }).click()
    await look(page, 'german-register-wrong')
    await page.getByRole('link', { name: 'Ich habe ein Konto' }).click()
    await page.getByLabel('E-Mail').fill(freshEmail())
    await page.getByRole('button', { name: 'Weiter' }).click()
    await look(page, 'german-prove')
    await page.getByRole('link', { name: 'Passwort vergessen?' }).click()
    await page.getByRole('button', { name: 'Code senden' }).click()
    await page.getByRole('button', { name: 'Neues Passwort festlegen' }).click()
    await look(page, 'german-recover-verify-wrong')
  })
})

const branding = {
  color: '#0b6e8f',
  links: [
    { label: 'Imprint', href: 'https://example.org/imprint' },
    { label: 'Privacy', href: 'https://example.org/privacy' },
  ],
}
const everything = {
  type: 'object',
  properties: {
    given_name: { type: 'string', title: 'Given name' },
    birthdate: { type: 'string', format: 'date', title: 'Date of birth' },
    hut: {
      type: 'string',
      title: 'Hut',
      enum: ['By the pier', 'On the meadow'],
      description: 'Where you like it best.',
    },
    guests: { type: 'integer', title: 'Guests', minimum: 1, maximum: 12 },
    website: { type: 'string', format: 'uri', title: 'Website' },
    newsletter: { type: 'boolean', title: 'Send me the season’s news' },
  },
  required: ['given_name', 'hut'],
}

test('choosing and allowing, in the looks of a workspace', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad Lindau', settings: { branding } }, [
    {
      name: 'Guests',
      description: 'Everyone who books a hut or a boat',
      color: '#0b6e8f',
      settings: { self_registration: true, identifiers: ['email', 'mobile'], user_schema: everything },
    },
    { name: 'Members of the bathing club', description: 'With a season ticket', color: '#f2b705' },
    { name: 'Staff', color: '#7a2e8e' },
  ])
  const metadata = { first_party: false, policy_uri: 'https://huts.example.org/privacy' }
  const app = await application({ workspace, name: 'Bathing Hut Bookings', metadata })
  const email = await makePerson(
    lido,
    workspace.pools[0],
    `${fresh('maximiliane.von.und.zu')}@a-rather-long.example.org`,
  )
  await page.goto(app.signIn({ scope: 'openid profile email phone offline_access', prompt: 'consent' }))
  await look(page, 'choose')
  await page.getByRole('button', { name: 'Guests' }).click()
  await look(page, 'identify-chosen')
  await page.getByRole('link', { name: 'Create an account' }).click()
  await look(page, 'register-everything')
  await page.getByRole('link', { name: 'I have an account' }).click()
  await identify(page, email)
  await look(page, 'prove-long')
  await givePassword(page)
  await look(page, 'consent')
})

test('leaving, and what goes wrong', async ({ page, lido }) => {
  await page.goto(`${lido.url}/w/demo/logout/success`)
  await look(page, 'loggedout')
  await page.goto(`${lido.url}/w/demo/authorize?client_id=nobody`)
  await look(page, 'problem-client')
  await page.goto(`${lido.url}/w/demo/signin/nothing`)
  await look(page, 'problem-expired')
  await page.goto(lido.url)
  await look(page, 'index')
})

test('passkeys', async ({ page, lido, application }) => {
  const methods = ['password', 'passkey', 'email_code'] as const
  const settings = { sign_in_methods: [...methods], self_registration: true }
  const workspace = await makeWorkspace(lido, { name: 'Strandbad Lindau' }, [{ name: 'Guests', settings }])
  const app = await application({ workspace, name: 'Bathing Hut Bookings' })
  const email = await makePerson(lido, workspace.pools[0])
  const authenticator = await plugIn(page)
  await page.goto(app.signIn())
  await look(page, 'passkey-identify')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await expect(page.getByText('You can try again')).toBeVisible()
  await look(page, 'passkey-failed')
  await identify(page, email)
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await look(page, 'passkey-methods')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await look(page, 'passkey-prove')
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await page.getByRole('button', { name: 'Use your password' }).click()
  await givePassword(page)
  await look(page, 'passkey-offer')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await expect(page.getByRole('heading')).toHaveText(`Bathing Hut Bookings knows ${email}`)
  await page.context().clearCookies()
  await authenticator.attend(false)
  await page.goto(app.signIn())
  await identify(page, await makePerson(lido, workspace.pools[0]))
  await page.getByRole('link', { name: 'Sign in another way' }).click()
  await authenticator.attend(true)
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await look(page, 'passkey-wrong')
})

test('a passkey as a factor that is required, also without a script', async ({ page, another, lido, application }) => {
  const required = (...second_factors: ('passkey' | 'totp')[]) => [
    { name: 'Guests', settings: { second_factor: 'required' as const, second_factors } },
  ]
  const workspace = await makeWorkspace(lido, { name: 'Strandbad Lindau' }, required('passkey', 'totp'))
  const app = await application({ workspace, name: 'Bathing Hut Bookings' })
  await plugIn(page)
  await page.goto(app.signIn())
  await identify(page, await makePerson(lido, workspace.pools[0]))
  await givePassword(page)
  await look(page, 'passkey-enrol-choice')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await look(page, 'passkey-enrol')
  const plain = await (await another({ javaScriptEnabled: false })).newPage()
  const strict = await makeWorkspace(lido, { name: 'Strandbad Lindau' }, required('passkey'))
  const strictApp = await application({ workspace: strict, name: 'Bathing Hut Bookings' })
  await plain.goto(strictApp.signIn())
  await identify(plain, await makePerson(lido, strict.pools[0]))
  await givePassword(plain)
  await expect(plain.getByText('Passkeys need a browser that knows them')).toBeVisible()
  await picture(plain, 'passkey-without')
})
