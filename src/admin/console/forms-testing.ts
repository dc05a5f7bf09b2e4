import type { Browser } from '../../browser-testing.ts'

/** Opens a page and sends its form, as `send` does; the form leads where the page is, without its query. */
export const fillIn = async (browser: Browser, path: string, fields: Record<string, string> = {}): Promise<void> => {
  await browser.get(path)
  await send(browser, path.replace(/\?.*$/, ''), fields)
}

/** Sends the form of the page that leads to an address, with what it shows and what is typed into it. */
export const send = async (browser: Browser, path: string, fields: Record<string, string> = {}): Promise<void> => {
  const form = formTo(browser, path)
  if (form === undefined) throw new Error(`No form at ${browser.page.url} (${browser.page.status}) leads to ${path}.`)
  await browser.post(path, { ...valuesIn(form), ...fields })
}

/** Whether a form of the page leads to an address. */
export const hasForm = (browser: Browser, path: string): boolean => formTo(browser, path) !== undefined

/** What is said to be wrong with a field; empty where nothing is. */
export const errorAt = ({ page }: Browser, name: string): string => {
  const [, text = ''] = page.html.match(new RegExp(`id="error-${escaped(name)}"[^>]*>([^<]*)<`)) ?? []
  return plain(text)
}

/** What a field of the page holds; undefined for a box without its tick, and where there is no such field. */
export const valueAt = ({ page }: Browser, name: string): string | undefined => valuesIn(page.html)[name]

/** The token that the page's forms are sent with. */
export const csrfOf = ({ page }: Browser): string => valuesIn(page.html).csrf ?? ''

const formTo = ({ page }: Browser, path: string): string | undefined =>
  [...page.html.matchAll(/<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g)].find(
    ([, action = '']) => plain(action).replace(/\?.*$/, '') === path.replace(/\?.*$/, ''),
  )?.[2]

const valuesIn = (html: string): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const [tag] of html.matchAll(/<input[^>]*>/g)) {
    const ticked = !/ ?type="(checkbox|radio)"/.test(tag) || / checked/.test(tag)
    if (ticked) put(values, tag, tag.match(/ value="([^"]*)"/)?.[1] ?? '')
  }
  for (const [, tag = '', inner = ''] of html.matchAll(/(<select[^>]*>)([\s\S]*?)<\/select>/g)) {
    const first = inner.match(/<option value="([^"]*)"/)?.[1]
    put(values, tag, inner.match(/<option value="([^"]*)" selected/)?.[1] ?? first ?? '')
  }
  for (const [, tag = '', text = ''] of html.matchAll(/(<textarea[^>]*>)\n?([\s\S]*?)<\/textarea>/g))
    put(values, tag, text)
  return values
}

const put = (values: Record<string, string>, tag: string, value: string): void => {
  const name = tag.match(/ name="([^"]*)"/)?.[1]
  if (name) values[plain(name)] = plain(value)
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** What a page's text says, without its character references. */
export const plain = (text: string): string =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
