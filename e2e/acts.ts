import { type Page, test } from '@playwright/test'
import { password } from './world.ts'

/** What people do on the pages, in English; stories say the rest. */
export const identify = async (page: Page, identifier: string): Promise<void> => {
  await page.getByLabel('Email').fill(identifier)
  await page.getByRole('button', { name: 'Continue' }).click()
}

export const givePassword = async (page: Page, secret = password): Promise<void> => {
  await page.getByLabel('Password').fill(secret)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

export const signIn = async (page: Page, identifier: string): Promise<void> => {
  await identify(page, identifier)
  await givePassword(page)
}

export const giveCode = async (page: Page, code: string, button: string): Promise<void> => {
  await page.getByLabel('Code').fill(code)
  await page.getByRole('button', { name: button, exact: true }).click()
}

/** The page's own name of what it asks for. */
export const step = (page: Page) => page.locator('main[data-step]')

/** Keeps a picture of a whole page beside what is kept of failures, for people to look at: only where PICTURES is set. */
export const picture = async (page: Page, name: string): Promise<void> => {
  if (process.env.PICTURES) await page.screenshot({ path: test.info().outputPath(`${name}.png`), fullPage: true })
}
