import type { BrowserContext, Page } from '@playwright/test'
import { findFirstOperator } from '../src/setup.ts'
import { signIn } from './acts.ts'
import { expect, test as story } from './story.ts'
import { password } from './world.ts'

export { expect }

/** What a browser keeps of an operator's sign-in. */
type Kept = Awaited<ReturnType<BrowserContext['storageState']>>

/** Stories of operators. The owner of a worker's server signs in once, and every story has a browser of theirs. */
export const test = story.extend<{ operator: Page }, { owner: Kept }>({
  owner: [
    async ({ browser, lido }, use) => {
      const first = await findFirstOperator(lido.services)
      if (first.is !== 'invited') throw new Error('Nobody is invited to be the first operator.')
      const page = await browser.newPage({ locale: 'en-GB' })
      await accept(page, first.link, 'admin@example.org')
      const kept = await page.context().storageState()
      await page.close()
      await use(kept)
    },
    { scope: 'worker' },
  ],

  operator: async ({ another, owner, javaScriptEnabled }, use) => {
    const context = await another({ storageState: owner, javaScriptEnabled })
    await use(await context.newPage())
  },
})

/** Accepts an invitation to operate by its link, signs in for the first time and comes to the console. */
export const accept = async (page: Page, link: string, email: string): Promise<void> => {
  await page.goto(link)
  await page.getByLabel('Password').fill(password)
  await press(page, 'Accept invitation')
  await signIn(page, email)
  await expect(page.getByText(email)).toBeVisible()
}

export const heading = (page: Page) => page.getByRole('heading', { level: 1 })

/** Follows links of the console, one after another, by what they say. */
export const follow = async (page: Page, ...names: string[]): Promise<void> => {
  for (const name of names) await page.getByRole('link', { name, exact: true }).first().click()
}

/** Fills in what stands at a label. */
export const fill = async (page: Page, fields: Record<string, string>): Promise<void> => {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value)
}

export const press = (page: Page, name: string): Promise<void> =>
  page.getByRole('button', { name, exact: true }).click()

/** The value beside a name on a page of facts. */
export const fact = async (page: Page, name: string): Promise<string> => {
  const row = page.locator('.facts > div').filter({ has: page.getByText(name, { exact: true }) })
  return (await row.locator('dd').innerText()).trim()
}
