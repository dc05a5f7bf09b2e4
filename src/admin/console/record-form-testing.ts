import type { Browser } from '../../browser-testing.ts'
import { plain } from './forms-testing.ts'

/** Opens a page's form and sends it as a browser does: what is not named keeps what it shows, what is null is unticked. */
export const fill = async (browser: Browser, path: string, fields: Record<string, string | null>): Promise<void> => {
  await browser.get(path)
  const all: Record<string, string | null> = { ...shownIn(browser.page.html), ...fields }
  await browser.post(
    path,
    Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null)),
  )
}

/** What the form of a page would send as it is shown. */
export const shownIn = (html: string): Record<string, string> => {
  const form = html.match(/<form[^>]*id="record"[^>]*>([\s\S]*?)<\/form>/)?.[1] ?? ''
  const values: Record<string, string> = {}
  for (const [tag, kind = '', inner = ''] of form.matchAll(
    /<(input|select|textarea)\b[^>]*>(?:\n?([\s\S]*?)<\/\1>)?/g,
  )) {
    const name = plain(tag.match(/ name="([^"]*)"/)?.[1] ?? '')
    if (kind === 'textarea') values[name] = plain(inner)
    else if (kind === 'select') values[name] = plain(inner.match(/value="([^"]*)" selected/)?.[1] ?? '')
    else if (!/^[^>]*type="checkbox"/.test(tag) || /^[^>]* checked/.test(tag))
      values[name] = plain(tag.match(/ value="([^"]*)"/)?.[1] ?? '')
  }
  return values
}

export const csrfOf = (html: string): string => html.match(/name="csrf" value="([^"]+)"/)?.[1] ?? ''
