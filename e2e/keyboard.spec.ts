import type { Page } from '@playwright/test'
import { step } from './acts.ts'
import { expect, test } from './story.ts'
import { makePerson, makeWorkspace, password } from './world.ts'

test('a keyboard alone chooses a pool, signs in and allows an application', async ({ page, lido, application }) => {
  const workspace = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Guests' }, { name: 'Members' }])
  const app = await application({ workspace, name: 'Tide times', metadata: { first_party: false } })
  const email = await makePerson(lido, workspace.pools[1])
  await page.goto(app.signIn())
  await tabTo(page, 'Members')
  await page.keyboard.press('Enter')
  await expect(page.getByLabel('Email')).toBeFocused()
  await page.keyboard.type(email)
  await page.keyboard.press('Enter')
  await expect(page.getByLabel('Password')).toBeFocused()
  await page.keyboard.type('wrong wrong wrong')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('alert')).toBeVisible()
  await expect(page.getByLabel('Password')).toBeFocused()
  await page.keyboard.type(password)
  await tabTo(page, 'Sign in')
  await page.keyboard.press('Space')
  await expect(step(page)).toHaveAttribute('data-step', 'consent')
  await tabTo(page, 'Allow')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading')).toHaveText(`Tide times knows ${email}`)
})

/** Goes on from where the focus is, as a person would, and sees it at every stop. */
const tabTo = async (page: Page, name: string): Promise<void> => {
  const wanted = page.getByRole('button', { name })
  for (let stops = 0; stops < 12; stops++) {
    await page.keyboard.press('Tab')
    const focused = page.locator(':focus')
    await expect(focused).toBeVisible()
    await expect(focused).toHaveCSS('outline-style', 'solid')
    if ((await wanted.and(focused).count()) > 0) return
  }
  throw new Error(`The Tab key does not lead to "${name}".`)
}
