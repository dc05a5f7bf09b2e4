import assert from 'node:assert/strict'
import { type Browser, openBrowser, type Page } from '../browser-testing.ts'
import type { TestLido } from '../testing.ts'
import { hiddenOf, password } from './fixtures-testing.ts'
import { codeFor } from './second-factor-testing.ts'

/** Somebody at their own account. */
export interface AtAccount extends Browser {
  /** Opens a page of the account; proves again who they are where that is asked. */
  open(path: string): Promise<Page>
  /** Sends a form to a page of the account as it is, with the token of this session. */
  send(path: string, fields: Record<string, string>): Promise<Page>
}

interface Wanted {
  workspace?: string
  path?: string
  /** Of their authenticator, where they have one. */
  secret?: string
  agent?: string
  password?: string
}

/** Signs in at the account page of a workspace. */
export const openAccount = async (
  lido: TestLido,
  name: string,
  { workspace = 'acme', path = '', secret, agent, password: known = password }: Wanted = {},
): Promise<AtAccount> => {
  const browser = openBrowser(lido.url)
  const place = `${lido.url}/w/${workspace}/account`
  const headers: Record<string, string> = agent ? { 'User-Agent': agent } : {}
  const prove = async () => {
    if (browser.page.step === 'identify') await browser.submit({ identifier: name }, headers)
    if (browser.page.step === 'prove') await browser.submit({ password: known }, headers)
    if (browser.page.step === 'prove' && secret) await browser.submit({ code: codeFor(lido, secret) }, headers)
    return browser.page
  }
  await browser.get(place + path)
  await prove()
  assert.equal(new URL(browser.page.url).pathname, `/w/${workspace}/account${path}`, browser.page.html)
  return Object.assign(Object.create(browser), {
    open: async (wanted: string) => {
      await browser.get(place + wanted)
      return prove()
    },
    send: async (wanted: string, fields: Record<string, string>) => {
      const token =
        hiddenOf(browser.page.html).csrf ?? hiddenOf((await browser.get(`${place}/sessions`)).html).csrf ?? ''
      return browser.post(place + wanted, { csrf: token, ...fields })
    },
  })
}

/** What an item of a list sends under a name. */
export const sentBy = ({ page }: Browser, name: string): string[] =>
  [...page.html.matchAll(new RegExp(`<input type="hidden" name="${name}" value="([^"]*)"`, 'g'))].map(
    ([, value]) => value ?? '',
  )

/** The addresses of the links of a page that begin like this. */
export const linksOf = ({ page }: Browser, beginning: string): string[] =>
  [...page.html.matchAll(/<a[^>]*href="([^"]*)"/g)]
    .map(([, href]) => href ?? '')
    .filter((href) => href.startsWith(beginning))
