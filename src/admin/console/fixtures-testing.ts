import assert from 'node:assert/strict'
import { type Browser, openBrowser } from '../../browser-testing.ts'
import type { AdminLido } from '../fixtures-testing.ts'
import { makePerson, password } from '../operators-testing.ts'

interface Wanted {
  role?: 'owner' | 'admin' | 'helpdesk' | 'viewer'
  workspaces?: string[]
  pools?: string[]
}

/** A browser in which an operator is signed in to the console. */
export interface ConsoleBrowser extends Browser {
  operator: { id: string; email: string }
}

let made = 0

/** Makes an operator and signs them in to the console, as a browser without JavaScript does. */
export const openConsole = async (
  lido: AdminLido,
  { role = 'owner', ...limits }: Wanted = {},
): Promise<ConsoleBrowser> => {
  made += 1
  const email = `operator-${made}@example.org`
  const id = await makePerson(lido, 'administrators', email)
  const put = await lido.call('PUT', `/operators/${id}`, { role, ...limits })
  assert.equal(put.status, 200, JSON.stringify(put.body))
  const browser = openBrowser(lido.url)
  await browser.get('/console')
  await signInAs(browser, email)
  assert.match(browser.page.url, /\/console(\/pools)?$/)
  return Object.assign(Object.create(browser) as Browser, { operator: { id, email } })
}

/** Goes through the hosted sign-in from where the console has sent a browser; a step-up asks for the password only. */
export const signInAs = async (browser: Browser, email: string): Promise<void> => {
  if (browser.page.html.includes('name="identifier"')) await browser.submit({ identifier: email })
  await browser.submit({ password })
}
