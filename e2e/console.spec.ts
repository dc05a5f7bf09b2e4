import type { Page } from '@playwright/test'
import { violationsOf } from './axe.ts'
import { expect, fill, follow, heading, press, test } from './operator.ts'
import { fresh, freshEmail, makePerson, makeWorkspace, type World } from './world.ts'

const looks = [
  // Colours are all that is other in the dark, and what scrolls is all that is other where it is narrow.
  {
    name: 'narrow and dark',
    width: 320,
    colorScheme: 'dark',
    always: undefined,
    painted: { runOnly: ['color-contrast', 'scrollable-region-focusable'] },
  },
  {
    name: 'wide and light',
    width: 1280,
    colorScheme: 'light',
    always: { rules: { 'color-contrast': { enabled: false } } },
    painted: { runOnly: ['color-contrast'] },
  },
] as const

for (const { name, width, colorScheme, always, painted } of looks) {
  test(`every page that links lead to fits and is without faults, ${name}`, async ({ operator, lido }) => {
    test.setTimeout(240_000)
    const world = await furnish(operator, lido)
    await operator.setViewportSize({ width, height: 800 })
    await operator.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const looked = new Set<string>()
    const seen = await crawl(operator, lido.url, startsOf(world), async (shape) => {
      if (always) expect.soft(await violationsOf(operator, always), shape).toEqual([])
      // Contrast is most of what axe costs. Elements of the same classes in the same place have the same colours.
      const paints = await operator.evaluate<string[]>(paintsOf)
      if (paints.some((paint) => !looked.has(paint)))
        expect.soft(await violationsOf(operator, painted), shape).toEqual([])
      for (const paint of paints) looked.add(paint)
      expect.soft(await operator.evaluate('document.documentElement.scrollWidth'), shape).toBe(width)
      expect.soft(await operator.locator('h1').count(), shape).toBe(1)
    })
    expect(seen).toEqual(expect.arrayContaining(known))
  })
}

/** Pages of each kind, so that a link which is lost is noticed. */
const known = [
  '/console',
  '/console/events',
  '/console/operators/{}/~edit',
  '/console/pools/{}/exports',
  '/console/pools/{}/groups/{}/~edit',
  '/console/pools/{}/imports/{}',
  '/console/pools/{}/invitations/{}/~revoke',
  '/console/pools/{}/users/{}/credentials/{}/~delete',
  '/console/pools/{}/users/{}/~password',
  '/console/pools/{}/~delete',
  '/console/roles/{}',
  '/console/tenants/{}',
  '/console/traces',
  '/console/workspaces/{}/clients/{}/~rotate',
  '/console/workspaces/{}/connections/{}/~edit',
  '/console/workspaces/{}/domains/{}/~verify',
  '/console/workspaces/{}/keys',
  '/console/workspaces/{}/keys/{}/~revoke',
]

const startsOf = ({ slug, pools: [pool] }: World): string[] => [
  `/console/pools/${pool?.slug}`,
  `/console/workspaces/${slug}`,
  '/console',
]

const most = 120

/** Follows links, one of each shape of address, and looks at what they lead to; answers the shapes. */
const crawl = async (page: Page, url: string, starts: string[], look: (shape: string) => Promise<void>) => {
  const found = new Map(starts.map((start) => [shapeOf(new URL(start, url)), start]))
  // What is added while a map is gone through is gone to as well.
  for (const [shape, address] of found) {
    const response = await page.goto(new URL(address, url).href)
    expect.soft(response?.status(), `${shape} (${address})`).toBe(200)
    await look(shape)
    const links = await page.evaluate<string[]>("[...document.querySelectorAll('a[href]')].map(({ href }) => href)")
    for (const link of links.map((href) => new URL(href)).filter(({ origin }) => origin === url)) {
      const isPage = /^\/console(\/|$)/.test(link.pathname) && !/\/~export$/.test(link.pathname)
      if (isPage && !found.has(shapeOf(link))) found.set(shapeOf(link), link.pathname + link.search)
    }
    expect(found.size, 'pages').toBeLessThan(most)
  }
  return [...found.keys()]
}

/** An address without the names in it: `/console/pools/{}/users?mode=invite`. */
const shapeOf = ({ pathname, searchParams }: URL): string => {
  const [, ...parts] = pathname.split('/').slice(1)
  const path = parts.map((part, index) => (index % 2 === 1 && !part.startsWith('~') ? '{}' : part))
  const keys = [...searchParams.keys()].sort().map((key) => (key === 'mode' ? `mode=${searchParams.get(key)}` : key))
  return [['/console', ...path].join('/'), ...keys].join('?')
}

/** What decides on the colours of each element: its tag, its classes and its states, and those of what it stands in. */
const paintsOf = `(() => {
  const own = (element) => [element.localName, element.className, element.getAttribute('aria-current'), element.type]
  const all = [...document.querySelectorAll('body *')]
  return [...new Set(all.map((element) => String([own(element), own(element.parentElement)])))]
})()`

type Lido = Parameters<typeof makeWorkspace>[0]

/** Makes one of each thing there is, as an operator does. */
const furnish = async (page: Page, lido: Lido): Promise<World> => {
  const world = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: 'Guests' }])
  const [pool] = world.pools
  const [base, email] = [`${lido.url}/console/pools/${pool?.slug}`, await makePerson(lido, pool)]
  await page.goto(`${lido.url}/console/tenants/~new`)
  await fill(page, { Name: 'A rather long name of a customer', Slug: fresh('customer') })
  await press(page, 'Save')
  await page.goto(`${lido.url}/console/roles/~new`)
  await fill(page, { Name: 'Reads the bills of others', Key: fresh('bills.reader') })
  await press(page, 'Save')
  await page.goto(`${lido.url}/console/workspaces/${world.slug}/domains/~new`)
  await fill(page, { Host: `a-rather-long-name-of-a-host.${fresh('domain')}.example` })
  await press(page, 'Save')
  await page.goto(`${lido.url}/console/workspaces/${world.slug}/clients/~new`)
  await fill(page, {
    Name: 'Tide times',
    'Where people come back to': 'https://tides.example.org/a/rather/long/callback',
  })
  await press(page, 'Save')
  await page.goto(`${base}/groups/~new`)
  await fill(page, { Name: 'Lifeguards' })
  await press(page, 'Make the group')
  await fill(page, { 'Addresses, numbers or usernames, one a line': email })
  await press(page, 'Take them in')
  await page.goto(`${base}/invitations/~new`)
  await fill(page, { Email: freshEmail('somebody.with.a.rather.long.address') })
  await press(page, 'Send the invitation')
  await page.goto(`${base}/imports/~new`)
  await page
    .getByLabel('File', { exact: true })
    .setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer: Buffer.from('email\nnobody') })
  await press(page, 'Import')
  await expect(page.getByText('1 of 1 rows')).toBeVisible()
  return world
}

test('a form that is wrong says so where it is, for eyes and ears, narrow and dark', async ({ operator, lido }) => {
  await operator.setViewportSize({ width: 320, height: 800 })
  await operator.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  await operator.goto(`${lido.url}/console/pools/~new`)
  await fill(operator, { Name: 'Guests', Slug: 'No slug at all' })
  await press(operator, 'Save')
  await expect(operator.getByRole('alert')).toBeVisible()
  await expect(operator.getByLabel('Slug', { exact: true })).toBeFocused()
  await expect(operator.getByLabel('Slug', { exact: true })).toHaveAttribute('aria-invalid', 'true')
  await expect(operator.getByLabel('Name', { exact: true })).toHaveValue('Guests')
  expect(await violationsOf(operator, undefined)).toEqual([])
  expect(await operator.evaluate('document.documentElement.scrollWidth')).toBe(320)
  await operator.goto(`${lido.url}/console/pools/nothing`)
  await expect(operator.getByText('Reference')).toBeVisible()
  expect(await violationsOf(operator, undefined)).toEqual([])
})

test('a keyboard alone skips the menu, makes a pool and sees where it is', async ({ operator, lido }) => {
  await operator.goto(`${lido.url}/console`)
  await operator.keyboard.press('Tab')
  const skip = operator.getByRole('link', { name: 'Skip to the content' })
  await expect(skip).toBeFocused()
  await expect(skip).toBeInViewport()
  await operator.keyboard.press('Enter')
  await expect(operator.getByRole('main')).toBeFocused()
  await operator.keyboard.press('Tab')
  await expect(operator.getByRole('main').locator(':focus')).toBeVisible()

  await operator.goto(`${lido.url}/console/tenants`)
  await tabTo(operator, 'Pools')
  await operator.keyboard.press('Enter')
  await expect(heading(operator)).toHaveText('Pools')
  await tabTo(operator, 'New pool')
  await operator.keyboard.press('Enter')
  await expect(heading(operator)).toHaveText('New pool')
  await tabTo(operator, 'Name')
  await operator.keyboard.type('Made by keys')
  await tabTo(operator, 'Slug')
  await operator.keyboard.type(fresh('keys'))
  await operator.keyboard.press('Enter')
  await expect(heading(operator)).toHaveText('Made by keys')
  await tabTo(operator, 'Users')
  await operator.keyboard.press('Enter')
  await expect(heading(operator)).toHaveText('Users')
})

/** Goes on with the Tab key to what is called so, and sees the focus at every stop. */
const tabTo = async (page: Page, name: string): Promise<void> => {
  const wanted = page.getByRole('link', { name, exact: true }).or(page.getByLabel(name, { exact: true }))
  for (let stops = 0; stops < 40; stops++) {
    await page.keyboard.press('Tab')
    const focused = page.locator(':focus')
    await expect(focused).toBeInViewport()
    await expect(focused).toHaveCSS('outline-style', 'solid')
    if ((await wanted.and(focused).count()) > 0) return
  }
  throw new Error(`The Tab key does not lead to "${name}".`)
}

test('the menu leads everywhere, and the crumbs lead back', async ({ operator, lido }) => {
  const { pools } = await makeWorkspace(lido, { name: 'Strandbad' }, [{ name: fresh('Guests') }])
  await operator.goto(`${lido.url}/console`)
  const menu = operator.getByRole('navigation', { name: 'Sections' })
  for (const title of await menu.getByRole('link').allInnerTexts()) {
    await menu.getByRole('link', { name: title }).click()
    await expect(heading(operator)).toHaveText(title)
    await expect(menu.locator('[aria-current=page]')).toHaveText(title)
  }
  await operator.goto(`${lido.url}/console/pools/${pools[0]?.slug}/groups/~new`)
  const crumbs = operator.getByRole('navigation', { name: 'Above this page' })
  await crumbs.getByRole('link', { name: 'Groups' }).click()
  await expect(heading(operator)).toHaveText('Groups')
  await crumbs.getByRole('link', { name: pools[0]?.name ?? '' }).click()
  await crumbs.getByRole('link', { name: 'Pools' }).click()
  await expect(heading(operator)).toHaveText('Pools')
  await follow(operator, 'Lido Console')
  await expect(heading(operator)).toHaveText('Dashboard')
})
