import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from '@playwright/test'

interface Options {
  runOnly?: readonly string[]
  rules?: Record<string, { enabled: boolean }>
}

/**
 * What axe finds on a page, with the elements it finds it in. Its builder loads axe into the page at every look, and has
 * it report all that is well: that takes twice as long. Frames are not looked into.
 */
export const violationsOf = async (page: Page, options: Options = {}): Promise<[string, string[]][]> => {
  if (!(await page.evaluate<boolean>("'axe' in window"))) await page.evaluate(source)
  const wanted = JSON.stringify({ iframes: false, resultTypes: ['violations'], ...options })
  return page.evaluate<[string, string[]][]>(
    `axe.run(document, ${wanted}).then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]))`,
  )
}

const builder = createRequire(import.meta.url).resolve('@axe-core/playwright')
const source = readFileSync(createRequire(builder).resolve('axe-core/axe.min.js'), 'utf8')
