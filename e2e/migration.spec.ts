import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { sealSettings } from '../src/directory/pool-secrets.ts'
import { poolSource } from '../src/directory/pool-source.ts'
import { type Outside, openOutside, secretThere } from '../src/pages/outside-testing.ts'
import { uuidv7 } from '../src/platform/secrets.ts'
import { openAuth0Double } from '../src/signin/sources/auth0-testing.ts'
import { openCognitoLocal } from '../src/signin/sources/cognito-local-testing.ts'
import { getSource } from '../src/signin/sources/index.ts'
import type { TestLido } from '../src/testing.ts'
import { givePassword, identify } from './acts.ts'
import { expect, fill, heading, press, test } from './operator.ts'
import { freshEmail, makeWorkspace } from './world.ts'

/** A workspace whose people live at a source. */
const makeExternal = async (
  lido: TestLido,
  type: string,
  settings: Record<string, unknown>,
  { mode = 'migrate', profile = {} }: { mode?: 'migrate' | 'sync'; profile?: Record<string, unknown> } = {},
) => {
  const { keyring, clock } = lido.services
  const id = uuidv7(clock.now())
  const sealed = sealSettings(keyring, { pool: id, field: 'source' }, settings, getSource(type)?.secrets ?? [])
  const source = poolSource.parse({ type, mode, settings: sealed })
  return makeWorkspace(lido, { name: 'Strandbad' }, [
    { id, name: 'Guests', kind: 'external', source, settings: { sign_in_methods: ['password'], ...profile } },
  ])
}

const outsideSettings = ({ url }: Outside) => ({ url, secret: 'the secret of the source' })

const looksGood = async (page: Page) => {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().options({ iframes: false }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(page.viewportSize()?.width)
}

test('someone from Auth0 signs in as ever, and again when Auth0 is gone', async ({
  page,
  lido,
  application,
  another,
}) => {
  const auth0 = await openAuth0Double()
  const email = freshEmail('ada')
  auth0.add({ email, password: secretThere })
  const home = await makeExternal(lido, 'auth0', auth0.settings)
  const app = await application({ workspace: home, name: 'Harbour log' })
  await page.goto(app.signIn())
  await identify(page, email)
  await givePassword(page, secretThere)
  await expect(page.locator('body')).toContainText(email)
  await auth0.close()
  const elsewhere = await (await another()).newPage()
  await elsewhere.goto(app.signIn())
  await identify(elsewhere, email)
  await givePassword(elsewhere, secretThere)
  await expect(elsewhere.locator('body')).toContainText(email)
})

test('someone from Cognito signs in as ever, and again when Cognito is gone', async ({
  page,
  lido,
  application,
  another,
}) => {
  test.setTimeout(120_000)
  const secret = 'Canary-horse-9-battery'
  const cognito = await openCognitoLocal()
  const email = freshEmail('ada')
  await cognito.add({ email, password: secret })
  const home = await makeExternal(lido, 'cognito', cognito.settings)
  const app = await application({ workspace: home, name: 'Harbour log' })
  await page.goto(app.signIn())
  await identify(page, email)
  await givePassword(page, secret)
  await expect(page.locator('body')).toContainText(email)
  await cognito.stop()
  const elsewhere = await (await another()).newPage()
  await elsewhere.goto(app.signIn())
  await identify(elsewhere, email)
  await givePassword(elsewhere, secret)
  await expect(elsewhere.locator('body')).toContainText(email)
})

test('who stays at the source reads on the account page why nothing can be changed here', async ({ page, lido }) => {
  const outside = await openOutside()
  const email = freshEmail('ada')
  outside.add({ email, profile: { given_name: 'Ada' } })
  const home = await makeExternal(lido, 'http', outsideSettings(outside), { mode: 'sync' })
  await page.goto(`${lido.url}/w/${home.slug}/account`)
  await identify(page, email)
  await givePassword(page, secretThere)
  await page.goto(`${lido.url}/w/${home.slug}/account/profile`)
  await expect(page.getByText('Your organisation manages these details')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Save' })).toHaveCount(0)
  await looksGood(page)
  await outside.close()
})

for (const [name, viewport, colorScheme] of [
  ['narrow and dark', { width: 320, height: 800 }, 'dark'],
  ['wide and light', { width: 1280, height: 800 }, 'light'],
] as const)
  test(`the cockpit follows people over, and writes to who has not come, ${name}`, async ({
    operator,
    lido,
    application,
    another,
  }) => {
    test.setTimeout(120_000)
    await operator.setViewportSize(viewport)
    await operator.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const outside = await openOutside()
    const [came, stays] = [freshEmail('came'), freshEmail('stays')]
    outside.add({ email: came, roles: ['a-role-of-elsewhere-with-a-rather-long-name-that-nothing-here-is-called-by'] })
    outside.add({ email: stays })
    const home = await makeExternal(lido, 'http', outsideSettings(outside))
    const here = `${lido.url}/console/pools/${home.pools[0]?.slug}/migration`
    await operator.goto(here)
    await expect(heading(operator)).toHaveText('Migration')
    const count = operator.locator('.counts > div').filter({ hasText: 'Came over' }).locator('dd')
    await expect(count).toHaveText('0')
    const app = await application({ workspace: home, name: 'Harbour log' })
    const person = await (await another()).newPage()
    await person.goto(app.signIn())
    await identify(person, came)
    await givePassword(person, secretThere)
    await expect(person.locator('body')).toContainText(came)
    await press(operator, 'Count who has not come')
    await expect(async () => {
      await operator.goto(here)
      await expect(count).toHaveText('1')
      await expect(operator.getByText('1 of 2 people')).toBeVisible({ timeout: 500 })
    }).toPass()
    await expect(operator.getByText('a-role-of-elsewhere')).toBeVisible()
    await looksGood(operator)
    await press(operator, 'Test connection')
    await expect(operator.getByText('as it should be').first()).toBeVisible()
    await looksGood(operator)
    for (const page of ['~outside', '~outside?type=', '~outside/mapping', 'migration/~finish']) {
      await operator.goto(here.replace('migration', page))
      await looksGood(operator)
    }
    await operator.goto(`${here}/remaining`)
    await expect(operator.getByText(stays)).toBeVisible()
    await looksGood(operator)
    await operator.getByLabel(`Write to ${stays}`).check()
    await fill(operator, { 'Mails a minute': '600' })
    await press(operator, 'Write to those ticked')
    const { link } = await lido.message(stays)
    const mailbox = await (await another()).newPage()
    await mailbox.goto(link)
    await mailbox.getByLabel('New password').fill('a horse that came over by mail')
    await mailbox.getByRole('button', { name: 'Set new password' }).click()
    await expect(mailbox.locator('main')).toHaveAttribute('data-step', /recover|done/)
    await operator.goto(here)
    await expect(count).toHaveText('2')
    await outside.close()
  })
